"""Brings series to their end that were begun, or decided, and not ended.

Every node looks; what two do at the same time is done once. Bounds: `PAGE`. Telemetry: the log
event below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.rounds import Rounds
from cinema.features.series.service import SeriesService
from cinema.features.series.store import FIRST, KeptSeries, SeriesRepository
from cinema.telemetry.logging import LogLimit

SERIES_NOT_ENDED: Final = "series_not_ended"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 20

log = structlog.get_logger(__name__)


class OpenSeries:
    """Books what is committed, and frees the seats of what is not, in time."""

    def __init__(
        self, service: SeriesService, store: SeriesRepository, *, now: Callable[[], datetime]
    ) -> None:
        self._service = service
        self._store = store
        self._now = now
        self._limit = LogLimit()

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, SERIES_NOT_ENDED, PERIOD_S).run(self.round)

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
                self._limit.write(
                    log.warning, SERIES_NOT_ENDED, series=str(series.id), reason=reason
                )
                return False
        return True
