"""Routes of bookings."""

from __future__ import annotations

from typing import Final

import msgspec
from multidict import istr

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings import examples
from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.shapes import Booking, BookingInput, BookingQuery
from cinema.features.seats.hold_routes import COMMAND_ERRORS, NAMED_SEATS_ERRORS
from cinema.features.seats.shapes import PartQuery
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Bookings"

ACCEPT_LANGUAGE: Final = istr("Accept-Language")


class BookingParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    bookings: BookingsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/bookings",
    operation_id="createBooking",
    summary="Book a hold",
    description="`demo` confirms at once. `counter` is for staff of the cinema who have taken the "
    "money: it goes into their open cash session. Only guests send an `email`: they get a mail "
    "with a link to the booking. Each seat is for an adult, unless `tickets` says otherwise. "
    "Prices are those of the hold's moment, for all types. What costs nothing is booked at once, "
    "by the method `free`. `gift_card` takes the `code` of a card, `points` those of the caller; "
    "if that does not pay all, the booking is pending, and `payment.due` is paid by "
    "`POST /payments/process` with another method. `concessions` are products of the cinema in the "
    "same booking: `pick_up.code` is shown at its counter, where they are handed out.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=BookingInput,
    request_example=examples.BOOKING_INPUT,
    response=Booking,
    response_example=examples.BOOKING,
    status=201,
    errors=(
        *COMMAND_ERRORS,
        "FORBIDDEN",
        "GUEST_HAS_EMAIL",
        "UNKNOWN_PAYMENT_METHOD",
        "UNKNOWN_SEAT",
        "DUPLICATE_SEAT",
        "SEAT_NOT_INCLUDED",
        "UNKNOWN_PRODUCT",
        "UNKNOWN_TICKET_TYPE",
        "TICKETS_NOT_ALLOWED",
        "UNKNOWN_PROMO_CODE",
        "RATE_LIMITED",
        "PROMO_NOT_APPLICABLE",
        "HOLD_ENDED",
        "HOLD_CHANGED",
        "CASH_SESSION_REQUIRED",
        "UNKNOWN_GIFT_CARD",
        "GIFT_CARD_UNUSABLE",
        "POINTS_UNUSABLE",
    ),
    idempotent=True,
)
async def create_booking(parts: BookingParts, context: RequestContext) -> Reply:
    """Turn a hold of the caller into a booking."""
    language = context.request.headers.get(ACCEPT_LANGUAGE, "")
    booking = await parts.bookings.book(
        context.principal, context.body, context.request_key, language
    )
    return success(booking, status=201)


@Operation(
    method="GET",
    path="/api/v1/bookings",
    operation_id="listBookings",
    summary="List your bookings, newest first",
    description="Each booking is either upcoming or past. Cancelled ones are past at once.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=BookingQuery,
    response=list[Booking],
    response_example=[examples.BOOKING],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_bookings(parts: BookingParts, context: RequestContext) -> Reply:
    """A page of the caller's bookings."""
    return listed(await parts.bookings.bookings(context.principal, context.query))


@Operation(
    method="GET",
    path="/api/v1/bookings/{booking_id}",
    operation_id="getBooking",
    summary="Get a booking",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=Booking,
    response_example=examples.BOOKING,
    errors=("RETRY",),
)
async def get_booking(parts: BookingParts, context: RequestContext) -> Reply:
    """A booking that the caller may see."""
    (booking_id,) = context.ids
    return success(await parts.bookings.booking(context.principal, booking_id))


@Operation(
    method="DELETE",
    path="/api/v1/bookings/{booking_id}",
    operation_id="cancelBooking",
    summary="Cancel a booking, or part of it",
    description="Possible before the start. Staff of the cinema may cancel any booking, and also "
    "later.",
    tag=TAG,
    auth="bearer",
    guests=True,
    query=PartQuery,
    response=Booking,
    response_example=examples.CANCELLED,
    errors=(
        *COMMAND_ERRORS,
        *NAMED_SEATS_ERRORS,
        "PAYMENT_DISPUTED",
        "ALREADY_USED",
        "BOOKING_ENDED",
        "SHOWTIME_STARTED",
        "SEAT_NOT_INCLUDED",
    ),
    idempotent=True,
)
async def cancel_booking(parts: BookingParts, context: RequestContext) -> Reply:
    """Cancel seats of a booking; without `seats`, all of them."""
    (booking_id,) = context.ids
    labels, client = context.query.labels(), parts.door.client(context)
    return success(
        await parts.bookings.cancel(
            context.principal, booking_id, labels, client, context.request_key
        )
    )


ROUTES: Final = (create_booking, list_bookings, get_booking, cancel_booking)
