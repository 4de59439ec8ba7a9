"""Routes of loyalty points."""

from __future__ import annotations

from typing import Final

from cinema.domain.paging import PageQuery
from cinema.features.loyalty import examples
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.loyalty.shapes import Loyalty, PointsEntry
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Loyalty"


@Operation(
    method="GET",
    path="/api/v1/loyalty",
    operation_id="getLoyalty",
    summary="Get your points",
    description="A point is worth one minor unit of its currency. Points that expire first are "
    "used first.",
    tag=TAG,
    auth="bearer",
    response=Loyalty,
    response_example=examples.LOYALTY,
    errors=("RETRY",),
)
async def get_loyalty(loyalty: LoyaltyService, context: RequestContext) -> Reply:
    """The caller's points."""
    return success(await loyalty.loyalty(context.principal))


@Operation(
    method="GET",
    path="/api/v1/loyalty/entries",
    operation_id="listPointsEntries",
    summary="List what has changed your points, newest first",
    tag=TAG,
    auth="bearer",
    query=PageQuery,
    response=list[PointsEntry],
    response_example=[examples.ENTRY],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_entries(loyalty: LoyaltyService, context: RequestContext) -> Reply:
    """A page of entries."""
    return listed(await loyalty.history(context.principal, context.query))


ROUTES: Final = (get_loyalty, list_entries)
