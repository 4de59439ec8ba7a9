"""Routes of films."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import Movie, MovieInput, MovieQuery
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

TAG: Final = "Movies"


def movie_routes(catalog: CatalogService) -> tuple[Route, ...]:
    """The routes below `/movies`."""

    async def list_movies(context: RequestContext) -> Reply:
        return listed(await catalog.movies(context.query))

    async def create_movie(context: RequestContext) -> Reply:
        movie = await catalog.create_movie(context.body, context.request_key)
        return success(movie, status=201)

    async def get_movie(context: RequestContext) -> Reply:
        (movie_id,) = context.params
        return success(await catalog.movie(movie_id))

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
    )
