"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.throttles import Throttles
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.feature import Feature, Question
from cinema.features.giftcards import order_routes as card_order_routes
from cinema.features.giftcards import routes as card_routes
from cinema.features.giftcards.errors import ERRORS
from cinema.features.giftcards.jobs import CardsCredited
from cinema.features.giftcards.method import GiftCardMethod
from cinema.features.giftcards.order_routes import CardOrderParts
from cinema.features.giftcards.order_service import CardOrdersService
from cinema.features.giftcards.order_store import DUE as CARD_ORDERS_DUE
from cinema.features.giftcards.order_store import CardOrdersRepository
from cinema.features.giftcards.personal_store import GiftCardFacts
from cinema.features.giftcards.return_store import CardReturnsRepository
from cinema.features.giftcards.routes import CardParts
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.store import SEALED as SEALED_CARD_KEYS
from cinema.features.giftcards.store import GiftCardsRepository
from cinema.features.giftcards.use_store import CardUsesRepository
from cinema.features.ledger.service import AttemptsService
from cinema.features.messages.store import MessagesRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now = node.common_time
    store = offered.add(
        GiftCardsRepository(node.pool, node.cipher, offered[TillsRepository], node.sold)
    )
    uses = CardUsesRepository(node.pool)
    cards = offered.add(
        GiftCardsService(
            store,
            uses,
            offered[Throttles],
            demo=node.settings.demo_payment,
            new_id=node.next_uuid,
            now=now,
        )
    )
    offered[AttemptsService].methods.add(GiftCardMethod(uses, now=now))
    order_rows = CardOrdersRepository(node.pool, offered[MessagesRepository].enqueue)
    orders = offered.add(
        CardOrdersService(
            *(
                order_rows,
                CardReturnsRepository(node.pool),
                cards,
                offered[AttemptsService].methods,
                offered[Throttles],
            ),
            most_minor=node.settings.gift_card_order_max_minor,
            new_id=node.next_uuid,
            now=now,
        )
    )
    return Feature(
        routes=(
            *bound(card_routes.ROUTES, CardParts(cards, offered[FrontDoor])),
            *bound(card_order_routes.ROUTES, CardOrderParts(orders, offered[FrontDoor])),
        ),
        tasks={"gift-cards": CardsCredited(uses, now=now).run},
        queues={"gift-card-orders": orders},
        questions={"gift-card-orders": Question(CARD_ORDERS_DUE, (now,))},
        sweeps={"gift-card-choices": uses.forget, "gift-card-orders": order_rows.forget},
        personal=(GiftCardFacts(node.pool).disclose,),
    )


TAGS: Final = {
    "Gift cards": "Codes with a balance that pays bookings.",
}

GIFTCARDS: Final = Listed(build, errors=ERRORS, tags=TAGS, sealed=(SEALED_CARD_KEYS,))
