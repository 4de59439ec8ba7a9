"""Bookings of the caller."""

from __future__ import annotations

from typing import Final

from cinema.domain.rejections import Rejection
from cinema.features.bookings.service import BookingsService
from cinema.features.bookings.shapes import Booking, BookingInput, BookingQuery
from cinema.features.seats.hold_routes import COMMAND_ERRORS
from cinema.features.seats.shapes import PartQuery
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

TAG: Final = "Bookings"


def booking_routes(bookings: BookingsService) -> tuple[Route, ...]:
    """Book, list, see and cancel."""

    async def create_booking(context: RequestContext) -> Reply | Rejection:
        booking = await bookings.book(context.principal, context.body, context.request_key)
        return _shown(booking, 201)

    async def list_bookings(context: RequestContext) -> Reply:
        return listed(await bookings.bookings(context.principal, context.query))

    async def get_booking(context: RequestContext) -> Reply | Rejection:
        (booking_id,) = context.params
        return _shown(await bookings.booking(context.principal, booking_id))

    async def cancel_booking(context: RequestContext) -> Reply | Rejection:
        (booking_id,) = context.params
        labels = context.query.labels()
        return _shown(
            await bookings.cancel(context.principal, booking_id, labels, context.request_key)
        )

    return (
        Route(
            method="POST",
            path="/api/v1/bookings",
            handler=create_booking,
            operation_id="createBooking",
            summary="Book a hold",
            description="`demo` confirms at once; `counter` is for staff of the cinema who have "
            "taken the money.",
            tag=TAG,
            auth="bearer",
            request=BookingInput,
            request_example=examples.BOOKING_INPUT,
            response=Booking,
            response_example=examples.BOOKING,
            status=201,
            errors=(
                *COMMAND_ERRORS,
                "FORBIDDEN",
                "UNKNOWN_PAYMENT_METHOD",
                "UNKNOWN_PROMO_CODE",
                "HOLD_ENDED",
            ),
            idempotent=True,
        ),
        Route(
            method="GET",
            path="/api/v1/bookings",
            handler=list_bookings,
            operation_id="listBookings",
            summary="One's own bookings, newest first",
            description="Each is either upcoming or past; cancelled ones are past at once.",
            tag=TAG,
            auth="bearer",
            query=BookingQuery,
            response=list[Booking],
            response_example=[examples.BOOKING],
            meta=PageMeta,
            errors=("RETRY",),
        ),
        Route(
            method="GET",
            path="/api/v1/bookings/{booking_id}",
            handler=get_booking,
            operation_id="getBooking",
            summary="One booking",
            tag=TAG,
            auth="bearer",
            response=Booking,
            response_example=examples.BOOKING,
            errors=("NOT_FOUND", "RETRY"),
        ),
        Route(
            method="DELETE",
            path="/api/v1/bookings/{booking_id}",
            handler=cancel_booking,
            operation_id="cancelBooking",
            summary="Cancel a booking, or part of it",
            description="Before the start; staff of its cinema may cancel anybody's, and later.",
            tag=TAG,
            auth="bearer",
            query=PartQuery,
            response=Booking,
            response_example={**examples.BOOKING, "status": "cancelled"},
            errors=(
                *COMMAND_ERRORS,
                "UNKNOWN_SEAT",
                "DUPLICATE_SEAT",
                "BOOKING_ENDED",
                "SHOWTIME_STARTED",
                "SEAT_NOT_INCLUDED",
            ),
            idempotent=True,
        ),
    )


def _shown(booking: Booking | Rejection, status: int = 200) -> Reply | Rejection:
    return booking if isinstance(booking, Rejection) else success(booking, status=status)
