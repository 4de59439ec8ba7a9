"""Brings series to their end that were begun, or decided, and not ended.

Every node looks; what two do at the same time is done once. Bounds: `PAGE`. Telemetry: the log
event below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.rounds import Rounds
from cinema.features.series.payment_service import LOOK_EVERY, SeriesPayments
from cinema.features.series.service import SeriesService
from cinema.features.series.store import FIRST, KeptSeries, SeriesRepository
from cinema.telemetry.logging import LogLimit

SERIES_NOT_ENDED: Final = "series_not_ended"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 20

LEASE: Final = timedelta(seconds=90)
"""How long a series belongs to one node; calls of providers have shorter timeouts."""

log = structlog.get_logger(__name__)


class OpenSeries:
    """Books what is committed, and frees the seats of what is not, in time."""

    def __init__(
        self,
        service: SeriesService,
        payments: SeriesPayments,
        store: SeriesRepository,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._payments = payments
        self._store = store
        self._now = now
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, SERIES_NOT_ENDED, PERIOD_S).run(self._look)

    async def _look(self) -> bool:
        await self.look_at_money()
        await self.round()
        return False

    async def look_at_money(self) -> int:
        """Ask how it stands with payments of series; how many were looked at. Refuses RETRY."""
        now = self._now()
        claimed = await self._store.claim(now, now + LEASE, PAGE)
        for series in claimed:
            try:
                await self._payments.look(series)
            except Refused as refused:
                await self._store.look_later(series.id, self._now() + LOOK_EVERY)
                self._not_ended(series, refused.rejection.code)
        return len(claimed)

    async def round(self) -> int:
        """End all that can be ended now; how many. Refuses RETRY."""
        ended, after, now = 0, FIRST, self._now()
        while page := await self._store.open(now, PAGE, after):
            for series in page:
                ended += await self._end(series)
                after = series.commit_until, series.id
        return ended

    async def _end(self, series: KeptSeries) -> bool:
        """End one of them; a showtime that does not answer keeps only its own waiting."""
        try:
            await self._service.settled(series)
        except Refused as refused:
            reason = refused.rejection.code
            if reason != "SERIES_ENDED":
                self._not_ended(series, reason)
                return False
        return True

    def _not_ended(self, series: KeptSeries, reason: str) -> None:
        self._limit.write(log.warning, SERIES_NOT_ENDED, series=str(series.id), reason=reason)
