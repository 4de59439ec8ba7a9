"""The route that exchanges a booking for seats of another showtime."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings import examples
from cinema.features.bookings.exchange_service import ExchangesService
from cinema.features.bookings.shapes import Booking, ExchangeInput
from cinema.features.seats.hold_routes import COMMAND_ERRORS
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Bookings"


class ExchangeParts(msgspec.Struct, frozen=True):
    """What the handler of this module works with."""

    exchanges: ExchangesService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/bookings/{booking_id}/exchange",
    operation_id="exchangeBooking",
    summary="Exchange a booking for seats of another showtime",
    description="All seats of the booking are given up for those of a hold, and the answer is the "
    "new booking: both happen, or neither does. What the refund policy would give back now pays "
    "for the new seats. What they cost more is paid at once with `payment`, at the counter by "
    "staff; without it the answer is `PAYMENT_REQUIRED` with the amount. What is left over goes "
    "back. Possible before the start; for staff of the cinema also later.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=ExchangeInput,
    request_example=examples.EXCHANGE_INPUT,
    response=Booking,
    response_example=examples.BOOKING,
    errors=(
        *COMMAND_ERRORS,
        "FORBIDDEN",
        "UNKNOWN_PAYMENT_METHOD",
        "UNKNOWN_SEAT",
        "DUPLICATE_SEAT",
        "SEAT_NOT_INCLUDED",
        "UNKNOWN_TICKET_TYPE",
        "TICKETS_NOT_ALLOWED",
        "HOLD_ENDED",
        "HOLD_CHANGED",
        "PAYMENT_DISPUTED",
        "ALREADY_USED",
        "BOOKING_ENDED",
        "BOOKING_CHANGED",
        "EXCHANGE_ENDED",
        "PRODUCTS_IN_BOOKING",
        "PAYMENT_IN_PROGRESS",
        "PAYMENT_REQUIRED",
        "CASH_SESSION_REQUIRED",
        "SHOWTIME_STARTED",
        "SHOWTIME_CANCELLED",
    ),
    idempotent=True,
)
async def exchange_booking(parts: ExchangeParts, context: RequestContext) -> Reply:
    """Give up a booking for the seats of a hold of another showtime."""
    (booking_id,) = context.ids
    client = parts.door.client(context)
    return success(
        await parts.exchanges.exchange(
            context.principal, booking_id, context.body, client, context.request_key
        )
    )


ROUTES: Final = (exchange_booking,)
