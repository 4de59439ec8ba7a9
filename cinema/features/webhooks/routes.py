"""Routes of webhooks, for admins."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.principal import ADMIN
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.webhooks import examples
from cinema.features.webhooks.service import WebhooksService
from cinema.features.webhooks.shapes import (
    Delivery,
    DeliveryQuery,
    NewWebhook,
    Replayed,
    ReplayInput,
    Webhook,
    WebhookChange,
    WebhookGone,
    WebhookInput,
)
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Webhooks"
ADMINS: Final = frozenset({ADMIN})


class WebhookParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    webhooks: WebhooksService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/admin/webhooks",
    operation_id="createWebhook",
    summary="Have events sent to an address",
    description="From now on; earlier events with a replay. Only this answer shows the secret.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=WebhookInput,
    request_example=examples.INPUT,
    response=NewWebhook,
    response_example=examples.CREATED,
    status=201,
    errors=("WEBHOOK_URL_REFUSED", "WEBHOOK_LIMIT", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def create_webhook(parts: WebhookParts, context: RequestContext) -> Reply:
    """Create a webhook."""
    client = parts.door.client(context)
    made = await parts.webhooks.create(context.principal, context.body, client, context.request_key)
    return success(made, status=201)


@Operation(
    method="GET",
    path="/api/v1/admin/webhooks",
    operation_id="listWebhooks",
    summary="List webhooks, oldest first",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=list[Webhook],
    response_example=[examples.WEBHOOK],
    errors=("RETRY",),
)
async def list_webhooks(parts: WebhookParts, _context: RequestContext) -> Reply:
    """All webhooks."""
    return success(await parts.webhooks.webhooks())


@Operation(
    method="GET",
    path="/api/v1/admin/webhooks/{webhook_id}",
    operation_id="getWebhook",
    summary="Get a webhook, and whether its receiver takes events",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=Webhook,
    response_example=examples.WEBHOOK,
    errors=("RETRY",),
)
async def get_webhook(parts: WebhookParts, context: RequestContext) -> Reply:
    """One webhook."""
    (webhook_id,) = context.ids
    return success(await parts.webhooks.webhook(webhook_id))


@Operation(
    method="PATCH",
    path="/api/v1/admin/webhooks/{webhook_id}",
    operation_id="changeWebhook",
    summary="Change a webhook, or switch it on or off",
    description="What is left out stays. One that is off keeps what waits for it. `enabled` true "
    "also ends the rest of a receiver that has failed: what waits is sent at once.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=WebhookChange,
    request_example={"enabled": True},
    response=Webhook,
    response_example=examples.WEBHOOK,
    errors=("WEBHOOK_URL_REFUSED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def change_webhook(parts: WebhookParts, context: RequestContext) -> Reply:
    """Change a webhook."""
    (webhook_id,) = context.ids
    client = parts.door.client(context)
    changed = await parts.webhooks.change(context.principal, webhook_id, context.body, client)
    return success(changed)


@Operation(
    method="DELETE",
    path="/api/v1/admin/webhooks/{webhook_id}",
    operation_id="deleteWebhook",
    summary="Delete a webhook, with all that waits for it",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=WebhookGone,
    response_example=examples.GONE,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def delete_webhook(parts: WebhookParts, context: RequestContext) -> Reply:
    """Delete a webhook."""
    (webhook_id,) = context.ids
    await parts.webhooks.delete(context.principal, webhook_id, parts.door.client(context))
    return success(WebhookGone(id=webhook_id))


@Operation(
    method="POST",
    path="/api/v1/admin/webhooks/{webhook_id}/secret",
    operation_id="rotateWebhookSecret",
    summary="Give a webhook another secret",
    description="Only this answer shows it. For 24 hours the former secret signs too: events then "
    "have two signatures, and one that fits is enough.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=NewWebhook,
    response_example=examples.ROTATED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def rotate_secret(parts: WebhookParts, context: RequestContext) -> Reply:
    """Replace the secret."""
    (webhook_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.webhooks.rotate(context.principal, webhook_id, client))


@Operation(
    method="GET",
    path="/api/v1/admin/webhooks/{webhook_id}/deliveries",
    operation_id="listWebhookDeliveries",
    summary="List what was and will be sent to a webhook, newest events first",
    description="Outcomes are kept for 30 days.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    query=DeliveryQuery,
    response=list[Delivery],
    response_example=[examples.DELIVERY],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_deliveries(parts: WebhookParts, context: RequestContext) -> Reply:
    """A page of deliveries."""
    (webhook_id,) = context.ids
    return listed(await parts.webhooks.deliveries(webhook_id, context.query))


@Operation(
    method="POST",
    path="/api/v1/admin/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
    operation_id="retryWebhookDelivery",
    summary="Send an event once more",
    description="One that was given up, or delivered. It has the same `webhook-id`.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    response=Delivery,
    response_example=examples.WAITING,
    errors=("DELIVERY_WAITS", "RETRY", "OUTCOME_UNKNOWN"),
)
async def retry_delivery(parts: WebhookParts, context: RequestContext) -> Reply:
    """Send one event again."""
    webhook_id, delivery_id = context.ids
    client = parts.door.client(context)
    return success(await parts.webhooks.retry(context.principal, webhook_id, delivery_id, client))


@Operation(
    method="POST",
    path="/api/v1/admin/webhooks/{webhook_id}/replay",
    operation_id="replayWebhook",
    summary="Send events of the last 90 days once more",
    description="Those behind `after`, of the webhook's types and cinema, also from before it was "
    "created; with `failed_only` those that were given up. Up to 1000 at once: go on with "
    "`next_after`. They have the same `webhook-id`.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=ReplayInput,
    request_example={"after": 4000, "failed_only": True},
    response=Replayed,
    response_example={"deliveries": 12, "next_after": None},
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def replay_webhook(parts: WebhookParts, context: RequestContext) -> Reply:
    """Send many events again."""
    (webhook_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.webhooks.replay(context.principal, webhook_id, context.body, client))


ROUTES: Final = (
    create_webhook,
    list_webhooks,
    get_webhook,
    change_webhook,
    delete_webhook,
    rotate_secret,
    list_deliveries,
    retry_delivery,
    replay_webhook,
)
