"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.actors.tasks import Tasks
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.presale import routes as presale_routes
from cinema.features.presale.errors import ERRORS
from cinema.features.presale.jobs import UsesReturned
from cinema.features.presale.service import PresaleService
from cinema.features.presale.store import PresaleRepository
from cinema.features.seats.service import SeatsService
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now, store = node.common_time, PresaleRepository(node.pool)
    tasks = Tasks(node.kernel.metrics.task_failures)
    node.stack.push_async_callback(tasks.cancel)
    presale = PresaleService(store, node.dispatch, tasks, new_id=node.next_uuid, now=now)
    offered[SeatsService].presell_by(presale.hold)
    return Feature(
        routes=bound(presale_routes.ROUTES, presale),
        tasks={"presale-uses": UsesReturned(store, node.dispatch, now=now).run},
        sweeps={"presale-codes": store.forget},
    )


TAGS: Final = {
    "Presale": "Codes with which some customers hold seats before sales open to everybody.",
}

PRESALE: Final = Listed(build, errors=ERRORS, tags=TAGS)
