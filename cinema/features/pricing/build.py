"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.accounts.throttles import Throttles
from cinema.features.concessions.service import ConcessionsService
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.pricing import promo_routes
from cinema.features.pricing import routes as pricing_routes
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.code_service import CodesService
from cinema.features.pricing.errors import ERRORS
from cinema.features.pricing.jobs import NewPrices, UsesGivenBack
from cinema.features.pricing.promo_routes import PromoParts
from cinema.features.pricing.promo_service import PromosService
from cinema.features.pricing.promo_store import PromosRepository
from cinema.features.pricing.promo_use_store import PromoUsesRepository
from cinema.features.pricing.quote_service import QuotesService
from cinema.features.pricing.routes import PricingParts
from cinema.features.pricing.rows import PRICING_BRANCHES
from cinema.features.pricing.sale_service import SalesService
from cinema.features.pricing.service import PricesService
from cinema.features.pricing.store import PricesRepository
from cinema.features.seats.service import SeatsService
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    now = node.now
    prices = PricesRepository(node.pool, node.reads)
    books = Books(prices)
    offered.add(SalesService(books))
    promos = PromosRepository(node.pool, node.reads)
    uses = PromoUsesRepository(node.pool)
    codes = offered.add(
        CodesService(promos, uses, offered[Throttles], now_us=node.dispatch.clock.now_us)
    )
    returned = UsesGivenBack(uses, now=node.common_time)
    parts = PricingParts(
        PricesService(prices, new_id=node.next_id, now=now),
        QuotesService(
            prices,
            books,
            codes,
            offered[SeatsService],
            offered[SalesService],
            offered[ConcessionsService],
            now_us=node.dispatch.clock.now_us,
        ),
        offered[FrontDoor],
    )
    kernel = node.kernel
    new_prices = NewPrices(prices, books, lambda: kernel.books.versions, kernel.price_by)
    of_promos = PromoParts(PromosService(promos, new_id=node.next_id, now=now), offered[FrontDoor])
    return Feature(
        routes=(
            *bound(pricing_routes.ROUTES, parts),
            *bound(promo_routes.ROUTES, of_promos),
        ),
        tasks={"price-books": new_prices.run, "promo-uses": returned.run},
    )


TAGS: Final = {
    "Prices": "What seats cost, the rules that say so, and promotion codes.",
}

PRICING: Final = Listed(build, errors=ERRORS, tags=TAGS, rows=PRICING_BRANCHES)
