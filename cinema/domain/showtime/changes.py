"""Which seats an event changes, and to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldReleased,
    Offers,
    PaymentEnded,
    PaymentReturned,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
    TermsChanged,
)

Change = tuple[int, int]

_NONE: Final[list[Change]] = []


def seat_changes(event: AnyEvent) -> list[Change]:
    """Seat index and new status byte of each seat an event changes under its own plan.

    Nobody sees a seat as free that somebody who waited has from the same moment.
    """
    match event:
        case SeatsHeld():
            return [(seat, HELD) for seat in event.seats]
        case HoldReleased():
            return _given_back(event.released, event.offers)
        case HoldExpired() | PaymentEnded() | PaymentReturned(waited=True):
            return _given_back(event.seats, event.offers)
        case ShowtimeCancelled():
            return [(seat, AVAILABLE) for seat in event.seats]
        case SeatsUnblocked():
            return _freed(event.seats, event.offers)
        case HoldBooked():
            return [(seat, BOOKED) for seat in event.seats]
        case BookingCancelled():
            return _freed(event.cancelled, event.offers)
        case SeatsChanged():
            left = [seat for seat in event.left if seat not in event.chosen]
            chosen = [(seat, BOOKED) for seat in event.chosen if seat not in event.left]
            return _freed(left, event.offers) + chosen
        case SeatsBlocked():
            return [(seat, BLOCKED) for seat in event.seats]
        case SalesResumed() | TermsChanged() | PaymentReturned():
            return _freed((), event.offers)
        case _:
            return _NONE


def _freed(seats: Sequence[int], offers: Offers) -> list[Change]:
    """Seats that were booked or blocked are free, or offered; free ones may be offered too."""
    freed = [(seat, AVAILABLE) for seat in seats]
    if not offers:
        return freed
    return list((dict(freed) | {seat: HELD for offer in offers for seat in offer.seats}).items())


def _given_back(seats: Sequence[int], offers: Offers) -> list[Change]:
    """As `_freed`, for seats that were held: those that are offered stay so."""
    if not offers:
        return [(seat, AVAILABLE) for seat in seats]
    were_held = set(seats)
    return [
        (seat, status)
        for seat, status in _freed(seats, offers)
        if status == AVAILABLE or seat not in were_held
    ]
