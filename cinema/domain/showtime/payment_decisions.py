"""Decisions about holds that are being paid: to wait for the payment, to book, to give them up."""

from __future__ import annotations

from typing import Final

from cinema.domain.ids import format_id
from cinema.domain.limits import EXCHANGE_GRACE_S
from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import WEB
from cinema.domain.seatmap import AVAILABLE
from cinema.domain.showtime.commands import (
    AbandonPayment,
    ConfirmPayment,
    ReturnPayment,
    StartPayment,
)
from cinema.domain.showtime.events import (
    HoldBooked,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
)
from cinema.domain.showtime.hold_decisions import live_hold, unpaid_hold
from cinema.domain.showtime.named_seats import unavailable
from cinema.domain.showtime.outcomes import NOT_FOUND, NOTHING, Decision, Recall
from cinema.domain.showtime.packed import SeatGroup, customer_of, unpack
from cinema.domain.showtime.recall import Recalled, ended_hold
from cinema.domain.showtime.sales import price_inputs_kept, sale_of
from cinema.domain.showtime.state import (
    ENDED_BOOKED,
    ENDED_EXPIRED,
    ENDED_NAMES,
    ShowtimeState,
    beside_ended,
    ended_as,
    waiting_for,
)
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import format_time

IS_BOOKED: Final = Rejection(code="HOLD_ENDED", details={"status": ENDED_NAMES[ENDED_BOOKED]})


def start_payment(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: StartPayment,
    now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Suspends the end of a live hold while its payment is under way; once for each hold."""
    group = unpaid_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    limit = command.seats_limit
    if 0 < limit < len(group.seats):
        details = {"limit": "unpaid_reservation_seats", "value": limit}
        message = f"At most {limit} seats can be reserved unpaid."
        return Rejection(code="HOLD_LIMIT", message=message, details=details)
    if command.before_start_s is None:
        pay_until_us = now_us + terms.payment_window_s * 1_000_000
    else:
        pay_until_us = terms.starts_at_us - command.before_start_s * 1_000_000
        if pay_until_us <= now_us:
            message = "Seats can no longer be reserved unpaid: pay for them now."
            return Rejection(code="SALES_CLOSED", message=message)
    sale = sale_of(state, terms, command.hold_id, group, command.sale)
    if isinstance(sale, Rejection):
        return sale
    grace_s = EXCHANGE_GRACE_S if command.for_exchange else terms.payment_grace_s
    return PaymentStarted(
        command.hold_id,
        command.for_customer or command.customer,
        group.seats,
        sale.prices,
        pay_until_us + grace_s * 1_000_000,
        pay_until_us,
        command.booking_id,
        command.code,
        command.payment_id,
        command.payment_method,
        terms.currency,
        -1 if command.before_start_s is None else command.before_start_s,
        fees_minor=sale.fees_minor,
        tax_minor=sale.tax_minor,
        fees_tax_minor=sale.fees_tax_minor,
        types=sale.types,
        taxes=sale.taxes,
        lines=sale.lines,
        promo_code=sale.promo_code,
        **price_inputs_kept(state, command.hold_id, group),
    )


def confirm_payment(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ConfirmPayment,
    now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Books what has been paid, or says why the money must go back."""
    if command.booking_id in state.bookings:
        return NOTHING
    packed = state.paying.get(command.hold_id)
    channel = 0
    if packed is not None:
        waiting = waiting_for(packed)
        if waiting.booking_id != command.booking_id:
            return NOT_FOUND
        group = live_hold(state, command.hold_id, command.customer, recalled)
        beside = waiting.beside
    else:
        ended = _ended_unpaid(state, command, recalled)
        if not isinstance(ended, bytes):
            return ended
        group = _late(state, terms, command, now_us, ended_as(ended).packed)
        beside = beside_ended(ended)
        if terms.channels or state.channels:
            # Who pays late and whose hold has left the memory is a customer on the web.
            channel = state.late_channels.get(command.hold_id, WEB if terms.channels else 0)
    if not isinstance(group, SeatGroup):
        return group
    fees_minor, tax_minor, fees_tax_minor = beside
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
        pending=True,
        fees_minor=fees_minor,
        tax_minor=tax_minor,
        fees_tax_minor=fees_tax_minor,
        channel=channel,
    )


def _late(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ConfirmPayment,
    now_us: int,
    packed: bytes,
) -> SeatGroup | Rejection:
    """The seats of a hold that ended unpaid, if they are all there and free."""
    if state.cancelled:
        return Rejection(code="SHOWTIME_CANCELLED")
    if now_us >= terms.starts_at_us:
        return Rejection(code="SHOWTIME_STARTED")
    group = unpack(packed)
    free = all(state.seats[seat] == AVAILABLE for seat in group.seats)
    if not free or len(group.seats) != command.seat_count:
        return unavailable(state, terms.plan, group.seats)
    return group


def abandon_payment(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    command: AbandonPayment,
    now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Ends a pending booking; nothing, if it has ended, and refused once it is paid."""
    if command.booking_id in state.bookings:
        return IS_BOOKED
    waiting = state.paying.get(command.hold_id)
    if waiting is None:
        ended = _ended_unpaid(state, command, recalled)
        return NOTHING if isinstance(ended, bytes) else ended
    group = live_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    booking_id, pay_until_us, *_ = waiting_for(waiting)
    if booking_id != command.booking_id:
        return NOT_FOUND
    if command.expired and now_us < pay_until_us:
        # Whoever asks has another clock, or another start in mind.
        details = {"booking_id": format_id(booking_id), "pay_until": format_time(pay_until_us)}
        return Rejection(code="PAYMENT_IN_PROGRESS", details=details)
    return PaymentEnded(
        command.hold_id,
        command.customer,
        group.seats,
        group.prices,
        command.booking_id,
        command.expired,
    )


def return_payment(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    command: ReturnPayment,
    _now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Makes sure that a pending booking is never booked; refused if it is, or was, booked.

    Nothing, if that is certain already: a booking that nobody remembers cannot be confirmed.
    """
    if command.booking_id in state.bookings:
        return IS_BOOKED
    waiting = state.paying.get(command.hold_id)
    if waiting is not None:
        group = live_hold(state, command.hold_id, command.customer, recalled)
        if not isinstance(group, SeatGroup):
            return group
        if waiting_for(waiting).booking_id != command.booking_id:
            return NOT_FOUND
        return PaymentReturned(
            command.hold_id,
            command.customer,
            group.seats,
            group.prices,
            command.booking_id,
            waited=True,
        )
    ended = ended_hold(state, command.hold_id, recalled)
    if isinstance(ended, Recall):
        return ended
    if ended is None:
        return NOT_FOUND
    status, packed, booking_id = ended_as(ended)
    if customer_of(packed) != command.customer:
        return NOT_FOUND
    if status == ENDED_BOOKED:
        return IS_BOOKED
    if booking_id is None:
        return NOTHING
    if booking_id != command.booking_id:
        return NOT_FOUND
    group = unpack(packed)
    return PaymentReturned(
        command.hold_id,
        command.customer,
        group.seats,
        group.prices,
        command.booking_id,
        waited=False,
        expired=status == ENDED_EXPIRED,
    )


def _ended_unpaid(
    state: ShowtimeState, command: ConfirmPayment | AbandonPayment, recalled: Recalled | None
) -> bytes | Rejection | Recall:
    """The hold that ended while this booking was waiting for its payment, as states keep it."""
    ended = ended_hold(state, command.hold_id, recalled)
    if isinstance(ended, Recall):
        return ended
    if ended is None:
        return NOT_FOUND
    status, packed, booking_id = ended_as(ended)
    if customer_of(packed) != command.customer:
        return NOT_FOUND
    if status == ENDED_BOOKED:
        return IS_BOOKED
    return ended if booking_id == command.booking_id else NOT_FOUND
