"""A double of Stripe for one test, and the official library to speak with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import stripe

from cinema.integrations.stripe.double.deliveries import WebhookPosts
from cinema.integrations.stripe.double.server import StripeDouble


class HandClock:
    """Seconds since 1970 that pass when a test says so."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s
        self._other: Callable[[], float] | None = None

    def follow(self, other: Callable[[], float]) -> None:
        """Go by another clock from now on."""
        self._other = other

    def __call__(self) -> float:
        return self.now_s if self._other is None else self._other()


@asynccontextmanager
async def running_double(
    *, unix_s: HandClock | None = None, deliveries: WebhookPosts | None = None
) -> AsyncIterator[StripeDouble]:
    """A double that serves."""
    double = StripeDouble(unix_s=unix_s or HandClock(), deliveries=deliveries)
    await double.start()
    try:
        yield double
    finally:
        await double.stop()


@asynccontextmanager
async def official_client(
    double: StripeDouble, key: str | None = None
) -> AsyncIterator[stripe.V1Services]:
    """The official library, which asks the double and repeats nothing."""
    stripe.enable_telemetry = False
    async with aiohttp.ClientSession() as session:
        transport = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=10), session=session)
        client = stripe.StripeClient(
            key or double.secret_key,
            base_addresses={"api": double.url},
            http_client=transport,
            max_network_retries=0,
        )
        yield client.v1
