"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings.store import BookingsRepository
from cinema.features.deposits import routes as deposit_routes
from cinema.features.deposits.errors import ERRORS
from cinema.features.deposits.jobs import OpenDeposits
from cinema.features.deposits.routes import DepositParts
from cinema.features.deposits.service import DepositsService
from cinema.features.deposits.store import REST_MESSAGE, DepositsRepository
from cinema.features.feature import Feature
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.store import GiftCardsRepository
from cinema.features.ledger.service import AttemptsService
from cinema.features.messages.jobs import Outgoing
from cinema.features.messages.store import MessagesRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    store = DepositsRepository(
        node.pool, offered[GiftCardsRepository], offered[MessagesRepository].enqueue
    )
    deposits = DepositsService(
        *(store, BookingsRepository(node.pool, node.sold), offered[GiftCardsService]),
        offered[AttemptsService],
        demo=node.settings.demo_payment,
        new_id=node.next_uuid,
        now=node.common_time,
    )
    offered[Outgoing].ask_before(REST_MESSAGE, deposits.is_due)
    return Feature(
        routes=bound(deposit_routes.ROUTES, DepositParts(deposits, offered[FrontDoor])),
        tasks={"deposits": OpenDeposits(deposits, store).run},
    )


TAGS: Final = {
    "Deposits": "A part of a group's booking that is paid long before the rest.",
}

DEPOSITS: Final = Listed(build, errors=ERRORS, tags=TAGS)
