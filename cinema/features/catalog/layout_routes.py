"""Routes of the versions of layouts."""

from __future__ import annotations

from typing import Final

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.catalog import examples
from cinema.features.catalog.layout_service import LayoutsService
from cinema.features.catalog.shapes import ImportQuery, LayoutImport, LayoutQuery, LayoutVersion
from cinema.http.conditional import tagged, version_tag, versions_seen
from cinema.http.connections.upload import Upload
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import JSON_REVALIDATED, Reply, success
from cinema.http.routes import Operation

TAG: Final = "Screens"


@Operation(
    method="GET",
    path="/api/v1/screens/{screen_id}/layouts",
    operation_id="listLayouts",
    summary="List the versions of a screen's layout, newest first",
    description="With who made each, and when, and how many showtimes sell by it. "
    "`GET /screens/{screen_id}/layout?version=` has the seats of a version.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    query=PageQuery,
    response=list[LayoutVersion],
    response_example=[examples.LAYOUT_VERSION],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_layouts(layouts: LayoutsService, context: RequestContext) -> Reply:
    """A page of versions."""
    (screen_id,) = context.ids
    return listed(await layouts.versions(context.principal, screen_id, context.query))


@Operation(
    method="POST",
    path="/api/v1/screens/{screen_id}/layout/import",
    operation_id="importLayout",
    summary="Make a layout of a seating plan of pretix",
    description="A form with the field `file`: a seating plan in the JSON of pretix, of at most "
    "`MAX_UPLOAD_SIZE_MB`. It becomes the next version of the layout; existing showtimes keep "
    "theirs. The report says which label each row has now, and what a layout cannot say. With "
    "`dry_run` there is only the report. `screen_at` is `bottom` if the screen is below the seats "
    "in the drawing. `If-Match` names the version of the layout that it replaces.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    query=ImportQuery,
    request=Upload,
    response=LayoutImport,
    response_example=examples.LAYOUT_IMPORT,
    if_match=True,
    errors=("UNUSABLE_PLAN", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def import_layout(layouts: LayoutsService, context: RequestContext) -> Reply:
    """Give a screen the layout of a seating plan."""
    (screen_id,) = context.ids
    return success(
        await layouts.import_plan(
            context.principal,
            screen_id,
            context.body.content,
            context.query,
            versions_seen(context.request),
            context.request_key,
        )
    )


@Operation(
    method="GET",
    path="/api/v1/screens/{screen_id}/layout/export",
    operation_id="exportLayout",
    summary="Get a layout as a seating plan of pretix",
    description="The file itself, without an envelope. Accessible seats and their companions' have "
    "categories of their own, such as `regular (wheelchair)`, from which an import makes them "
    "again. The focal point is left out.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN, MANAGER}),
    query=LayoutQuery,
    media_type=JSON_REVALIDATED.content_type,
    etag=True,
    errors=("OVERLOADED", "RETRY"),
)
async def export_layout(layouts: LayoutsService, context: RequestContext) -> Reply:
    """A layout as a seating plan."""
    (screen_id,) = context.ids
    version, plan = await layouts.export_plan(context.principal, screen_id, context.query.version)
    return tagged(context.request, version_tag(version), plan)


ROUTES: Final = (list_layouts, import_layout, export_layout)
