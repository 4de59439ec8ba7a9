"""Decisions about bookings: making one of a hold, and cancelling it."""

from __future__ import annotations

from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import BookHold, CancelBooking
from cinema.domain.showtime.events import BookingCancelled, HoldBooked
from cinema.domain.showtime.hold_decisions import live_hold
from cinema.domain.showtime.named_seats import part
from cinema.domain.showtime.outcomes import NOT_FOUND, Decision
from cinema.domain.showtime.packed import SeatGroup, unpack
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms


def book_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: BookHold,
    _now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Turns a live hold into a booking."""
    group = live_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    return HoldBooked(
        command.hold_id,
        command.customer,
        group.seats,
        group.prices,
        command.booking_id,
        command.code,
        command.payment_id,
        command.payment_method,
        terms.currency,
    )


def cancel_booking(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: CancelBooking,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Cancels a booking or some of its seats; customers only before the start."""
    packed = state.bookings.get(command.booking_id)
    if packed is None:
        return Rejection(code="BOOKING_ENDED")
    group = unpack(packed)
    if command.customer is not None:
        if command.customer != group.customer:
            return NOT_FOUND
        if now_us >= terms.starts_at_us:
            return Rejection(code="SHOWTIME_STARTED")
    parted = part(terms.plan, group, command.labels)
    if isinstance(parted, Rejection):
        return parted
    gone, gone_prices, kept, kept_prices = parted
    return BookingCancelled(
        command.booking_id, group.customer, gone, gone_prices, kept, kept_prices
    )
