"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature
from cinema.features.jobs import routes as job_routes
from cinema.features.jobs.errors import ERRORS
from cinema.features.jobs.metrics import JobCounts
from cinema.features.jobs.service import JobsService
from cinema.features.jobs.store import JobsRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    jobs = offered.add(JobsRepository(node.pool, new_id=node.next_id, now=node.common_time))
    counts = offered.add(JobCounts())
    return Feature(
        routes=bound(job_routes.ROUTES, JobsService(jobs)),
        metrics=(counts.families,),
        sweeps={"jobs": jobs.forget},
    )


TAGS: Final = {
    "Jobs": "Work that goes on behind an answer.",
}

JOBS: Final = Listed(build, errors=ERRORS, tags=TAGS)
