"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.reports import admin_routes as admin_report_routes
from cinema.features.reports import routes as report_routes
from cinema.features.reports.experiment_store import ExperimentsRepository
from cinema.features.reports.figure_jobs import FiguresKept
from cinema.features.reports.figure_service import FiguresService
from cinema.features.reports.figure_store import FiguresRepository
from cinema.features.reports.funnel_store import FunnelRepository
from cinema.features.reports.metrics import FigureCounts
from cinema.features.reports.projection_store import IS_BEHIND, ProjectionRepository
from cinema.features.reports.service import ReportsService
from cinema.features.reports.store import ReturnsRepository
from cinema.http.routes import bound
from cinema.storage.database.reads import PrimaryReads


async def build(node: NodeParts, _offered: Offered) -> Feature:
    returns = ReturnsRepository(node.pool, new_id=node.next_uuid)
    reports = ReportsService(returns, now=node.now)
    projection, counts = ProjectionRepository(node.pool), FigureCounts()
    reads = node.reads or PrimaryReads(node.pool)
    figures = FiguresService(
        FiguresRepository(reads),
        projection,
        ExperimentsRepository(reads),
        now=node.common_time,
    )
    return Feature(
        routes=(
            *bound(report_routes.ROUTES, reports),
            *bound(admin_report_routes.ROUTES, figures),
        ),
        metrics=(counts.families,),
        tasks={
            "report-figures": FiguresKept(
                *(projection, FunnelRepository(node.pool), counts),
                now=node.common_time,
                rest=node.rest(IS_BEHIND),
            ).run
        },
    )


TAGS: Final = {
    "Reports": "Figures of cinemas, and what they tell the distributors of films.",
}

REPORTS: Final = Listed(build, tags=TAGS)
