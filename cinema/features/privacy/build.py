"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.letters import MessagePost
from cinema.features.accounts.throttles import Throttles
from cinema.features.feature import Feature, JobKind
from cinema.features.jobs.service import JobsService
from cinema.features.jobs.store import JobsRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.privacy import routes as export_routes
from cinema.features.privacy.jobs import ExportMaker
from cinema.features.privacy.routes import ExportParts
from cinema.features.privacy.rules import KIND as EXPORT_KIND
from cinema.features.privacy.service import ExportsService
from cinema.features.privacy.store import SEALED as SEALED_EXPORTS
from cinema.features.privacy.store import ExportsRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    settings, clock = node.settings, node.unix_s
    exports = ExportsRepository(
        node.pool,
        node.cipher,
        offered[JobsRepository],
        offered[MessagePost],
        new_id=node.next_uuid,
    )
    maker = ExportMaker(
        exports,
        offered.personal,
        base_url=node.base_url,
        link_days=settings.export_link_days,
        now=node.now,
    )
    service = ExportsService(
        exports,
        JobsService(offered[JobsRepository]),
        offered[Throttles],
        per_day=settings.exports_per_day_per_user,
        clock=clock,
    )
    return Feature(
        routes=bound(export_routes.ROUTES, ExportParts(service, offered[FrontDoor])),
        jobs={EXPORT_KIND: JobKind(run=maker.run, at_once=1)},
        sweeps={"account-exports": exports.forget},
    )


PRIVACY: Final = Listed(build, sealed=(SEALED_EXPORTS,))
