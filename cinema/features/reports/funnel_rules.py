"""How holds of a showtime went on, by the events of its journal: pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cinema.domain.showtime.events import (
    AnyEvent,
    HoldBooked,
    HoldExpired,
    HoldReleased,
    Offering,
    PaymentEnded,
    PaymentStarted,
    SeatsHeld,
)


class Funnel(msgspec.Struct, gc=False):
    """Holds that were made, how many of them were brought to a checkout, and how they ended."""

    holds: int = 0
    released: int = 0
    expired: int = 0
    checkouts: int = 0
    confirmed: int = 0

    def count(self, events: Iterable[AnyEvent]) -> None:
        """Count events; each of a journal once."""
        for event in events:
            if isinstance(event, Offering):
                # An offer of a wait list is a hold.
                self.holds += len(event.offers)
            self._count(event)

    def add(self, other: Funnel) -> None:
        """Count what another one has counted."""
        self.holds += other.holds
        self.released += other.released
        self.expired += other.expired
        self.checkouts += other.checkouts
        self.confirmed += other.confirmed

    def _count(self, event: AnyEvent) -> None:
        match event:
            case SeatsHeld():
                self.holds += 1
            case HoldReleased(seats=()):
                self.released += 1
            case HoldExpired() | PaymentEnded(expired=True):
                self.expired += 1
            case PaymentEnded():
                self.released += 1
            case PaymentStarted():
                self.checkouts += 1
            case HoldBooked(pending=pending):
                self.confirmed += 1
                self.checkouts += 0 if pending else 1
            case _:
                pass
