"""Routes of cinemas."""

from __future__ import annotations

from typing import Final

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.catalog import examples
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    CinemaSettings,
    Deleted,
    Screen,
    SettingsOfCinema,
)
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, shared_list
from cinema.http.responses import Reply, header_lines, success, success_body
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
    etag=True,
    errors=("RETRY",),
)
async def list_cinemas(catalog: CatalogService, context: RequestContext) -> Reply:
    """A page of cinemas."""
    return shared_list(context.request, await catalog.cinemas(context.query))


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
    cinema = await catalog.create_cinema(context.body, context.request_key, by=context.principal)
    return success(cinema, status=201)


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}",
    operation_id="getCinema",
    summary="Get a cinema",
    tag=TAG,
    response=Cinema,
    response_example=examples.CINEMA,
    etag=True,
    errors=("RETRY",),
)
async def get_cinema(catalog: CatalogService, context: RequestContext) -> Reply:
    """One cinema, with its version for a tag."""
    (cinema_id,) = context.ids
    cinema = await catalog.cinema(cinema_id)
    return tagged(context.request, version_tag(cinema.version), success_body(cinema))


@Operation(
    method="PUT",
    path="/api/v1/cinemas/{cinema_id}",
    operation_id="replaceCinema",
    summary="Change a cinema",
    description="Missing fields get their defaults. `If-Match` names the version that you have "
    "seen. Another time zone or currency is refused while there are coming showtimes.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    request=CinemaInput,
    request_example=examples.CINEMA_INPUT,
    response=Cinema,
    response_example=examples.CINEMA_CHANGED,
    if_match=True,
    etag=True,
    errors=("CINEMA_IN_USE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def replace_cinema(catalog: CatalogService, context: RequestContext) -> Reply:
    """Describe a cinema anew."""
    (cinema_id,) = context.ids
    seen = versions_seen(context.request)
    cinema = await catalog.change_cinema(context.principal, cinema_id, context.body, seen)
    return success(cinema, extra=header_lines(etag=version_tag(cinema.version)))


@Operation(
    method="DELETE",
    path="/api/v1/cinemas/{cinema_id}",
    operation_id="deleteCinema",
    summary="Delete a cinema",
    description="Deletes its screens too. Refused as `CINEMA_IN_USE` while coming showtimes have "
    "bookings; `details.showtimes` names up to 100 of these. Otherwise, if it has "
    "coming showtimes, the answer is 202: the job `job_id` (`GET /jobs/{job_id}`) "
    "cancels them and then deletes it. If somebody books one meanwhile, it is kept, "
    "and the job fails.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=Deleted,
    response_example=examples.CINEMA_DELETED,
    later_status=202,
    if_match=True,
    errors=("CINEMA_IN_USE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def delete_cinema(catalog: CatalogService, context: RequestContext) -> Reply:
    """Take a cinema out of the catalogue."""
    (cinema_id,) = context.ids
    seen = versions_seen(context.request)
    deleted = await catalog.delete_cinema(context.principal, cinema_id, seen, context.request_key)
    return success(deleted, status=200 if deleted.job_id is None else 202)


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
    etag=True,
    errors=("RETRY",),
)
async def list_screens(catalog: CatalogService, context: RequestContext) -> Reply:
    """A page of a cinema's screens."""
    (cinema_id,) = context.ids
    return shared_list(context.request, await catalog.screens(cinema_id, context.query))


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/settings",
    operation_id="getCinemaSettings",
    summary="How a cinema is run",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    response=SettingsOfCinema,
    response_example=examples.SETTINGS_SEEN,
    etag=True,
    errors=("RETRY",),
)
async def get_settings(catalog: CatalogService, context: RequestContext) -> Reply:
    """The settings of a cinema."""
    (cinema_id,) = context.ids
    settings = await catalog.settings(context.principal, cinema_id)
    return tagged(context.request, version_tag(settings.version), success_body(settings))


@Operation(
    method="PUT",
    path="/api/v1/cinemas/{cinema_id}/settings",
    operation_id="changeCinemaSettings",
    summary="Change how a cinema is run",
    description="What is left out gets its default. Managers may not change the rating system, "
    "taxes, invoices and refunds (403 with `details.fields`). New minutes count for showtimes that "
    "are made or changed from now on. `If-Match` names the version of the cinema.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=CinemaSettings,
    request_example=examples.SETTINGS,
    response=SettingsOfCinema,
    response_example=examples.SETTINGS_SEEN,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def change_settings(catalog: CatalogService, context: RequestContext) -> Reply:
    """Change the settings of a cinema."""
    (cinema_id,) = context.ids
    seen = versions_seen(context.request)
    settings = await catalog.change_settings(context.principal, cinema_id, context.body, seen)
    return success(settings, extra=header_lines(etag=version_tag(settings.version)))


ROUTES: Final = (
    get_settings,
    change_settings,
    list_cinemas,
    create_cinema,
    get_cinema,
    replace_cinema,
    delete_cinema,
    list_screens,
)
