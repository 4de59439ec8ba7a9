"""The route of the watch socket."""

from __future__ import annotations

from typing import Final

from aiohttp.web import StreamResponse

from cinema.features.watching.hub import WatchHub
from cinema.features.watching.messages import PROTOCOL, WatchQuery
from cinema.http.context import RequestContext
from cinema.http.responses import Reply
from cinema.http.routes import Operation

TAG: Final = "Seats"


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/watch",
    operation_id="watchShowtime",
    summary="Watch the seats, and send commands (WebSocket)",
    description=PROTOCOL,
    tag=TAG,
    auth="optional",
    guests=True,
    query=WatchQuery,
    status=101,
    errors=("UPGRADE_REQUIRED", "ORIGIN_NOT_ALLOWED", "RATE_LIMITED", "OVERLOADED"),
    websocket=True,
)
async def watch_showtime(hub: WatchHub, context: RequestContext) -> Reply | StreamResponse:
    """A socket, until one side closes it."""
    return await hub.serve(context)


ROUTES: Final = (watch_showtime,)
