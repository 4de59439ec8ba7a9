"""Makes events of what the outbox and refunds tell, and wakes those who wait for them.

Every node looks twice a second, and one at a time writes. Bounds: `PAGE` rows of each kind in a
transaction, and between two full ones a rest of `RESTS` times its length, so that a backlog leaves
the database to the seats. A row of which no event can be made is kept apart for seven days, and
keeps none of the others. Telemetry: the log events below, the metrics of `metrics.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.events.metrics import EventCounts
from cinema.features.events.store import EventsRepository
from cinema.features.events.tail import EventTail
from cinema.features.feature import Rest
from cinema.telemetry.logging import LogLimit

EVENTS_NOT_PUBLISHED: Final = "events_not_published"
EVENT_UNCLEAR: Final = "event_unclear"

PERIOD_S: Final = 0.5
"""Time between two looks: so long an event may wait."""

PAGE: Final = 100
"""Rows in one transaction; their events are made within a few milliseconds, in which the loop does
nothing else."""

RESTS: Final = 4
"""How many times as long as a full transaction the rest behind it is."""

REST_LIMIT_S: Final = 2.0
"""A transaction that took long, because the database was slow, makes nothing later than this."""

LOOK_EVERY_S: Final = 5.0
"""How often all that waits is counted, for the metrics."""

log = structlog.get_logger(__name__)


class Publishing:
    """Tells what happened; on every node."""

    def __init__(
        self,
        events: EventsRepository,
        tail: EventTail,
        counts: EventCounts,
        *,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._events = events
        self._tail = tail
        self._counts = counts
        self._now = now
        self._rest = rest
        self._limit = LogLimit(lines=5, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        clock, looked_s = asyncio.get_running_loop().time, -LOOK_EVERY_S
        while True:
            rest, rest_s = self._rest, PERIOD_S
            began_s = clock()
            try:
                if began_s >= looked_s + LOOK_EVERY_S:
                    looked_s = began_s
                    await self.look()
                began_s = clock()
                if await self.publish():
                    rest, rest_s = asyncio.sleep, min(REST_LIMIT_S, RESTS * (clock() - began_s))
            except Refused as refused:
                reason = refused.rejection.code
                self._limit.write(log.warning, EVENTS_NOT_PUBLISHED, reason=reason)
            await rest(rest_s)

    async def round(self) -> None:
        """Tell all that there is to tell."""
        while await self.publish():
            pass

    async def publish(self) -> bool:
        """Tell one page; whether there may be more. Refuses RETRY."""
        published = await self._events.publish(self._now(), PAGE)
        if published is not None:
            self._counts.published.update(published.types)
            for row_id, kind, reason in published.unclear:
                self._counts.unclear += 1
                self._limit.write(log.error, EVENT_UNCLEAR, row=row_id, kind=kind, reason=reason)
        self._tail.advance(await self._events.last())
        return published is not None and published.is_full

    async def look(self) -> None:
        """Count what waits."""
        self._counts.note(await self._events.backlog(), self._now())
