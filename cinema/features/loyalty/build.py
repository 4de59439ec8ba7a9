"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature
from cinema.features.ledger.service import AttemptsService
from cinema.features.loyalty import routes as loyalty_routes
from cinema.features.loyalty.errors import ERRORS
from cinema.features.loyalty.jobs import PointsCredited
from cinema.features.loyalty.method import PointsMethod
from cinema.features.loyalty.personal_store import LoyaltyFacts
from cinema.features.loyalty.rows import LOYALTY_BRANCHES
from cinema.features.loyalty.service import LoyaltyService
from cinema.features.loyalty.store import PointsRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now = node.common_time
    store = PointsRepository(node.pool, node.sold)
    loyalty = offered.add(LoyaltyService(store, now=now))
    offered[AttemptsService].methods.add(PointsMethod(store, now=now))
    return Feature(
        routes=bound(loyalty_routes.ROUTES, loyalty),
        tasks={"loyalty-points": PointsCredited(store, now=now).run},
        personal=(LoyaltyFacts(node.pool).disclose,),
    )


TAGS: Final = {
    "Loyalty": "Points that customers earn and pay with.",
}

LOYALTY: Final = Listed(build, errors=ERRORS, tags=TAGS, rows=LOYALTY_BRANCHES)
