"""Sends events to receivers: at least once, those of a booking one after the other.

Every node hands out what is new twice a second, and takes what is due; a delivery that is claimed
belongs to one node for `CLAIM_S`. One that fails is tried again, later and later (`rules.py` has
the times), and its receiver is left alone for a while. Bounds: `PAGE` events are handed out in a
statement, `AT_ONCE` are sent by a node at the same time, `IN_FLIGHT` of them to one receiver.
Telemetry: the log events below, the metrics of `metrics.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec
import structlog

from cinema.features.feature import Rest
from cinema.features.rounds import Rounds
from cinema.features.webhooks.metrics import WebhookCounts
from cinema.features.webhooks.rules import GIVEN_UP_AFTER, GONE, backoff_s, signed_headers
from cinema.features.webhooks.store import ClaimedDelivery, WebhooksRepository
from cinema.integrations.webhooks.sender import NotDelivered
from cinema.storage.encryption import CannotOpen
from cinema.telemetry.logging import LogLimit

WEBHOOKS_NOT_HANDED_OUT: Final = "webhooks_not_handed_out"
WEBHOOK_NOT_DELIVERED: Final = "webhook_not_delivered"
WEBHOOK_DISABLED: Final = "webhook_disabled"

PERIOD_S: Final = 0.5
"""Time between two looks for new events."""

PAGE: Final = 200
REST_S: Final = 0.05
"""Rest between two full pages."""

AT_ONCE: Final = 32
"""Deliveries that a node sends at the same time; each waits for a receiver for 10 s at most."""

CLAIM_S: Final = 60.0
"""How long a delivery belongs to one node: six times the timeout of a receiver. After that its
process must have died, and another one sends it again."""

LOOK_EVERY: Final = timedelta(seconds=15)

log = structlog.get_logger(__name__)


class Sender(Protocol):
    """See `WebhookSender`."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """See `WebhookSender.send`."""
        ...


class HandingOut:
    """Makes a delivery of each event for each receiver that wants it; on every node."""

    def __init__(
        self,
        webhooks: WebhooksRepository,
        *,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._webhooks = webhooks
        self._now = now
        self._rest = rest

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning,
            WEBHOOKS_NOT_HANDED_OUT,
            PERIOD_S,
            behind_more=lambda _took_s: REST_S,
            rest=self._rest,
        )
        await rounds.run(self._page)

    async def _page(self) -> bool:
        return await self._webhooks.hand_out(self._now(), PAGE) == PAGE


class Deliveries:
    """The deliveries that are due, for a `Worker`."""

    at_once = AT_ONCE

    def __init__(
        self,
        webhooks: WebhooksRepository,
        sender: Sender,
        counts: WebhookCounts,
        *,
        now: Callable[[], datetime],
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._webhooks = webhooks
        self._sender = sender
        self._counts = counts
        self._now = now
        self._luck = luck
        self._look_at: datetime | None = None
        self._failures = LogLimit()

    async def claim(self, limit: int) -> Sequence[ClaimedDelivery]:
        """Claim what is due; no other node gets it for a while."""
        now = self._now()
        if self._look_at is None or now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._counts.note(await self._webhooks.state(), now)
        return await self._webhooks.claim(now, now + timedelta(seconds=CLAIM_S), limit)

    async def work(self, claimed: ClaimedDelivery) -> None:
        """Send one event, and note the outcome."""
        now, event = self._now(), claimed.event
        try:
            secrets = self._webhooks.secrets_of(claimed, now)
            body = msgspec.json.encode(event)
            headers = signed_headers(str(event.id), now, body, secrets)
            status = await self._sender.send(claimed.url, headers, body)
        except CannotOpen as error:
            await self._failed(claimed, NotDelivered(f"cannot be signed: {error}"))
        except NotDelivered as error:
            await self._failed(claimed, error)
        else:
            self._counts.outcomes["delivered"] += 1
            await self._webhooks.delivered(claimed, self._now(), status)

    async def _failed(self, claimed: ClaimedDelivery, error: NotDelivered) -> None:
        now, reason = self._now(), str(error)
        wait = timedelta(seconds=backoff_s(claimed.attempts, self._luck()))
        given_up = now - claimed.first_due_at >= GIVEN_UP_AFTER
        self._counts.outcomes["given_up" if given_up else "failed"] += 1
        self._failures.write(
            log.warning,
            WEBHOOK_NOT_DELIVERED,
            webhook=str(claimed.endpoint_id),
            delivery=str(claimed.id),
            attempts=claimed.attempts,
            reason=reason,
        )
        if await self._webhooks.failed(
            claimed,
            now,
            now + wait,
            error.status,
            reason,
            given_up=given_up,
            gone=error.status == GONE,
        ):
            log.warning(WEBHOOK_DISABLED, webhook=str(claimed.endpoint_id), reason=reason)
