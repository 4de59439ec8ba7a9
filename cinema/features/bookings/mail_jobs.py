"""Writes the mails about confirmed bookings of accounts, soon after them.

Every node looks each second, and one at a time writes: the mails are enqueued in the transaction
that moves the mark behind their events, so each is written once, and nothing is added to the
statement of a booking. A mail is looked at again when it is sent: `is_live` says whether the
booking can still be used. Bounds: `PAGE` events in a transaction, `REST_S` between two full ones.
Telemetry: the log event below, and that of messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from cinema.domain.rejections import Refused
from cinema.features.bookings.mail_store import BookingMail, BookingMailsRepository
from cinema.features.seats.service import money
from cinema.storage.database.transactions import Pool, PooledConnection, transaction
from cinema.telemetry.logging import LogLimit

BOOKING_MAILS_NOT_WRITTEN: Final = "booking_mails_not_written"

MESSAGE: Final = "booking_confirmed"

PERIOD_S: Final = 1.0
"""Time between two looks: a customer sees the booking at once, and the mail soon after."""

PAGE: Final = 100
"""Events in one transaction, which takes a tenth of a second at most."""

REST_S: Final = 0.1
"""Rest between two full pages, so that a backlog leaves the database to the seats."""

log = structlog.get_logger(__name__)


class Post(Protocol):
    """Enqueues a message in the transaction of what it is about (`MessagesRepository.enqueue`)."""

    async def __call__(
        self,
        transaction: PooledConnection,
        *,
        kind: str,
        to: str,
        language: str,
        payload: Mapping[str, Any],
        dedupe_key: str,
        drop_after: datetime | None = None,
    ) -> object: ...


class BookingMails:
    """Tells customers what they have booked; on every node. `base_url` is that of the pages."""

    def __init__(
        self, bookings: BookingMailsRepository, pool: Pool, post: Post, *, base_url: str
    ) -> None:
        self._bookings = bookings
        self._pool = pool
        self._post = post
        self._base_url = base_url
        self._limit = LogLimit(lines=5, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            rest_s = PERIOD_S
            try:
                if await self.page():
                    rest_s = REST_S
            except Refused as refused:
                reason = refused.rejection.code
                self._limit.write(log.warning, BOOKING_MAILS_NOT_WRITTEN, reason=reason)
            await asyncio.sleep(rest_s)

    async def page(self) -> bool:
        """Write the mails of one page of events; whether there may be more. Refuses RETRY."""
        async with transaction(self._pool) as running:
            fresh = await self._bookings.fresh(running, PAGE)
            if fresh is None:
                return False
            for mail in await self._bookings.mails(running, fresh.booking_ids):
                await self._write(running, mail)
            await self._bookings.move(running, fresh.position)
        return fresh.is_full

    async def _write(self, running: PooledConnection, mail: BookingMail) -> None:
        await self._post(
            running,
            kind=MESSAGE,
            to=mail.email,
            language=mail.language,
            payload={
                "first_name": mail.first_name,
                "film": mail.film,
                "cinema": mail.cinema,
                "address": mail.address,
                "screen": mail.screen,
                "starts": mail.starts,
                "seats": mail.seats,
                "total": str(money(mail.total_minor, mail.currency)),
                "code": mail.code,
                "url": f"{self._base_url}/bookings/{mail.id}",
                "booking_id": str(mail.id),
            },
            dedupe_key=f"{MESSAGE}:{mail.id}",
            drop_after=mail.ends_at,
        )

    async def is_live(self, payload: Mapping[str, Any]) -> bool:
        """Whether the booking of a mail can still be used. Refuses RETRY."""
        return await self._bookings.is_live(UUID(payload["booking_id"]))
