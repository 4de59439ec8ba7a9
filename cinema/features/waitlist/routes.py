"""Routes of wait lists."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.seats.hold_routes import COMMAND_ERRORS
from cinema.features.waitlist import examples
from cinema.features.waitlist.service import WaitlistService
from cinema.features.waitlist.shapes import (
    ListedEntry,
    WaitlistEnded,
    WaitlistEntry,
    WaitlistInput,
)
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Wait lists"


@Operation(
    method="POST",
    path="/api/v1/showtimes/{showtime_id}/waitlist",
    throttle="commands",
    operation_id="joinWaitlist",
    summary="Wait for seats that are not there now",
    description="As soon as seats become free, those who wait are offered them in the order in "
    "which they came: an offer is a hold of 15 minutes, to be booked or released as any hold. "
    "Whoever cannot be given all their seats keeps the place. The list ends 30 minutes before the "
    "start. One place, or one open offer, for each customer. Accounts are sent a mail about an "
    "offer; guests have to look.",
    tag=TAG,
    auth="bearer",
    guests=True,
    request=WaitlistInput,
    request_example=examples.ENTRY_INPUT,
    response=WaitlistEntry,
    response_example=examples.ENTRY,
    status=201,
    errors=(
        *COMMAND_ERRORS,
        "UNKNOWN_CATEGORY",
        "SHOWTIME_CANCELLED",
        "SALES_CLOSED",
        "SALES_PAUSED",
        "WAITLIST_CLOSED",
        "HOLD_LIMIT",
        "ALREADY_WAITING",
        "NOT_ENOUGH_SEATS",
        "SEATS_AVAILABLE",
        "WAITLIST_FULL",
    ),
    idempotent=True,
)
async def join_waitlist(waitlists: WaitlistService, context: RequestContext) -> Reply:
    """Put the caller on the list."""
    (showtime_id,) = context.ids
    entry = await waitlists.join(showtime_id, context.principal, context.body, context.request_key)
    return success(entry, status=201)


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/waitlist",
    operation_id="getWaitlistEntry",
    summary="Get your place in the wait list, or the offer that came of it",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=WaitlistEntry,
    response_example=examples.OFFERED,
    errors=("OVERLOADED", "RETRY"),
)
async def get_entry(waitlists: WaitlistService, context: RequestContext) -> Reply:
    """The place of the caller."""
    (showtime_id,) = context.ids
    return success(await waitlists.own(showtime_id, context.principal))


@Operation(
    method="DELETE",
    path="/api/v1/showtimes/{showtime_id}/waitlist",
    throttle="commands",
    operation_id="leaveWaitlist",
    summary="Wait no longer",
    description="Seats that were offered already are released as those of any hold.",
    tag=TAG,
    auth="bearer",
    guests=True,
    response=WaitlistEnded,
    response_example=examples.ENDED,
    errors=COMMAND_ERRORS,
    idempotent=True,
)
async def leave_waitlist(waitlists: WaitlistService, context: RequestContext) -> Reply:
    """Take the caller off the list."""
    (showtime_id,) = context.ids
    return success(await waitlists.leave(showtime_id, context.principal, context.request_key))


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/waitlist/entries",
    operation_id="listWaitlist",
    summary="List who waits, in order, and then the open offers",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=list[ListedEntry],
    response_example=[examples.LISTED],
    errors=("OVERLOADED", "RETRY"),
)
async def list_waitlist(waitlists: WaitlistService, context: RequestContext) -> Reply:
    """The whole list, for staff of the cinema."""
    (showtime_id,) = context.ids
    return success(await waitlists.all(showtime_id, context.principal))


ROUTES: Final = (join_waitlist, get_entry, leave_waitlist, list_waitlist)
