"""The holds whose time is over."""

from __future__ import annotations

from cinema.domain.limits import EXPIRIES_PER_COMMAND, EXPIRIES_WITH_WAITLIST
from cinema.domain.showtime.commands import ExpireDue
from cinema.domain.showtime.events import HoldExpired, PaymentEnded
from cinema.domain.showtime.outcomes import NOTHING, Decision
from cinema.domain.showtime.packed import expiry_of, unpack
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState, waiting_for
from cinema.domain.showtime.terms import ShowtimeTerms


def due_expiries(state: ShowtimeState, due_us: int) -> list[HoldExpired | PaymentEnded]:
    """The holds whose deadline is not after `due_us`, earliest first, a bounded number.

    The caller records one after the other, each with the offers that it leads to (`offers.py`).
    """
    if state.next_due_us > due_us:
        return []
    due = [
        (expiry_of(packed), hold_id)
        for hold_id, packed in state.holds.items()
        if expiry_of(packed) <= due_us
    ]
    due.sort()
    limit = EXPIRIES_WITH_WAITLIST if state.waitlist else EXPIRIES_PER_COMMAND
    return [_expired(state, hold_id) for _, hold_id in due[:limit]]


def _expired(state: ShowtimeState, hold_id: bytes) -> HoldExpired | PaymentEnded:
    group = unpack(state.holds[hold_id])
    waiting = state.paying.get(hold_id)
    if waiting is None:
        return HoldExpired(hold_id, group.seats)
    booking_id = waiting_for(waiting).booking_id
    return PaymentEnded(
        hold_id, group.customer, group.seats, group.prices, booking_id, expired=True
    )


def expire_due(
    _state: ShowtimeState,
    _terms: ShowtimeTerms,
    _command: ExpireDue,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Nothing more: what is due has expired before every command."""
    return NOTHING
