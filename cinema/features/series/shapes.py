"""Series as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.idempotency import fields_given
from cinema.domain.money import Money
from cinema.features.bookings.shapes import Booking
from cinema.features.cashdesk.shapes import Tender, TerminalReference
from cinema.features.ledger.cards import CARD_CODE_CHARS, GIFT_CARD
from cinema.features.seats.shapes import BestAvailable, SeatLabels

SHOWTIMES_MAX: Final = 20

SeriesStatus = Literal["pending", "confirmed", "cancelled"]


class SeriesPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to pay all of it. `counter` is for staff who took the money.

    With `points` what the caller has pays first, with `code` a gift card then, for one booking
    after the other; the method pays the rest, unless it is one of these.
    """

    method: Annotated[str, Meta(min_length=1, max_length=32, examples=["demo"])]
    tender: Tender | None = None
    reference: TerminalReference = ""
    points: bool = False
    code: Annotated[str, Meta(max_length=CARD_CODE_CHARS)] | None = None

    def __post_init__(self) -> None:
        if self.method == GIFT_CARD and self.code is None:
            raise ValueError("name the code of the gift card")


class SeriesInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The showtimes, each once, and the seats: the same `seats` in all, or the best of each.

    An app says that it is one by its `channel`, as for a hold.
    """

    showtime_ids: Annotated[list[UUID], Meta(min_length=2, max_length=SHOWTIMES_MAX)]
    seats: SeatLabels | None = None
    best_available: BestAvailable | None = None
    channel: Literal["web", "app"] = "web"
    payment: SeriesPayment

    def __post_init__(self) -> None:
        if (self.seats is None) == (self.best_available is None):
            raise ValueError("name either seats or best_available")
        if len(set(self.showtime_ids)) < len(self.showtime_ids):
            raise ValueError("name each showtime once")

    def meaning(self) -> object:
        """The given fields, the seats in any order."""
        given = fields_given(self)
        if self.seats is not None:
            given["seats"] = sorted(self.seats)
        return given


class PaymentOfSeries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is still to be paid, until when; the `client_secret` is for its customer alone."""

    method: str
    due: Money
    pay_until: datetime
    client_secret: str | None = None


class Series(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bookings that were made together, in the order in which their showtimes were named.

    `pending`: they wait for the `payment` of all. `confirmed`: all seats are booked, or will be in
    a moment. `cancelled`: none is. From then on each booking is one like any other.
    """

    id: UUID
    status: SeriesStatus
    total: Money
    created_at: datetime
    bookings: list[Booking]
    payment: PaymentOfSeries | None = None
