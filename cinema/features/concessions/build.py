"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.catalog.poster_service import PostersService
from cinema.features.concessions import image_routes as product_image_routes
from cinema.features.concessions import routes as concession_routes
from cinema.features.concessions.errors import ERRORS
from cinema.features.concessions.image_routes import ImageParts
from cinema.features.concessions.image_service import ProductImagesService
from cinema.features.concessions.routes import ConcessionParts
from cinema.features.concessions.service import ConcessionsService
from cinema.features.concessions.store import ConcessionsRepository
from cinema.features.feature import Feature
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    store = ConcessionsRepository(node.pool, node.reads)
    concessions = offered.add(ConcessionsService(store, new_id=node.next_id, now=node.common_time))
    images = ProductImagesService(
        store, offered[PostersService].store, new_id=node.next_uuid, now=node.common_time
    )
    return Feature(
        routes=(
            *bound(concession_routes.ROUTES, ConcessionParts(concessions, offered[FrontDoor])),
            *bound(product_image_routes.ROUTES, ImageParts(images, offered[FrontDoor])),
        ),
        sweeps={"concession-orders": store.forget},
    )


TAGS: Final = {
    "Concessions": "What is sold with tickets, such as popcorn.",
}

CONCESSIONS: Final = Listed(build, errors=ERRORS, tags=TAGS)
