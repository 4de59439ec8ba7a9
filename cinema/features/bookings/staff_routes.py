"""Routes of bookings, for staff of their cinemas."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.paging import PageQuery
from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings import examples
from cinema.features.bookings.shapes import (
    BookingNote,
    BookingSearch,
    ManagedBooking,
    NoteInput,
    SentAgain,
)
from cinema.features.bookings.staff_service import StaffBookingsService
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Bookings"


class StaffParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    staff: StaffBookingsService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/admin/bookings",
    operation_id="searchBookings",
    summary="Find bookings of your cinemas, newest first",
    description="By `code`, `email`, `name` (whole words of an account's name, in any order) or "
    "`showtime_id`: at least one of them, and all that are given fit. Admins find bookings of all "
    "cinemas. A name that too many people have needs more beside it.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    query=BookingSearch,
    response=list[ManagedBooking],
    response_example=[examples.MANAGED],
    meta=PageMeta,
    errors=("RETRY",),
)
async def search_bookings(parts: StaffParts, context: RequestContext) -> Reply:
    """A page of bookings."""
    return listed(await parts.staff.search(context.principal, context.query))


@Operation(
    method="GET",
    path="/api/v1/admin/bookings/{booking_id}",
    operation_id="getManagedBooking",
    summary="Get a booking of one of your cinemas, with whose it is",
    description="From here staff cancel it (`DELETE /bookings/{id}`), give money back (`POST "
    "/payments/refund`), issue its tickets again (`POST /tickets/{id}/reissue`), change its seats "
    "(`POST /bookings/{id}/seats`) and exchange it (`POST /bookings/{id}/exchange`).",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=ManagedBooking,
    response_example=examples.MANAGED,
    errors=("RETRY",),
)
async def get_managed_booking(parts: StaffParts, context: RequestContext) -> Reply:
    """A booking."""
    (booking_id,) = context.ids
    return success(await parts.staff.booking(context.principal, booking_id))


@Operation(
    method="POST",
    path="/api/v1/admin/bookings/{booking_id}/resend",
    operation_id="resendBooking",
    summary="Send the mail about a booking again",
    description="With its tickets and its date, to the address that the customer gave. A guest "
    "gets a new link, and the links of earlier mails end. What was sold at the counter has no "
    "address (`NO_EMAIL_ADDRESS`). As often as any mail that somebody asks for.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=SentAgain,
    response_example=examples.SENT_AGAIN,
    errors=(
        "TICKET_UNPAID",
        "BOOKING_ENDED",
        "NO_EMAIL_ADDRESS",
        "RATE_LIMITED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
)
async def resend_booking(parts: StaffParts, context: RequestContext) -> Reply:
    """Send a mail again."""
    (booking_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.staff.send_again(context.principal, booking_id, client))


@Operation(
    method="GET",
    path="/api/v1/admin/bookings/{booking_id}/notes",
    operation_id="listBookingNotes",
    summary="Read the notes about a booking, newest first",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    query=PageQuery,
    response=list[BookingNote],
    response_example=[examples.NOTE],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_notes(parts: StaffParts, context: RequestContext) -> Reply:
    """A page of notes."""
    (booking_id,) = context.ids
    return listed(await parts.staff.notes(context.principal, booking_id, context.query))


@Operation(
    method="POST",
    path="/api/v1/admin/bookings/{booking_id}/notes",
    operation_id="addBookingNote",
    summary="Write a note about a booking",
    description="Notes are not changed and not deleted by hand. They are in the export that a "
    "customer asks for, and go with the customer's data, after two years at the latest.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=NoteInput,
    request_example=examples.NOTE_INPUT,
    response=BookingNote,
    response_example=examples.NOTE,
    status=201,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def add_note(parts: StaffParts, context: RequestContext) -> Reply:
    """Write something down."""
    (booking_id,) = context.ids
    client = parts.door.client(context)
    made = await parts.staff.add_note(
        context.principal, booking_id, context.body, client, context.request_key
    )
    return success(made, status=201)


ROUTES: Final = (search_bookings, get_managed_booking, resend_booking, list_notes, add_note)
