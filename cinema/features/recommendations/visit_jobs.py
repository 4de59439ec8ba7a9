"""Writes how often showtimes were visited.

Every node adds what it has counted, every two seconds in one statement. What a node has counted
and not written when it ends is lost: these are figures, not facts. Telemetry: the log event below.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.recommendations.visit_store import VisitsRepository
from cinema.features.recommendations.visits import Visits
from cinema.telemetry.logging import LogLimit

SHOWTIME_VISITS_NOT_WRITTEN: Final = "showtime_visits_not_written"

PERIOD_S: Final = 2.0

log = structlog.get_logger(__name__)


class VisitsWritten:
    """Writes what this node has counted."""

    def __init__(self, visits: Visits, store: VisitsRepository) -> None:
        self._visits = visits
        self._store = store
        self._limit = LogLimit(lines=5, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            await self.round()
            await asyncio.sleep(PERIOD_S)

    async def round(self) -> None:
        """Write what there is; what cannot be written now is written later."""
        taken = self._visits.take()
        if not taken:
            return
        try:
            await self._store.add(taken)
        except Refused as refused:
            code = refused.rejection.code
            if code != "OUTCOME_UNKNOWN":
                self._visits.put_back(taken)
            self._limit.write(log.warning, SHOWTIME_VISITS_NOT_WRITTEN, reason=code)
