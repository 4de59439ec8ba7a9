"""Routes of cinemas."""

from __future__ import annotations

from typing import Final

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import Cinema, CinemaInput, Screen
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routing import Route

TAG: Final = "Cinemas"


def cinema_routes(catalog: CatalogService) -> tuple[Route, ...]:
    """The routes below `/cinemas`."""

    async def list_cinemas(context: RequestContext) -> Reply:
        return listed(await catalog.cinemas(context.query))

    async def create_cinema(context: RequestContext) -> Reply:
        cinema = await catalog.create_cinema(context.body, context.request_key)
        return success(cinema, status=201)

    async def get_cinema(context: RequestContext) -> Reply:
        (cinema_id,) = context.params
        return success(await catalog.cinema(cinema_id))

    async def list_screens(context: RequestContext) -> Reply:
        (cinema_id,) = context.params
        return listed(await catalog.screens(cinema_id, context.query))

    return (
        Route(
            method="GET",
            path="/api/v1/cinemas",
            handler=list_cinemas,
            operation_id="listCinemas",
            summary="Cinemas, the oldest first",
            tag=TAG,
            query=PageQuery,
            response=list[Cinema],
            response_example=[examples.CINEMA],
            meta=PageMeta,
            errors=("RETRY",),
        ),
        Route(
            method="POST",
            path="/api/v1/cinemas",
            handler=create_cinema,
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
            errors=("IDEMPOTENCY_MISMATCH", "RETRY", "OUTCOME_UNKNOWN"),
            idempotent=True,
        ),
        Route(
            method="GET",
            path="/api/v1/cinemas/{cinema_id}",
            handler=get_cinema,
            operation_id="getCinema",
            summary="One cinema",
            tag=TAG,
            response=Cinema,
            response_example=examples.CINEMA,
            errors=("NOT_FOUND", "RETRY"),
        ),
        Route(
            method="GET",
            path="/api/v1/cinemas/{cinema_id}/screens",
            handler=list_screens,
            operation_id="listScreensOfCinema",
            summary="A cinema's screens",
            tag=TAG,
            query=PageQuery,
            response=list[Screen],
            response_example=[examples.SCREEN],
            meta=PageMeta,
            errors=("NOT_FOUND", "RETRY"),
        ),
    )
