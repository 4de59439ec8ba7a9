"""What bookings do with points after the fact, and points that expire.

Every node looks every five seconds: what bookings that have ended had put aside goes back; what was
confirmed earns, and what was given back is taken back; what has expired is taken. Nodes that do so
at the same time do it once. Bounds: `AT_ONCE` in a statement, `PAGE` bookings between two looks at
the rest. Telemetry: the log event below.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.features.loyalty.store import PointsRepository
from cinema.features.rounds import Rounds

POINTS_NOT_CREDITED: Final = "points_not_credited"

PERIOD_S: Final = 5.0
"""Time between two looks."""

AT_ONCE: Final = 100
PAGE: Final = 500

log = structlog.get_logger(__name__)


class PointsCredited:
    """Gives points, and takes them back; on every node."""

    def __init__(self, points: PointsRepository, *, now: Callable[[], datetime]) -> None:
        self._points = points
        self._now = now

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, POINTS_NOT_CREDITED, PERIOD_S).run(self.round)

    async def round(self) -> int:
        """Do all that can be done now; how much it was. Refuses RETRY."""
        done = 0
        while count := await self._points.decide(self._now(), AT_ONCE):
            done += count
        for due in await self._points.due(PAGE):
            done += await self._points.look_at(due, self._now())
        while count := await self._points.expire(self._now(), AT_ONCE):
            done += count
        return done
