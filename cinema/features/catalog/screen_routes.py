"""Routes of screens and their layouts."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.catalog import examples
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import (
    Deleted,
    LayoutInput,
    LayoutQuery,
    Screen,
    ScreenChange,
    ScreenInput,
    ScreenLayout,
)
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.responses import (
    JSON_IMMUTABLE,
    JSON_REVALIDATED,
    Reply,
    header_lines,
    success,
    success_body,
)
from cinema.http.routes import Operation

TAG: Final = "Screens"


@Operation(
    method="POST",
    path="/api/v1/screens",
    operation_id="createScreen",
    summary="Add a screen",
    description="With either a `layout` or a `grid`.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=ScreenInput,
    request_example=examples.SCREEN_INPUT,
    response=Screen,
    response_example=examples.SCREEN,
    status=201,
    errors=("UNKNOWN_REFERENCE", "NAME_TAKEN", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def create_screen(catalog: CatalogService, context: RequestContext) -> Reply:
    """Add a screen to a cinema."""
    screen = await catalog.create_screen(context.principal, context.body, context.request_key)
    return success(screen, status=201)


@Operation(
    method="GET",
    path="/api/v1/screens/{screen_id}",
    operation_id="getScreen",
    summary="Get a screen",
    tag=TAG,
    response=Screen,
    response_example=examples.SCREEN,
    etag=True,
    errors=("RETRY",),
)
async def get_screen(catalog: CatalogService, context: RequestContext) -> Reply:
    """One screen, with its version for a tag."""
    (screen_id,) = context.ids
    screen = await catalog.screen(screen_id)
    return tagged(context.request, version_tag(screen.version), success_body(screen))


@Operation(
    method="PUT",
    path="/api/v1/screens/{screen_id}",
    operation_id="replaceScreen",
    summary="Rename a screen, or change its rules of sale",
    description="`If-Match` names the version of the screen (not of its layout) that you saw. New "
    "showtimes sell by the new rules at once, and those that are there as soon as they are changed "
    "or loaded anew. What a showtime says itself goes before.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=ScreenChange,
    request_example=examples.SCREEN_CHANGE,
    response=Screen,
    response_example=examples.SCREEN_RENAMED,
    if_match=True,
    etag=True,
    errors=("NAME_TAKEN", "RETRY", "OUTCOME_UNKNOWN"),
)
async def replace_screen(catalog: CatalogService, context: RequestContext) -> Reply:
    """Give a screen another name, and rules."""
    (screen_id,) = context.ids
    seen = versions_seen(context.request)
    screen = await catalog.rename_screen(context.principal, screen_id, context.body, seen)
    return success(screen, extra=header_lines(etag=version_tag(screen.version)))


@Operation(
    method="DELETE",
    path="/api/v1/screens/{screen_id}",
    operation_id="deleteScreen",
    summary="Delete a screen",
    description="Refused as `SCREEN_IN_USE` while coming showtimes have bookings; "
    "`details.showtimes` names up to 100 of these. Otherwise, if it has coming "
    "showtimes, the answer is 202: the job `job_id` (`GET /jobs/{job_id}`) cancels "
    "them and then deletes it. If somebody books one meanwhile, it is kept, and the "
    "job fails. Its name can be used again.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    response=Deleted,
    response_example=examples.SCREEN_DELETED,
    later_status=202,
    if_match=True,
    errors=("SCREEN_IN_USE", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def delete_screen(catalog: CatalogService, context: RequestContext) -> Reply:
    """Take a screen out of the catalogue."""
    (screen_id,) = context.ids
    seen = versions_seen(context.request)
    deleted = await catalog.delete_screen(context.principal, screen_id, seen, context.request_key)
    return success(deleted, status=200 if deleted.job_id is None else 202)


@Operation(
    method="GET",
    path="/api/v1/screens/{screen_id}/layout",
    operation_id="getLayout",
    summary="Get the fixed part of a screen's seat map",
    description="A version never changes and may be cached for ever; `If-None-Match` asks whether "
    "the current one is still the same.",
    tag=TAG,
    query=LayoutQuery,
    response=ScreenLayout,
    response_example=examples.LAYOUT,
    etag=True,
    errors=("RETRY",),
)
async def get_layout(catalog: CatalogService, context: RequestContext) -> Reply:
    """A version of a layout, with its number as the ETag."""
    (screen_id,) = context.ids
    version: int | None = context.query.version
    layout = await catalog.layout(screen_id, version)
    # A version never changes, but another one may become the current one.
    medium = JSON_REVALIDATED if version is None else JSON_IMMUTABLE
    return tagged(context.request, version_tag(layout.layout_version), success_body(layout), medium)


@Operation(
    method="PUT",
    path="/api/v1/screens/{screen_id}/layout",
    operation_id="replaceLayout",
    summary="Give a screen new seats",
    description="Makes the next version of the layout; existing showtimes keep theirs. `If-Match` "
    "names the version that it replaces, so that no change is lost; the `ETag` is that of the new "
    "layout.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    request=LayoutInput,
    request_example=examples.GRID,
    response=Screen,
    response_example=examples.SCREEN_CHANGED,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def replace_layout(catalog: CatalogService, context: RequestContext) -> Reply:
    """Give a screen the next version of its layout."""
    (screen_id,) = context.ids
    seen = versions_seen(context.request)
    screen = await catalog.replace_layout(context.principal, screen_id, context.body, seen)
    return success(screen, extra=header_lines(etag=version_tag(screen.layout_version)))


ROUTES: Final = (
    create_screen,
    get_screen,
    replace_screen,
    delete_screen,
    get_layout,
    replace_layout,
)
