"""Counts the figures of showtimes as things happen to them.

Every node looks every two seconds, and one at a time counts; doors, and
showtimes that are over, are looked at once a minute.
Bounds: `SHOWTIMES_AT_ONCE` in a statement, `SHOWTIMES_TOGETHER` in a transaction, and behind each
full one a rest of `RESTS` times its length, so that a backlog leaves the database to the seats.
Telemetry: the log events below, the metrics of `metrics.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.features.feature import Rest
from cinema.features.reports.funnel_store import AT_ONCE, FunnelRepository
from cinema.features.reports.metrics import FigureCounts
from cinema.features.reports.projection_store import ProjectionRepository
from cinema.features.rounds import Rounds, in_proportion

FIGURES_NOT_COUNTED: Final = "figures_not_counted"
FIGURES_BEGUN_AGAIN: Final = "figures_begun_again"

PERIOD_S: Final = 2.0
"""Time between two looks: so old a report may be."""

DOORS_EVERY_S: Final = 60.0

FUNNEL_PAGES: Final = 5
"""Transactions with showtimes that are over, in one look: figures wait meanwhile."""

RESTS: Final = 4
"""How many times as long as a full transaction the rest behind it is."""

log = structlog.get_logger(__name__)


class FiguresKept:
    """Keeps the figures up to date; on every node."""

    def __init__(
        self,
        projection: ProjectionRepository,
        funnels: FunnelRepository,
        counts: FigureCounts,
        *,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._projection = projection
        self._funnels = funnels
        self._counts = counts
        self._now = now
        self._rest = rest
        self._doors_at_s = 0.0

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning,
            FIGURES_NOT_COUNTED,
            PERIOD_S,
            behind_more=in_proportion(RESTS, most_s=PERIOD_S),
            rest=self._rest,
        )
        await rounds.run(self._look)

    async def _look(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._doors_at_s:
            self._doors_at_s = now_s + DOORS_EVERY_S
            await self.look_at_doors()
            await self.count_funnels()
        return await self.step()

    async def round(self) -> None:
        """Count all that there is to count."""
        await self.look_at_doors()
        await self.count_funnels()
        while await self.step():
            pass

    async def step(self) -> bool:
        """Count some showtimes; whether there may be more. Refuses RETRY."""
        followed = await self._projection.follow()
        if followed is None:
            return False
        if followed.was_lost:
            log.warning(FIGURES_BEGUN_AGAIN)
        self._counts.showtimes += followed.showtimes
        if followed.is_full:
            return True
        # What happens now comes before what is made anew.
        rebuilt = await self._projection.rebuild()
        self._counts.showtimes += 0 if rebuilt is None else rebuilt.showtimes
        self._counts.note(await self._projection.backlog(), self._now())
        return rebuilt is not None and rebuilt.is_full

    async def look_at_doors(self) -> None:
        """Count the showtimes at whose doors something happened. Refuses RETRY."""
        followed = await self._projection.follow_scans(self._now())
        self._counts.showtimes += 0 if followed is None else followed.showtimes

    async def count_funnels(self) -> None:
        """Count how holds of the showtimes went on that are over. Refuses RETRY."""
        for _ in range(FUNNEL_PAGES):
            counted = await self._funnels.count(self._now())
            for funnel in counted:
                self._counts.funnel.add(funnel)
            if len(counted) < AT_ONCE:
                return
