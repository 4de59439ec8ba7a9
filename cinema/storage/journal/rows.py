"""The relational rows of a batch, turned into the column arrays of `APPEND_WITH_ROWS`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from cinema.storage.journal.store import (
    Append,
    BookingMade,
    BookingReduced,
    PlanPinned,
    SalesSwitched,
)


class RowColumns:
    """Collects the effects of a batch, column by column."""

    def __init__(self, batch: Sequence[Append]) -> None:
        self._bookings: list[tuple[Any, ...]] = []
        self._seats: list[tuple[Any, ...]] = []
        self._leaving: list[tuple[Any, ...]] = []
        self._reduced: list[tuple[Any, ...]] = []
        self._switched: list[tuple[Any, ...]] = []
        for position, part in enumerate(batch, 1):
            for effect in part.effects:
                match effect:
                    case BookingMade():
                        self._add_booking(position, effect)
                    case BookingReduced():
                        self._add_reduction(position, effect)
                    case PlanPinned(layout_version):
                        self._switched.append((position, layout_version, None))
                    case SalesSwitched(paused):
                        self._switched.append((position, None, paused))

    def arguments(self) -> list[list[Any]]:
        """The arrays $12 to $40, in order."""
        *leaving, alone = _columns(self._leaving, 4)
        return [
            *_columns(self._bookings, 11),
            *_columns(self._seats, 6),
            *leaving,
            *_columns(self._reduced, 5),
            *_columns(self._switched, 3),
            alone,
        ]

    def _add_booking(self, position: int, made: BookingMade) -> None:
        booking_id = UUID(made.booking_id)
        self._bookings.append(
            (
                position,
                booking_id,
                made.code,
                UUID(made.user_id),
                UUID(made.hold_id),
                made.currency,
                sum(seat.price_minor for seat in made.seats),
                made.created_at_us,
                made.request_key,
                UUID(made.payment_id),
                made.payment_method,
            )
        )
        self._seats.extend(
            (position, booking_id, place, seat.label, seat.category, seat.price_minor)
            for place, seat in enumerate(made.seats)
        )

    def _add_reduction(self, position: int, reduced: BookingReduced) -> None:
        booking_id = UUID(reduced.booking_id)
        self._leaving.extend(
            (position, booking_id, label, not reduced.whole) for label in reduced.labels
        )
        self._reduced.append(
            (position, booking_id, reduced.refund_minor, reduced.whole, reduced.at_us)
        )


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]
