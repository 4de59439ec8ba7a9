"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.cashdesk import routes as cash_routes
from cinema.features.cashdesk.day_store import BusinessDaysRepository
from cinema.features.cashdesk.errors import ERRORS
from cinema.features.cashdesk.routes import DeskParts
from cinema.features.cashdesk.service import CashDeskService
from cinema.features.cashdesk.store import CashSessionsRepository
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound
from cinema.integrations.fiscal import NoSigner


async def build(node: NodeParts, offered: Offered) -> Feature:
    offered.add(TillsRepository(node.pool))
    desk = CashDeskService(
        CashSessionsRepository(node.pool),
        BusinessDaysRepository(node.pool),
        NoSigner(),
        new_id=node.next_id,
        now=node.now,
    )
    return Feature(routes=bound(cash_routes.ROUTES, DeskParts(desk, offered[FrontDoor])))


TAGS: Final = {
    "Cash desk": "Tills, the cash in them, and the close of a business day.",
}

CASHDESK: Final = Listed(build, errors=ERRORS, tags=TAGS)
