"""Routes of the marks on showtimes and films: sold out, or few left."""

from __future__ import annotations

from typing import Final

from cinema.features.showtimes import examples
from cinema.features.showtimes.availability_service import AvailabilityService
from cinema.features.showtimes.shapes import (
    MovieAvailability,
    MovieAvailabilityQuery,
    ShowtimeAvailability,
    ShowtimeAvailabilityQuery,
)
from cinema.http.context import RequestContext
from cinema.http.pages import shared
from cinema.http.responses import Reply, success_body
from cinema.http.routes import Operation

_AGE: Final = (
    "What it says is at most 15 seconds old, caches included, and only a mark: a hold decides. "
    "Seats that are held, booked or blocked are not free, nor are those that are kept for other "
    "channels than the web. "
)


@Operation(
    method="GET",
    path="/api/v1/showtimes/availability",
    operation_id="getAvailabilityOfShowtimes",
    summary="See which showtimes are sold out, or nearly",
    description=f"For the showtimes that a page shows, up to 100. {_AGE}Showtimes that are over, "
    "cancelled or not known, and those that do not answer in time, are left out.",
    tag="Showtimes",
    query=ShowtimeAvailabilityQuery,
    response=list[ShowtimeAvailability],
    response_example=[examples.SHOWTIME_AVAILABILITY],
    etag=True,
    errors=("RETRY",),
)
async def get_of_showtimes(availability: AvailabilityService, context: RequestContext) -> Reply:
    """The marks of showtimes."""
    found = await availability.of_showtimes(context.query.asked())
    return shared(context.request, success_body(found))


@Operation(
    method="GET",
    path="/api/v1/movies/availability",
    operation_id="getAvailabilityOfMovies",
    summary="See which films are sold out, or nearly",
    description="The best of a film's next 20 showtimes: of all, of a cinema, or of a local day. "
    f"{_AGE}Films without such a showtime are left out, and so are films of which it is not known "
    "whether a later one has seats.",
    tag="Movies",
    query=MovieAvailabilityQuery,
    response=list[MovieAvailability],
    response_example=[examples.MOVIE_AVAILABILITY],
    etag=True,
    errors=("RETRY",),
)
async def get_of_movies(availability: AvailabilityService, context: RequestContext) -> Reply:
    """The marks of films."""
    query = context.query
    found = await availability.of_movies(query.asked(), day=query.date, cinema_id=query.cinema_id)
    return shared(context.request, success_body(found))


ROUTES: Final = (get_of_showtimes, get_of_movies)
