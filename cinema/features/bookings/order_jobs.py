"""Prepares the mails with links to guests' bookings: claimed for a minute, each put into the post
once, in the transaction that stores the digest of its link.

A look every second on every node (`cinema/jobs/worker.py`). What cannot be prepared comes again
after `CLAIM_S`, until the guest is forgotten. Telemetry: `queue_failed`; the mails are counted as
all are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.features.bookings.order_rules import OrderLinks
from cinema.features.bookings.order_store import OrdersRepository

CLAIM_S: Final = 60.0
"""How long whoever took one has it alone: a transaction takes seconds at most."""


class OwedMails:
    """The queue of bookings whose guests have not been told, for a `Worker`."""

    def __init__(
        self, orders: OrdersRepository, links: OrderLinks, *, now: Callable[[], datetime]
    ) -> None:
        self._orders = orders
        self._links = links
        self._now = now

    async def claim(self, limit: int) -> Sequence[UUID]:
        """Take bookings whose mail is owed; nobody else gets them for a while."""
        now = self._now()
        return await self._orders.claim(now, now + timedelta(seconds=CLAIM_S), limit)

    async def work(self, booking_id: UUID) -> None:
        """Make the link to a booking, and have it sent."""
        await self._orders.mail(booking_id, self._links.make(booking_id), self._now())
