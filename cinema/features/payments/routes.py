"""Routes of payments."""

from __future__ import annotations

from typing import Final

from cinema.features.bookings import examples as booking_examples
from cinema.features.bookings.shapes import Booking
from cinema.features.payments import examples
from cinema.features.payments.service import PaymentsService
from cinema.features.payments.shapes import PaymentOfBooking, ProcessInput
from cinema.features.seats.hold_routes import COMMAND_ERRORS
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Payments"


@Operation(
    method="POST",
    path="/api/v1/payments/process",
    operation_id="processPayment",
    summary="Pay a pending booking",
    description="`counter` is for staff of the cinema who have taken the money: it goes into their "
    "open cash session. `demo` always "
    "succeeds. A booking is paid once: a repetition is answered with the booking as it is. After "
    "`pay_until` it gets its seats only if all of them are still free. `gift_card` takes the "
    "`code` of a card, before another method pays the rest.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=ProcessInput,
    request_example=examples.PROCESS_INPUT,
    response=Booking,
    response_example=booking_examples.BOOKING,
    errors=(
        *COMMAND_ERRORS,
        "FORBIDDEN",
        "UNKNOWN_PAYMENT_METHOD",
        "PAYMENT_FAILED",
        "UNKNOWN_GIFT_CARD",
        "GIFT_CARD_UNUSABLE",
        "POINTS_UNUSABLE",
        "RATE_LIMITED",
        "CASH_SESSION_REQUIRED",
        "BOOKING_ENDED",
        "SEAT_UNAVAILABLE",
        "SHOWTIME_CANCELLED",
        "SHOWTIME_STARTED",
    ),
)
async def process_payment(payments: PaymentsService, context: RequestContext) -> Reply:
    """Pay a booking of the caller, or of a customer at the counter."""
    return success(await payments.process(context.principal, context.body))


@Operation(
    method="GET",
    path="/api/v1/payments/{payment_id}",
    operation_id="getPayment",
    summary="Get a payment",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=PaymentOfBooking,
    response_example=examples.PAYMENT,
    errors=("RETRY",),
)
async def get_payment(payments: PaymentsService, context: RequestContext) -> Reply:
    """A payment that the caller may see."""
    (payment_id,) = context.ids
    return success(await payments.payment(context.principal, payment_id))


ROUTES: Final = (process_payment, get_payment)
