"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.catalog.store import CatalogRepository
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.reviews import routes as review_routes
from cinema.features.reviews.errors import ERRORS
from cinema.features.reviews.personal_store import ReviewFacts
from cinema.features.reviews.routes import ReviewParts
from cinema.features.reviews.rules import WordList
from cinema.features.reviews.service import ReviewsService
from cinema.features.reviews.store import ReviewsRepository
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    settings = node.settings
    store = ReviewsRepository(node.pool, node.reads)
    reviews = ReviewsService(
        store,
        offered[CatalogRepository],
        WordList(settings.review_words),
        needs_scan=settings.reviews_need_scan,
        new_id=node.next_uuid,
        now=node.common_time,
    )
    return Feature(
        routes=bound(review_routes.ROUTES, ReviewParts(reviews, offered[FrontDoor])),
        personal=(ReviewFacts(node.pool).disclose,),
        sweeps={"deleted-reviews": store.forget},
    )


TAGS: Final = {
    "Reviews": "What people say of films that they have seen.",
}

REVIEWS: Final = Listed(build, errors=ERRORS, tags=TAGS)
