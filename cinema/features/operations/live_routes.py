"""The route of what happens right now."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN
from cinema.features.operations import live_examples as examples
from cinema.features.operations.live_service import LiveService
from cinema.features.operations.live_shapes import Live
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Operations"


@Operation(
    method="GET",
    path="/api/v1/admin/live",
    operation_id="getLive",
    summary="What happens right now: sales a minute, watchers, nodes, errors",
    description="All nodes are asked; one that does not answer within a second has no `counts`.",
    tag=TAG,
    auth="bearer",
    roles=frozenset({ADMIN}),
    response=Live,
    response_example=examples.LIVE,
    errors=("RETRY",),
)
async def get_live(service: LiveService, _: RequestContext) -> Reply:
    """Now."""
    return success(await service.live())


ROUTES: Final = (get_live,)
