"""The route that gives tickets of a booking other seats."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings import examples
from cinema.features.bookings.change_service import SeatChangesService
from cinema.features.bookings.shapes import Booking, SeatChangeInput
from cinema.features.seats.hold_routes import COMMAND_ERRORS, NAMED_SEATS_ERRORS
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Bookings"


class ChangeParts(msgspec.Struct, frozen=True):
    """What the handler of this module works with."""

    changes: SeatChangesService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/bookings/{booking_id}/seats",
    operation_id="changeSeats",
    summary="Change seats of a booking",
    description="The ticket for the first seat in `from` gets the first one in `to`, and so on, "
    "all or none. The new seats are free, or are in a live hold of the caller or of the booking's "
    "customer. Each ticket keeps its type and its discounts: its price changes by what the seats "
    "differ in, by the prices of the moment when it was held. What is less goes back by the refund "
    "policy. What is more is paid at once with `payment`, at the counter by staff; without it the "
    "answer is `PAYMENT_REQUIRED` with the amount. Possible before the start; for staff of the "
    "cinema also later.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=SeatChangeInput,
    request_example=examples.SEAT_CHANGE_INPUT,
    response=Booking,
    response_example=examples.SEATS_CHANGED,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        "FORBIDDEN",
        "UNKNOWN_PAYMENT_METHOD",
        "BOOKING_ENDED",
        "BOOKING_CHANGED",
        "PAYMENT_IN_PROGRESS",
        "PAYMENT_DISPUTED",
        "PAYMENT_REQUIRED",
        "CASH_SESSION_REQUIRED",
        "SHOWTIME_CANCELLED",
        "SHOWTIME_STARTED",
        "SALES_PAUSED",
        "SEAT_NOT_INCLUDED",
        "SEAT_UNAVAILABLE",
        "COMPANION_ONLY",
        "ORPHAN_SEAT",
    ),
    idempotent=True,
)
async def change_seats(parts: ChangeParts, context: RequestContext) -> Reply:
    """Give tickets of a booking other seats."""
    (booking_id,) = context.ids
    client = parts.door.client(context)
    return success(
        await parts.changes.change(
            context.principal, booking_id, context.body, client, context.request_key
        )
    )


ROUTES: Final = (change_seats,)
