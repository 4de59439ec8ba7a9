"""Which seats an event changes, and to what."""

from __future__ import annotations

from typing import Final

from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldReleased,
    PaymentEnded,
    PaymentReturned,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
)

Change = tuple[int, int]

_NONE: Final[list[Change]] = []


def seat_changes(event: AnyEvent) -> list[Change]:
    """Seat index and new status byte of each seat an event changes under its own plan."""
    match event:
        case SeatsHeld():
            return [(seat, HELD) for seat in event.seats]
        case HoldReleased():
            return [(seat, AVAILABLE) for seat in event.released]
        case HoldExpired() | PaymentEnded() | SeatsUnblocked() | ShowtimeCancelled():
            return [(seat, AVAILABLE) for seat in event.seats]
        case PaymentReturned(waited=True):
            return [(seat, AVAILABLE) for seat in event.seats]
        case HoldBooked():
            return [(seat, BOOKED) for seat in event.seats]
        case BookingCancelled():
            return [(seat, AVAILABLE) for seat in event.cancelled]
        case SeatsChanged():
            freed = [(seat, AVAILABLE) for seat in event.left if seat not in event.chosen]
            return freed + [(seat, BOOKED) for seat in event.chosen if seat not in event.left]
        case SeatsBlocked():
            return [(seat, BLOCKED) for seat in event.seats]
        case _:
            return _NONE
