"""Routes of films."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.catalog import examples
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import Movie, MovieInput, MovieQuery
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Movies"


@Operation(
    method="GET",
    path="/api/v1/movies",
    operation_id="listMovies",
    summary="List films by title",
    tag=TAG,
    query=MovieQuery,
    response=list[Movie],
    response_example=[examples.MOVIE],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_movies(catalog: CatalogService, context: RequestContext) -> Reply:
    """A page of films."""
    return listed(await catalog.movies(context.query))


@Operation(
    method="POST",
    path="/api/v1/movies",
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
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def create_movie(catalog: CatalogService, context: RequestContext) -> Reply:
    """Add a film."""
    return success(await catalog.create_movie(context.body, context.request_key), status=201)


@Operation(
    method="GET",
    path="/api/v1/movies/{movie_id}",
    operation_id="getMovie",
    summary="Get a film",
    tag=TAG,
    response=Movie,
    response_example=examples.MOVIE,
    errors=("RETRY",),
)
async def get_movie(catalog: CatalogService, context: RequestContext) -> Reply:
    """One film."""
    (movie_id,) = context.ids
    return success(await catalog.movie(movie_id))


ROUTES: Final = (list_movies, create_movie, get_movie)
