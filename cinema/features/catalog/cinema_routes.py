"""Routes of cinemas."""

from __future__ import annotations

from typing import Final

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN
from cinema.features.catalog import examples
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import Cinema, CinemaInput, Screen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Cinemas"


@Operation(
    method="GET",
    path="/api/v1/cinemas",
    operation_id="listCinemas",
    summary="List cinemas, oldest first",
    tag=TAG,
    query=PageQuery,
    response=list[Cinema],
    response_example=[examples.CINEMA],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_cinemas(catalog: CatalogService, context: RequestContext) -> Reply:
    """A page of cinemas."""
    return listed(await catalog.cinemas(context.query))


@Operation(
    method="POST",
    path="/api/v1/cinemas",
    operation_id="createCinema",
    summary="Add a cinema",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    request=CinemaInput,
    request_example=examples.CINEMA_INPUT,
    response=Cinema,
    response_example=examples.CINEMA,
    status=201,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def create_cinema(catalog: CatalogService, context: RequestContext) -> Reply:
    """Add a cinema."""
    return success(await catalog.create_cinema(context.body, context.request_key), status=201)


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}",
    operation_id="getCinema",
    summary="Get a cinema",
    tag=TAG,
    response=Cinema,
    response_example=examples.CINEMA,
    errors=("RETRY",),
)
async def get_cinema(catalog: CatalogService, context: RequestContext) -> Reply:
    """One cinema."""
    (cinema_id,) = context.ids
    return success(await catalog.cinema(cinema_id))


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/screens",
    operation_id="listScreensOfCinema",
    summary="List a cinema's screens",
    tag=TAG,
    query=PageQuery,
    response=list[Screen],
    response_example=[examples.SCREEN],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_screens(catalog: CatalogService, context: RequestContext) -> Reply:
    """A page of a cinema's screens."""
    (cinema_id,) = context.ids
    return listed(await catalog.screens(cinema_id, context.query))


ROUTES: Final = (list_cinemas, create_cinema, get_cinema, list_screens)
