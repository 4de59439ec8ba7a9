"""Routes of showtimes as the catalogue knows them."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.showtimes.service import ShowtimesService
from cinema.features.showtimes.shapes import Showtime, ShowtimeInput, ShowtimeQuery
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

TAG: Final = "Showtimes"
MOVIES_TAG: Final = "Movies"


def showtime_routes(showtimes: ShowtimesService) -> tuple[Route, ...]:
    """The routes of `/showtimes` itself, and of a film's; seats and holds are other features."""

    async def list_showtimes(context: RequestContext) -> Reply:
        return listed(await showtimes.showtimes(context.query))

    async def create_showtime(context: RequestContext) -> Reply:
        showtime = await showtimes.create_showtime(
            context.principal, context.body, context.request_key
        )
        return success(showtime, status=201)

    async def get_showtime(context: RequestContext) -> Reply:
        (showtime_id,) = context.params
        return success(await showtimes.showtime(showtime_id))

    async def list_showtimes_of_movie(context: RequestContext) -> Reply:
        (movie_id,) = context.params
        return listed(await showtimes.showtimes_of_movie(movie_id, context.query))

    return (
        Route(
            method="GET",
            path="/api/v1/showtimes",
            handler=list_showtimes,
            operation_id="listShowtimes",
            summary="Showtimes by start",
            description="Days are those of each cinema's own calendar; "
            "without a day only showtimes not yet over.",
            tag=TAG,
            query=ShowtimeQuery,
            response=list[Showtime],
            response_example=[examples.SHOWTIME],
            meta=PageMeta,
            errors=("RETRY",),
        ),
        Route(
            method="POST",
            path="/api/v1/showtimes",
            handler=create_showtime,
            operation_id="createShowtime",
            summary="Put a film on a screen",
            description="The end follows from the film's runtime. Only a manager of the cinema, "
            "or an admin.",
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
                "IDEMPOTENCY_MISMATCH",
                "RETRY",
                "OUTCOME_UNKNOWN",
            ),
            idempotent=True,
        ),
        Route(
            method="GET",
            path="/api/v1/showtimes/{showtime_id}",
            handler=get_showtime,
            operation_id="getShowtime",
            summary="One showtime",
            tag=TAG,
            response=Showtime,
            response_example=examples.SHOWTIME,
            errors=("NOT_FOUND", "RETRY"),
        ),
        Route(
            method="GET",
            path="/api/v1/movies/{movie_id}/showtimes",
            handler=list_showtimes_of_movie,
            operation_id="listShowtimesOfMovie",
            summary="A film's showtimes",
            description="By start; without a day only those not yet over.",
            tag=MOVIES_TAG,
            query=ShowtimeQuery,
            response=list[Showtime],
            response_example=[examples.SHOWTIME],
            meta=PageMeta,
            errors=("NOT_FOUND", "RETRY"),
        ),
    )
