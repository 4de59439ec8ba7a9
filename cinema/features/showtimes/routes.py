"""Routes of showtimes as the catalogue knows them; seats and holds are another feature."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.showtimes import examples
from cinema.features.showtimes.service import ShowtimesService
from cinema.features.showtimes.shapes import Showtime, ShowtimeInput, ShowtimeQuery
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Showtimes"
MOVIES_TAG: Final = "Movies"


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
    errors=("RETRY",),
)
async def list_showtimes(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """A page of showtimes."""
    return listed(await showtimes.showtimes(context.query))


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
    errors=("RETRY",),
)
async def get_showtime(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """One showtime."""
    (showtime_id,) = context.ids
    return success(await showtimes.showtime(showtime_id))


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
    errors=("RETRY",),
)
async def list_showtimes_of_movie(showtimes: ShowtimesService, context: RequestContext) -> Reply:
    """A page of a film's showtimes."""
    (movie_id,) = context.ids
    return listed(await showtimes.showtimes_of_movie(movie_id, context.query))


ROUTES: Final = (list_showtimes, create_showtime, get_showtime, list_showtimes_of_movie)
