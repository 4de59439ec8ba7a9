"""Deletes what nobody can ask for any more: old stored replies, journals past their retention."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from cinema.actors.dispatch import Dispatch
from cinema.domain.limits import IDEMPOTENCY_TTL_S
from cinema.domain.rejections import Refused
from cinema.storage.bookings import BookingsRepository
from cinema.storage.expiry import ended_showtimes
from cinema.storage.journal import ENDED_HOLD, STORED_REPLY, JournalStore, StoreUnavailable
from cinema.storage.transactions import Pool

HOUSEKEEPING_FAILED: Final = "housekeeping_failed"

PERIOD_S: Final = 600.0
"""Time between two rounds: nothing here is urgent."""

PAGE: Final = 1000
"""Rows, or showtimes, of one step; a round takes as many steps as there is work."""

_DAY_US: Final = 86_400 * 1_000_000

log = structlog.get_logger()


class Housekeeping:
    """One round every `PERIOD_S`."""

    def __init__(
        self, journal: JournalStore, pool: Pool, dispatch: Dispatch, retention_days: int
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._dispatch = dispatch
        self._bookings = BookingsRepository(pool)
        self._retention_us = retention_days * _DAY_US

    async def run(self) -> None:
        """For as long as the node runs."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.round()
            except (StoreUnavailable, Refused) as error:
                log.warning(HOUSEKEEPING_FAILED, reason=str(error))

    async def round(self) -> None:
        """Everything that is due now."""
        now_us = self._dispatch.clock.now_us()
        replies_before_us = now_us - IDEMPOTENCY_TTL_S * 1_000_000
        await self._sweep(STORED_REPLY, replies_before_us)
        await self._sweep(ENDED_HOLD, now_us - self._retention_us)
        await self._bookings.forget_keys(_moment(now_us), PAGE)
        ended = await ended_showtimes(self._pool, now_us - self._retention_us, PAGE)
        for showtime_id in ended:
            await self._dispatch.truncate(showtime_id)

    async def _sweep(self, kind: int, before_us: int) -> None:
        swept = PAGE
        while swept == PAGE:
            swept = await self._journal.sweep_archive(kind, before_us, PAGE)


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
