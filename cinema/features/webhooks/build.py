"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.feature import Feature, Question
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.webhooks import routes as webhook_routes
from cinema.features.webhooks.errors import ERRORS
from cinema.features.webhooks.jobs import AT_ONCE as WEBHOOKS_AT_ONCE
from cinema.features.webhooks.jobs import Deliveries, HandingOut
from cinema.features.webhooks.metrics import WebhookCounts
from cinema.features.webhooks.routes import WebhookParts
from cinema.features.webhooks.service import WebhooksService
from cinema.features.webhooks.store import FRESH, WAITING, WebhooksRepository
from cinema.features.webhooks.store import SEALED as SEALED_WEBHOOKS
from cinema.features.webhooks.store import SEALED_PREVIOUS as SEALED_WEBHOOKS_BEFORE
from cinema.http.routes import bound
from cinema.integrations.webhooks.networks import networks
from cinema.integrations.webhooks.sender import WebhookSender


async def build(node: NodeParts, offered: Offered) -> Feature:
    allowed, now = node.settings.webhook_allowed_networks, node.common_time
    store, counts = WebhooksRepository(node.pool, node.cipher), WebhookCounts()
    sender = WebhookSender(networks(allowed))
    node.stack.callback(sender.close)
    service = WebhooksService(store, plain=bool(allowed), new_id=node.next_uuid, now=now)
    return Feature(
        routes=bound(webhook_routes.ROUTES, WebhookParts(service, offered[FrontDoor])),
        metrics=(counts.families,),
        tasks={"webhooks-handed-out": HandingOut(store, now=now, rest=node.rest(FRESH)).run},
        queues={"webhooks": Deliveries(store, sender, counts, now=now)},
        questions={"webhooks": Question(WAITING, (now,))},
        at_once={"webhooks": WEBHOOKS_AT_ONCE},
        sweeps={"webhook-deliveries": store.forget},
    )


TAGS: Final = {
    "Webhooks": "Where events of bookings, refunds and showtimes are sent.",
}

WEBHOOKS: Final = Listed(
    build, errors=ERRORS, tags=TAGS, sealed=(SEALED_WEBHOOKS, SEALED_WEBHOOKS_BEFORE)
)
