"""What admins do with webhooks: name receivers, change their secrets, send events again."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from msgspec import UNSET, structs

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_NUMBER, Page, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.refusals import found, granted
from cinema.features.webhooks.rules import SECRET_BYTES, problem_of_url, shown_secret
from cinema.features.webhooks.shapes import (
    REPLAYED_AT_ONCE,
    Delivery,
    DeliveryQuery,
    NewWebhook,
    Replayed,
    ReplayInput,
    Webhook,
    WebhookChange,
    WebhookInput,
)
from cinema.features.webhooks.store import WebhooksRepository


class WebhooksService:
    """Use cases of webhooks; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        webhooks: WebhooksRepository,
        *,
        plain: bool,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._webhooks = webhooks
        self._plain = plain
        self._new_id = new_id
        self._now = now

    async def create(
        self, by: Principal, request: WebhookInput, client: Client, key: IdempotencyKey | None
    ) -> NewWebhook:
        """A new receiver, and its secret. Refuses WEBHOOK_URL_REFUSED, WEBHOOK_LIMIT."""
        self._check(request.url)
        act = self._act(by, client)
        webhook = Webhook(
            id=self._new_id(),
            url=request.url,
            description=request.description,
            types=request.types,
            cinema_id=request.cinema_id,
            enabled=True,
            disabled_at=None,
            disabled_reason=None,
            failing_since=None,
            last_error=None,
            last_delivered_at=None,
            previous_secret_until=None,
            created_at=act.at,
        )
        webhook_id = await self._webhooks.add(webhook, secrets.token_bytes(SECRET_BYTES), act, key)
        return await self._with_secret(webhook_id)

    async def webhooks(self) -> list[Webhook]:
        """All receivers."""
        return await self._webhooks.all()

    async def webhook(self, webhook_id: UUID) -> Webhook:
        """One receiver. Refuses NOT_FOUND."""
        return found(await self._webhooks.find(webhook_id))

    async def change(
        self, by: Principal, webhook_id: UUID, request: WebhookChange, client: Client
    ) -> Webhook:
        """Change a receiver, or switch it on or off. Refuses NOT_FOUND, WEBHOOK_URL_REFUSED."""
        changes = {name: one for name, one in structs.asdict(request).items() if one is not UNSET}
        enabled = changes.pop("enabled", None)
        if "url" in changes:
            self._check(changes["url"])
        act = self._act(by, client)
        return found(await self._webhooks.change(webhook_id, changes, enabled, act))

    async def delete(self, by: Principal, webhook_id: UUID, client: Client) -> None:
        """Delete a receiver. Refuses NOT_FOUND."""
        found(await self._webhooks.delete(webhook_id, self._act(by, client)) or None)

    async def rotate(self, by: Principal, webhook_id: UUID, client: Client) -> NewWebhook:
        """Give a receiver another secret; the former one signs too for a day. Refuses NOT_FOUND."""
        secret = secrets.token_bytes(SECRET_BYTES)
        found(await self._webhooks.rotate(webhook_id, secret, self._act(by, client)) or None)
        return NewWebhook(webhook=await self.webhook(webhook_id), secret=shown_secret(secret))

    async def deliveries(self, webhook_id: UUID, query: DeliveryQuery) -> Page[Delivery]:
        """Deliveries to a receiver, the newest events first. Refuses NOT_FOUND."""
        position = granted(after(query.cursor, BY_NUMBER))
        await self.webhook(webhook_id)
        before = None if position is None else position[0]
        rows = await self._webhooks.deliveries(webhook_id, query.status, before, query.limit + 1)
        return page(rows, query.limit, lambda one: (one.position, one.id))

    async def retry(
        self, by: Principal, webhook_id: UUID, delivery_id: UUID, client: Client
    ) -> Delivery:
        """Send an event once more. Refuses NOT_FOUND, DELIVERY_WAITS."""
        again = await self._webhooks.retry(webhook_id, delivery_id, self._act(by, client))
        delivery = found(await self._webhooks.delivery(webhook_id, delivery_id))
        if not again:
            raise refuse("DELIVERY_WAITS")
        return delivery

    async def replay(
        self, by: Principal, webhook_id: UUID, request: ReplayInput, client: Client
    ) -> Replayed:
        """Send events once more, a bounded number of them. Refuses NOT_FOUND."""
        await self.webhook(webhook_id)
        made = await self._webhooks.replay(
            webhook_id,
            request.after,
            request.until,
            failed_only=request.failed_only,
            limit=REPLAYED_AT_ONCE,
            act=self._act(by, client),
        )
        more = made.looked == REPLAYED_AT_ONCE
        return Replayed(deliveries=made.made, next_after=made.last if more else None)

    async def _with_secret(self, webhook_id: UUID) -> NewWebhook:
        secret = found(await self._webhooks.secret(webhook_id))
        return NewWebhook(webhook=await self.webhook(webhook_id), secret=shown_secret(secret))

    def _check(self, url: str) -> None:
        problem = problem_of_url(url, plain=self._plain)
        if problem is not None:
            raise refuse("WEBHOOK_URL_REFUSED", problem)

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )
