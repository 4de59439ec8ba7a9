"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.catalog.store import CatalogRepository
from cinema.features.feature import Feature
from cinema.features.jobs.store import JobsRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.schedules import routes as schedule_routes
from cinema.features.schedules.errors import ERRORS
from cinema.features.schedules.jobs import Planning
from cinema.features.schedules.metrics import ScheduleCounts
from cinema.features.schedules.service import KIND, SchedulesService
from cinema.features.schedules.store import SchedulesRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now = node.now
    store = SchedulesRepository(node.pool, node.reads, offered[CatalogRepository].cache)
    counts = ScheduleCounts()
    schedules = SchedulesService(
        store,
        offered[CatalogRepository],
        offered[JobsRepository],
        counts,
        new_id=node.next_id,
        now=now,
    )
    return Feature(
        routes=bound(schedule_routes.ROUTES, schedules),
        metrics=(counts.families,),
        jobs={KIND: Planning(store, counts, now=now).kind},
        sweeps={"schedule-plans": store.forget},
    )


TAGS: Final = {
    "Schedules": "Plans for what a cinema shows on its coming days, made by the server.",
}

SCHEDULES: Final = Listed(build, errors=ERRORS, tags=TAGS)
