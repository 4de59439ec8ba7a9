"""What a showtime's outcomes mean for a booking."""

from __future__ import annotations

from uuid import UUID

import msgspec

from cinema.actors.asking import refusal_of
from cinema.actors.messages import (
    OUTCOME_UNKNOWN,
    Accepted,
    Outcome,
    Unavailable,
)
from cinema.domain.pricing.tariffs import ADULT
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import BookHold, StartPayment
from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    PaymentEnded,
    PaymentStarted,
    Prices,
    Seats,
)
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import from_us
from cinema.features.bookings.rules import booked_seats, line_rows, shown_lines
from cinema.features.bookings.shapes import (
    BookedSeat,
    Booking,
    Payment,
)
from cinema.features.bookings.store import SoldBooking
from cinema.features.ledger.refund_rules import paid_status
from cinema.features.seats.service import money


def goes_on(outcome: Outcome, *, has_key: bool) -> bool:
    """Whether a booking certainly goes on after a cancellation: a part of it, or a refused one.

    A command with a key may be under way a second time.
    """
    if isinstance(outcome, Accepted):
        return not isinstance(outcome.event, BookingCancelled) or bool(outcome.event.seats)
    if isinstance(outcome, Unavailable):
        return outcome.code != OUTCOME_UNKNOWN and not has_key
    return True


def may_use(outcome: Outcome, booking_id: bytes) -> bool:
    """Whether a booking may have been made, and so uses its code.

    A repeated key is answered with another booking.
    """
    if isinstance(outcome, Accepted):
        event = outcome.event
        return isinstance(event, HoldBooked | PaymentStarted) and event.booking_id == booking_id
    return isinstance(outcome, Unavailable) and outcome.code == OUTCOME_UNKNOWN


def paying(
    booking: BookHold,
    before_start_s: int | None = None,
    seats_limit: int = 0,
    *,
    for_exchange: bool = False,
) -> StartPayment:
    """A booking that waits for its payment, instead of one that is paid."""
    return StartPayment(
        command_id=booking.command_id,
        fingerprint=booking.fingerprint,
        hold_id=booking.hold_id,
        customer=booking.customer,
        booking_id=booking.booking_id,
        code=booking.code,
        payment_id=booking.payment_id,
        payment_method=booking.payment_method,
        before_start_s=before_start_s,
        seats_limit=seats_limit,
        sale=booking.sale,
        for_exchange=for_exchange,
    )


def booked(outcome: Outcome) -> Booking | Rejection:
    """The booking in an outcome, confirmed or pending; refuses if the outcome is a refusal."""
    if not isinstance(outcome, Accepted) or not isinstance(
        outcome.event, HoldBooked | PaymentStarted
    ):
        return refusal_of(outcome)
    accepted, event = outcome, outcome.event
    terms = accepted.terms
    total = money(sum(event.prices) + event.fees_minor, event.currency)
    payment = Payment(UUID(bytes=event.payment_id), event.payment_method, "succeeded", total)
    if isinstance(event, PaymentStarted):
        payment = msgspec.structs.replace(
            payment, status="pending", pay_until=from_us(event.pay_until_us)
        )
    return Booking(
        id=UUID(bytes=event.booking_id),
        code=event.code,
        showtime_id=UUID(bytes=terms.showtime_id),
        status="pending" if isinstance(event, PaymentStarted) else "confirmed",
        seats=booked_seats(terms, event.seats, event.prices, event.types, event.currency),
        total=total,
        created_at=from_us(accepted.at_us),
        payment=payment,
        lines=shown_lines(line_rows(event.lines), event.currency),
    )


def given_up(terms: ShowtimeTerms, event: PaymentEnded, sale: SoldBooking) -> Booking:
    """The booking after its customer has given it up unpaid."""
    return Booking(
        id=UUID(bytes=event.booking_id),
        code=sale.code,
        showtime_id=UUID(bytes=terms.showtime_id),
        status="expired" if event.expired else "cancelled",
        seats=_seats_of(sale, terms, event.seats, event.prices),
        total=money(sale.amount_minor, sale.currency),
        created_at=sale.created_at,
        payment=Payment(
            sale.payment_id, sale.method, "failed", money(sale.amount_minor, sale.currency)
        ),
        lines=sale.shown_lines(),
        pick_up=sale.pick_up(),
    )


def cancelled_booking(
    accepted: Accepted,
    event: BookingCancelled,
    sale: SoldBooking,
    refunded_minor: int,
    now_minor: int,
    waiting_minor: int,
) -> Booking:
    """The booking after a cancellation, which has given `now_minor` back.

    One that has ended shows what it was worth before.
    """
    terms = accepted.terms
    whole = not event.seats
    seats, prices = event.seats, event.prices
    if whole:
        seats, prices = event.cancelled, event.cancelled_prices
    total_minor = sale.amount_minor - refunded_minor + (now_minor if whole else 0)
    return Booking(
        id=UUID(bytes=event.booking_id),
        code=sale.code,
        showtime_id=UUID(bytes=terms.showtime_id),
        status="cancelled" if whole else "confirmed",
        seats=_seats_of(sale, terms, seats, prices),
        total=money(total_minor, sale.currency),
        created_at=sale.created_at,
        payment=Payment(
            sale.payment_id,
            sale.method,
            paid_status(sale.amount_minor, refunded_minor),
            money(sale.amount_minor, sale.currency),
            money(refunded_minor, sale.currency) if refunded_minor else None,
            refund_pending=money(waiting_minor, sale.currency) if waiting_minor else None,
        ),
        lines=sale.shown_lines(),
        pick_up=sale.pick_up(),
    )


def _seats_of(
    sale: SoldBooking, terms: ShowtimeTerms, seats: Seats, prices: Prices
) -> list[BookedSeat]:
    types, labels = sale.type_of(), terms.plan.labels
    of_seats = [types.get(labels[seat], ADULT) for seat in seats]
    return booked_seats(terms, seats, prices, of_seats, sale.currency)
