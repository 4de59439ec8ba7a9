"""Webhooks: each event is posted, signed, and posted again later and later until it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from cinema.integrations.stripe.signatures import HEADER, signed

WAITS_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Between the attempts to deliver an event; Stripe goes on for three days."""

TIMEOUT_S: Final = 20.0

Event = dict[str, Any]


class WebhookTarget(msgspec.Struct, frozen=True):
    """Where events go, and the secret that signs them."""

    url: str
    secret: str


class WebhookPosts:
    """Posts events to one endpoint. While `held`, they wait for `release`.

    `attempts` counts what was posted, `taken` what was answered with 2xx, by the event's id.
    """

    def __init__(
        self,
        endpoint: WebhookTarget | None,
        *,
        now_s: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        self.endpoint = endpoint
        self.held = False
        self.waiting: list[Event] = []
        self.attempts: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        self._now_s = now_s
        self._sleep = sleep
        self._waits_s = waits_s
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, event: Event) -> None:
        """Deliver an event, or keep it."""
        if self.endpoint is None:
            return
        if self.held:
            self.waiting.append(event)
            return
        task = asyncio.ensure_future(self._deliver(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def release(self, *, backwards: bool = False, times: int = 1) -> None:
        """Deliver what waits, one after the other, each so often; then events are not held."""
        self.held = False
        events, self.waiting = self.waiting, []
        for event in reversed(events) if backwards else events:
            for _ in range(times):
                await self.post(event)

    def lose(self) -> None:
        """Forget what waits: the endpoint never hears of it."""
        self.held = False
        self.waiting.clear()

    async def post(self, event: Event) -> bool:
        """Post an event once; whether it was taken."""
        endpoint = self.endpoint
        assert endpoint is not None
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        body = msgspec.json.encode(event)
        headers = {
            HEADER: signed(body, endpoint.secret, self._now_s()),
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        name = event["id"]
        self.attempts[name] = self.attempts.get(name, 0) + 1
        try:
            async with self._session.post(endpoint.url, data=body, headers=headers) as answer:
                taken = 200 <= answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
        if taken:
            self.taken[name] = self.taken.get(name, 0) + 1
        return taken

    async def settled(self) -> None:
        """Wait until everything is delivered or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, event: Event) -> None:
        for wait_s in (*self._waits_s, None):
            if await self.post(event) or wait_s is None:
                return
            await self._sleep(wait_s)
