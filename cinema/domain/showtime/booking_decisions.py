"""Decisions about bookings: making one of a hold, and cancelling it."""

from __future__ import annotations

from typing import Final

from cinema.domain.limits import FREE_REFUND_S
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import BookHold, CancelBooking
from cinema.domain.showtime.events import BookingCancelled, HoldBooked
from cinema.domain.showtime.hold_decisions import unpaid_hold
from cinema.domain.showtime.named_seats import part
from cinema.domain.showtime.outcomes import NOT_FOUND, Decision
from cinema.domain.showtime.packed import SeatGroup, unpack
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.sales import price_inputs_kept, sale_of
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms

WHOLE_BP: Final = 10_000
"""All of a price, in hundredths of a percent."""

BOOKING_CHANGED: Final = Rejection(code="BOOKING_CHANGED")
"""What was worked out for a booking is not for what it is by now."""


def book_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: BookHold,
    _now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Turns a live hold into a booking."""
    group = unpaid_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    sale = sale_of(state, terms, command.hold_id, group, command.sale)
    if isinstance(sale, Rejection):
        return sale
    return HoldBooked(
        command.hold_id,
        command.customer,
        group.seats,
        sale.prices,
        command.booking_id,
        command.code,
        command.payment_id,
        command.payment_method,
        terms.currency,
        fees_minor=sale.fees_minor,
        tax_minor=sale.tax_minor,
        fees_tax_minor=sale.fees_tax_minor,
        types=sale.types,
        taxes=sale.taxes,
        lines=sale.lines,
        promo_code=sale.promo_code,
        **price_inputs_kept(state, command.hold_id, group),
    )


def cancel_booking(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: CancelBooking,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Cancels a booking or some of its seats; customers only before the start.

    Or for as long as they were promised that they may give back a showtime that was moved far: it
    may be over by the time they hear of it.
    """
    packed = state.bookings.get(command.booking_id)
    if packed is None:
        return Rejection(code="BOOKING_ENDED")
    group = unpack(packed)
    if command.customer is not None:
        if command.customer != group.customer:
            return NOT_FOUND
        if now_us >= terms.starts_at_us and not may_give_back(terms, group, now_us):
            return Rejection(code="SHOWTIME_STARTED")
    parted = part(terms.plan, group, command.labels)
    if isinstance(parted, Rejection):
        return parted
    gone, gone_prices, kept, kept_prices = parted
    if command.exchange_id and not _is_as_seen(terms, group, command):
        return BOOKING_CHANGED
    paid_minor = sum(gone_prices)
    refund_minor = share_of(paid_minor, terms, group, command.refund_bp, now_us)
    products_minor = 0
    if not kept:
        refund_minor += command.fees_minor
        products_minor = command.products_minor
    if command.refund_minor >= 0:
        refund_minor, products_minor = command.refund_minor, 0
    if refund_minor == paid_minor:
        refund_minor = -1
    return BookingCancelled(
        *(command.booking_id, group.customer, gone, gone_prices, kept, kept_prices, refund_minor),
        products_minor=products_minor,
        exchange_id=command.exchange_id,
        carried_minor=command.carried_minor,
    )


def _is_as_seen(terms: ShowtimeTerms, group: SeatGroup, command: CancelBooking) -> bool:
    """Whether an exchange is of all seats of a booking, at the prices that its sender has seen."""
    labels, pairs = terms.plan.labels, zip(group.seats, group.prices, strict=True)
    seats = {labels[seat]: price for seat, price in pairs}
    return command.labels is None and dict(command.seen) == seats


def share_of(
    paid_minor: int, terms: ShowtimeTerms, group: SeatGroup, refund_bp: int, now_us: int
) -> int:
    """What goes back of a price, halves up; all of it if the showtime was moved far."""
    share_bp = WHOLE_BP if may_give_back(terms, group, now_us) else refund_bp
    return (paid_minor * share_bp + WHOLE_BP // 2) // WHOLE_BP


def may_give_back(terms: ShowtimeTerms, group: SeatGroup, now_us: int) -> bool:
    """Whether the start was moved far since this was booked, less than a week ago."""
    until_us = terms.free_refund_until_us
    return now_us < until_us and group.placed_at_us <= until_us - FREE_REFUND_S * 1_000_000
