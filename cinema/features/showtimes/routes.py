"""Routes of showtimes as the catalogue knows them; seats and holds are another feature."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.showtimes import examples
from cinema.features.showtimes.service import ShowtimesService
from cinema.features.showtimes.shapes import (
    Cancellation,
    CancelQuery,
    LayoutChanged,
    LayoutChoice,
    Showtime,
    ShowtimeInput,
    ShowtimeQuery,
)
from cinema.http.conditional import tagged, versions_seen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, shared_list
from cinema.http.responses import ENCODER, Medium, Reply, header_lines, success, success_body
from cinema.http.routes import Declared, Operation

TAG: Final = "Showtimes"
MOVIES_TAG: Final = "Movies"

LINKED_DATA: Final = Medium(content_type="application/ld+json", cache_control="public, max-age=60")
"""For crawlers, which come by no more often than this."""


@Operation(
    method="GET",
    path="/api/v1/showtimes",
    operation_id="listShowtimes",
    summary="List showtimes by start",
    description="Days are local days of each cinema. Without a day, showtimes that are over are "
    "left out.",
    tag=TAG,
    query=ShowtimeQuery,
    response=list[Showtime],
    response_example=[examples.SHOWTIME],
    meta=PageMeta,
    etag=True,
    errors=("RETRY",),
)
async def list_showtimes(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """A page of showtimes."""
    return shared_list(context.request, await showtimes.showtimes(context.query))


@Operation(
    method="POST",
    path="/api/v1/showtimes",
    operation_id="createShowtime",
    summary="Put a film on a screen",
    description="The end follows from the film's runtime. For managers of the cinema, and admins.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=ShowtimeInput,
    request_example=examples.SHOWTIME_INPUT,
    response=Showtime,
    response_example=examples.SHOWTIME,
    status=201,
    errors=(
        "UNKNOWN_REFERENCE",
        "UNKNOWN_CATEGORY",
        "SCREEN_OCCUPIED",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def create_showtime(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """Put a film on a screen."""
    showtime = await showtimes.create_showtime(context.principal, context.body, context.request_key)
    return success(showtime, status=201)


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}",
    operation_id="getShowtime",
    summary="Get a showtime",
    tag=TAG,
    response=Showtime,
    response_example=examples.SHOWTIME,
    etag=True,
    errors=("RETRY",),
)
async def get_showtime(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """One showtime."""
    (showtime_id,) = context.ids
    showtime = await showtimes.showtime(showtime_id)
    return tagged(context.request, _tag(showtime), success_body(showtime))


@Operation(
    method="PUT",
    path="/api/v1/showtimes/{showtime_id}",
    operation_id="changeShowtime",
    summary="Change a showtime while it is being sold",
    description="Replaces the whole showtime: missing fields get their defaults. New prices count "
    "only for new holds. While seats are held or booked, the film cannot change, and another "
    "screen of the cinema must have these seats. A start that moves by more than 30 minutes in all "
    "makes the showtime `rescheduled`: until `free_refund_until` (7 days) customers get a full "
    "refund, even behind the start. Whoever has booked is informed of that, and of another screen. "
    "When the answer comes, every node sells by the new terms. `If-Match` names the "
    "version that you have seen.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=ShowtimeInput,
    request_example=examples.SHOWTIME_INPUT,
    response=Showtime,
    response_example=examples.SHOWTIME_CHANGED,
    if_match=True,
    etag=True,
    errors=(
        "UNKNOWN_REFERENCE",
        "UNKNOWN_CATEGORY",
        "SHOWTIME_CANCELLED",
        "SHOWTIME_STARTED",
        "SHOWTIME_IN_USE",
        "SCREEN_OCCUPIED",
        "RETRY",
        "OVERLOADED",
        "OUTCOME_UNKNOWN",
    ),
)
async def change_showtime(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """Change a showtime."""
    (showtime_id,) = context.ids
    seen = versions_seen(context.request)
    showtime = await showtimes.change_showtime(context.principal, showtime_id, context.body, seen)
    return success(showtime, extra=header_lines(etag=_tag(showtime)))


@Operation(
    method="PUT",
    path="/api/v1/showtimes/{showtime_id}/layout",
    operation_id="changeShowtimeLayout",
    summary="Sell the current layout of the screen",
    description="Until then a showtime keeps the layout that was current when it was made. Seats "
    "keep their labels. Refused as `PLAN_IN_USE` if taken seats are missing in the new layout or "
    "are of another kind; `details.seats` names them. It is `UNKNOWN_CATEGORY` if the showtime has "
    "a price for a category that the new layout lacks: change the showtime first.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=LayoutChoice,
    request_example=examples.LAYOUT_CHOICE,
    response=LayoutChanged,
    response_example=examples.LAYOUT_CHANGED,
    if_match=True,
    etag=True,
    errors=(
        "UNKNOWN_REFERENCE",
        "UNKNOWN_CATEGORY",
        "SHOWTIME_CANCELLED",
        "PLAN_IN_USE",
        "RETRY",
        "OVERLOADED",
        "OUTCOME_UNKNOWN",
    ),
)
async def change_layout(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """Sell the current layout of the screen."""
    (showtime_id,) = context.ids
    changed = await showtimes.change_layout(
        context.principal,
        showtime_id,
        context.body.layout_version,
        versions_seen(context.request),
    )
    return success(changed, extra=header_lines(etag=f'"{changed.version}"'))


@Operation(
    method="DELETE",
    path="/api/v1/showtimes/{showtime_id}",
    operation_id="cancelShowtime",
    summary="Cancel a showtime",
    description="When the answer comes, nothing is sold any more, and holds have ended. 202 if "
    "there were bookings: the job `job_id` (`GET /jobs/{job_id}`) cancels them, refunds them fully "
    "and informs their customers. A repetition gets the same answer.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    query=CancelQuery,
    response=Cancellation,
    response_example=examples.CANCELLATION,
    later_status=202,
    if_match=True,
    errors=("SHOWTIME_STARTED", "RETRY", "OVERLOADED", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def cancel_showtime(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """Cancel a showtime."""
    (showtime_id,) = context.ids
    cancelled = await showtimes.cancel_showtime(
        context.principal,
        showtime_id,
        context.query.reason,
        versions_seen(context.request),
        context.request_key,
    )
    return success(cancelled, status=200 if cancelled.job_id is None else 202)


def _tag(showtime: Showtime) -> str:
    return f'"{showtime.version}"'


@Operation(
    method="GET",
    path="/api/v1/movies/{movie_id}/showtimes",
    operation_id="listShowtimesOfMovie",
    summary="List a film's showtimes by start",
    description="Without a day, showtimes that are over are left out.",
    tag=MOVIES_TAG,
    query=ShowtimeQuery,
    response=list[Showtime],
    response_example=[examples.SHOWTIME],
    meta=PageMeta,
    etag=True,
    errors=("RETRY",),
)
async def list_showtimes_of_movie(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """A page of a film's showtimes."""
    (movie_id,) = context.ids
    return shared_list(context.request, await showtimes.showtimes_of_movie(movie_id, context.query))


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/screening-event",
    operation_id="getScreeningEvent",
    summary="A showtime for search engines",
    description="A `ScreeningEvent` of schema.org as JSON-LD, to be put into a page as it is.",
    tag=TAG,
    media_type=LINKED_DATA.content_type,
    errors=("RETRY",),
)
async def get_screening_event(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """A showtime as linked data, which scripts of other pages may read too."""
    (showtime_id,) = context.ids
    event = await showtimes.screening_event(showtime_id)
    # It goes into pages as it is: no text in it may end the element that it stands in.
    return Reply(200, ENCODER.encode(event).replace(b"<", b"\\u003c"), medium=LINKED_DATA)


def _called(
    declared: Declared[ShowtimesService], operation_id: str, path: str
) -> Declared[ShowtimesService]:
    """The same under the name that schedules know it by."""
    operation = msgspec.structs.replace(
        declared.operation,
        operation_id=operation_id,
        path=path,
        description=f"The same as `{declared.operation.operation_id}`. "
        f"{declared.operation.description}",
    )
    return Declared(operation, declared.handler)


_SCHEDULED: Final = "/api/v1/schedule/showtime"

schedule_showtime = _called(create_showtime, "scheduleShowtime", _SCHEDULED)
reschedule_showtime = _called(
    change_showtime, "rescheduleShowtime", f"{_SCHEDULED}/{{showtime_id}}"
)
unschedule_showtime = _called(
    cancel_showtime, "unscheduleShowtime", f"{_SCHEDULED}/{{showtime_id}}"
)

ROUTES: Final = (
    get_screening_event,
    schedule_showtime,
    reschedule_showtime,
    unschedule_showtime,
    list_showtimes,
    create_showtime,
    get_showtime,
    change_showtime,
    change_layout,
    cancel_showtime,
    list_showtimes_of_movie,
)
