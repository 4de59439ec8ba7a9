"""Routes of films."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.catalog import examples
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import Deleted, Movie, MovieInput, MovieQuery
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, shared_list
from cinema.http.responses import Reply, header_lines, success, success_body
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
    etag=True,
    errors=("RETRY",),
)
async def list_movies(catalog: CatalogService, context: RequestContext) -> Reply:
    """A page of films."""
    return shared_list(context.request, await catalog.movies(context.query))


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
    errors=("UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def create_movie(catalog: CatalogService, context: RequestContext) -> Reply:
    """Add a film."""
    movie = await catalog.create_movie(context.body, context.request_key, by=context.principal)
    return success(movie, status=201)


@Operation(
    method="GET",
    path="/api/v1/movies/{movie_id}",
    operation_id="getMovie",
    summary="Get a film",
    tag=TAG,
    response=Movie,
    response_example=examples.MOVIE,
    etag=True,
    errors=("RETRY",),
)
async def get_movie(catalog: CatalogService, context: RequestContext) -> Reply:
    """One film, with its version for a tag."""
    (movie_id,) = context.ids
    movie = await catalog.movie(movie_id)
    return tagged(context.request, version_tag(movie.version, *movie.beside), success_body(movie))


@Operation(
    method="PUT",
    path="/api/v1/movies/{movie_id}",
    operation_id="replaceMovie",
    summary="Change a film",
    description="Missing fields get their defaults. `If-Match` names the version that you have "
    "seen, so that no change is lost. Scheduled showtimes keep their length.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    request=MovieInput,
    request_example=examples.MOVIE_INPUT,
    response=Movie,
    response_example=examples.MOVIE_CHANGED,
    if_match=True,
    etag=True,
    errors=("UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def replace_movie(catalog: CatalogService, context: RequestContext) -> Reply:
    """Describe a film anew."""
    (movie_id,) = context.ids
    seen = versions_seen(context.request)
    movie = await catalog.change_movie(context.principal, movie_id, context.body, seen)
    return success(movie, extra=header_lines(etag=version_tag(movie.version, *movie.beside)))


@Operation(
    method="DELETE",
    path="/api/v1/movies/{movie_id}",
    operation_id="deleteMovie",
    summary="Delete a film",
    description="Refused as `MOVIE_IN_USE` while coming showtimes have bookings; "
    "`details.showtimes` names up to 100 of these. Otherwise, if it has coming "
    "showtimes, the answer is 202: the job `job_id` (`GET /jobs/{job_id}`) cancels "
    "them and then deletes it. If somebody books one meanwhile, it is kept, and the "
    "job fails. Past bookings stay as they are.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=Deleted,
    response_example=examples.MOVIE_DELETED,
    later_status=202,
    if_match=True,
    errors=("MOVIE_IN_USE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def delete_movie(catalog: CatalogService, context: RequestContext) -> Reply:
    """Take a film out of the catalogue."""
    (movie_id,) = context.ids
    seen = versions_seen(context.request)
    deleted = await catalog.delete_movie(context.principal, movie_id, seen, context.request_key)
    return success(deleted, status=200 if deleted.job_id is None else 202)


ROUTES: Final = (list_movies, create_movie, get_movie, replace_movie, delete_movie)
