"""Prepares the mails that were requested for an address, after the request was answered.

It wakes at once on the node that was asked. Every `PERIOD_S` it wakes on all nodes, in case a node
stopped before it had prepared a mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.accounts.link_store import REQUESTS_AT_ONCE, LinksRepository
from cinema.telemetry.logging import LogLimit

MAILS_UNPREPARED: Final = "mails_unprepared"

PERIOD_S: Final = 5.0

log = structlog.get_logger(__name__)


class MailPreparation:
    """The job, and the event that wakes it."""

    def __init__(
        self, links: LinksRepository, *, clock: Callable[[], float], period_s: float = PERIOD_S
    ) -> None:
        self._links = links
        self._clock = clock
        self._period_s = period_s
        self._woken = asyncio.Event()
        self._limit = LogLimit()

    def wake(self) -> None:
        """Wake the job: there is a mail to prepare."""
        self._woken.set()

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await self._woken.wait()
            self._woken.clear()
            await self.round()

    async def round(self) -> None:
        """Prepare all requested mails; if Postgres fails, the rest stays for the next time."""
        try:
            while await self._links.prepare(self._now()) == REQUESTS_AT_ONCE:
                pass
        except Refused as away:
            self._limit.write(log.warning, MAILS_UNPREPARED, reason=away.rejection.code)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
