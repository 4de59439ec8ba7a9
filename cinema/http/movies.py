"""Routes of films."""

from __future__ import annotations

from typing import Final

from cinema.domain.accounts import ADMIN
from cinema.domain.catalog import Movie, MovieInput, Showtime
from cinema.http import examples
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routing import Route
from cinema.services.catalog import CatalogService
from cinema.services.shapes import MovieQuery, ShowtimeQuery
from cinema.services.showtimes import ShowtimesService

TAG: Final = "Movies"


def movie_routes(catalog: CatalogService, showtimes: ShowtimesService) -> tuple[Route, ...]:
    """The routes below `/movies`."""

    async def list_movies(context: RequestContext) -> Reply:
        return listed(await catalog.movies(context.query))

    async def create_movie(context: RequestContext) -> Reply:
        movie = await catalog.create_movie(context.body, context.request_key)
        return success(movie, status=201)

    async def get_movie(context: RequestContext) -> Reply:
        (movie_id,) = context.params
        return success(await catalog.movie(movie_id))

    async def list_showtimes(context: RequestContext) -> Reply:
        (movie_id,) = context.params
        return listed(await showtimes.showtimes_of_movie(movie_id, context.query))

    return (
        Route(
            method="GET",
            path="/api/v1/movies",
            handler=list_movies,
            operation_id="listMovies",
            summary="Films by title",
            tag=TAG,
            query=MovieQuery,
            response=list[Movie],
            response_example=[examples.MOVIE],
            meta=PageMeta,
            errors=("RETRY",),
        ),
        Route(
            method="POST",
            path="/api/v1/movies",
            handler=create_movie,
            operation_id="createMovie",
            summary="Add a film",
            tag=TAG,
            auth="bearer",
            roles=frozenset({ADMIN}),
            request=MovieInput,
            request_example=examples.MOVIE_INPUT,
            response=Movie,
            response_example=examples.MOVIE,
            status=201,
            errors=("IDEMPOTENCY_MISMATCH", "RETRY", "OUTCOME_UNKNOWN"),
            idempotent=True,
        ),
        Route(
            method="GET",
            path="/api/v1/movies/{movie_id}",
            handler=get_movie,
            operation_id="getMovie",
            summary="One film",
            tag=TAG,
            response=Movie,
            response_example=examples.MOVIE,
            errors=("NOT_FOUND", "RETRY"),
        ),
        Route(
            method="GET",
            path="/api/v1/movies/{movie_id}/showtimes",
            handler=list_showtimes,
            operation_id="listShowtimesOfMovie",
            summary="A film's showtimes",
            description="By start; without a day only those not yet over.",
            tag=TAG,
            query=ShowtimeQuery,
            response=list[Showtime],
            response_example=[examples.SHOWTIME],
            meta=PageMeta,
            errors=("NOT_FOUND", "RETRY"),
        ),
    )
