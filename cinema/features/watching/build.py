"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.admission import TokenAdmission
from cinema.features.accounts.throttles import Throttles
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.seats.hold_limits import HoldLimits
from cinema.features.seats.service import SeatsService
from cinema.features.watching import routes as watch_routes
from cinema.features.watching.errors import ERRORS
from cinema.features.watching.hub import WatchHub
from cinema.features.watching.metrics import watch_families
from cinema.features.watching.options import WatchOptions
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    hub = offered.add(
        WatchHub(
            node.dispatch,
            offered[SeatsService],
            offered[TokenAdmission].verify,
            offered[TokenAdmission].look_up,
            node.writer.allows_origin,
            _options(node),
            errors=node.errors,
            holds=offered[HoldLimits],
            throttles=offered[Throttles],
            turns=node.turns,
            key_of=node.proxies.client_key,
        )
    )
    return Feature(routes=bound(watch_routes.ROUTES, hub), metrics=(watch_families(hub),))


def _options(node: NodeParts) -> WatchOptions:
    settings = node.settings
    return WatchOptions(
        sockets_limit=settings.watchers_limit,
        coalesce_s=settings.watch_coalesce_ms / 1000,
        frame_limit_bytes=settings.ws_frame_limit_bytes,
        commands_in_flight=settings.ws_commands_in_flight,
        pending_limit_bytes=settings.ws_pending_limit_bytes,
        heartbeat_s=settings.ws_heartbeat_seconds,
        sockets_per_address=settings.watchers_per_address,
        sockets_per_user=settings.watchers_per_user,
        owner_of=node.owner_of(),
    )


TAGS: Final = {
    "Watching": "Seat maps as they change, over a WebSocket.",
}

WATCHING: Final = Listed(build, errors=ERRORS, tags=TAGS)
