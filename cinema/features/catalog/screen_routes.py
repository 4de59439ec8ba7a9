"""Routes of screens and their layouts."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import LayoutInput, Screen, ScreenInput, ScreenLayout
from cinema.http.conditional import tagged, versions_seen
from cinema.http.context import RequestContext
from cinema.http.document import examples
from cinema.http.responses import JSON_IMMUTABLE, JSON_REVALIDATED, Reply, success, success_body
from cinema.http.routing import Route

TAG: Final = "Screens"
LAYOUT_VERSION_MAX: Final = 2**31 - 1


class LayoutQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version of a layout, the current one by default."""

    version: Annotated[int, msgspec.Meta(ge=1, le=LAYOUT_VERSION_MAX)] | None = None


def screen_routes(catalog: CatalogService) -> tuple[Route, ...]:
    """The routes below `/screens`."""

    async def create_screen(context: RequestContext) -> Reply:
        screen = await catalog.create_screen(context.principal, context.body, context.request_key)
        return success(screen, status=201)

    async def get_screen(context: RequestContext) -> Reply:
        (screen_id,) = context.params
        return success(await catalog.screen(screen_id))

    async def get_layout(context: RequestContext) -> Reply:
        (screen_id,) = context.params
        version: int | None = context.query.version
        layout = await catalog.layout(screen_id, version)
        # A version never changes; which one is current does.
        medium = JSON_REVALIDATED if version is None else JSON_IMMUTABLE
        return tagged(context.request, f'"{layout.layout_version}"', success_body(layout), medium)

    async def replace_layout(context: RequestContext) -> Reply:
        (screen_id,) = context.params
        seen = versions_seen(context.request)
        return success(
            await catalog.replace_layout(context.principal, screen_id, context.body, seen)
        )

    return (
        Route(
            method="POST",
            path="/api/v1/screens",
            handler=create_screen,
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
            errors=(
                "UNKNOWN_REFERENCE",
                "NAME_TAKEN",
                "IDEMPOTENCY_MISMATCH",
                "RETRY",
                "OUTCOME_UNKNOWN",
            ),
            idempotent=True,
        ),
        Route(
            method="GET",
            path="/api/v1/screens/{screen_id}",
            handler=get_screen,
            operation_id="getScreen",
            summary="One screen",
            tag=TAG,
            response=Screen,
            response_example=examples.SCREEN,
            errors=("NOT_FOUND", "RETRY"),
        ),
        Route(
            method="GET",
            path="/api/v1/screens/{screen_id}/layout",
            handler=get_layout,
            operation_id="getLayout",
            summary="The fixed part of a screen's seat map",
            description="A version never changes and may be cached for ever; "
            "`If-None-Match` asks whether the current one is still the same.",
            tag=TAG,
            query=LayoutQuery,
            response=ScreenLayout,
            response_example=examples.LAYOUT,
            etag=True,
            errors=("NOT_FOUND", "RETRY"),
        ),
        Route(
            method="PUT",
            path="/api/v1/screens/{screen_id}/layout",
            handler=replace_layout,
            operation_id="replaceLayout",
            summary="Give a screen new seats",
            description="The next version of the layout; showtimes made before keep theirs. "
            "`If-Match` names the version it is made from, so that nobody's change is lost.",
            tag=TAG,
            auth="bearer",
            roles=frozenset({ADMIN, MANAGER}),
            request=LayoutInput,
            request_example=examples.GRID,
            response=Screen,
            response_example={**examples.SCREEN, "layout_version": 2},
            if_match=True,
            errors=("NOT_FOUND", "RETRY", "OUTCOME_UNKNOWN"),
        ),
    )
