"""Prepares the mails with links to guests' bookings. Each is claimed for a minute and enqueued
once, in the transaction that stores the digest of its link.

Every node looks for them every second (`cinema/jobs/worker.py`). If one cannot be prepared, it
comes again after `CLAIM_S`, until the guest's data is deleted. Telemetry: `queue_failed`; the mails
are counted like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.features.bookings.order_rules import OrderLinks
from cinema.features.bookings.order_store import OrdersRepository

CLAIM_S: Final = 60.0
"""How long a claimed one belongs to one worker; its transaction takes seconds at most."""


class OwedMails:
    """The queue of bookings whose mails are owed, for a `Worker`."""

    def __init__(
        self, orders: OrdersRepository, links: OrderLinks, *, now: Callable[[], datetime]
    ) -> None:
        self._orders = orders
        self._links = links
        self._now = now

    async def claim(self, limit: int) -> Sequence[UUID]:
        """Claim bookings whose mail is owed; no other worker gets them for a while."""
        now = self._now()
        return await self._orders.claim(now, now + timedelta(seconds=CLAIM_S), limit)

    async def work(self, booking_id: UUID) -> None:
        """Make the link to a booking, and enqueue its mail."""
        await self._orders.mail(booking_id, self._links.make(booking_id), self._now())
