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

from cinema.features.events.metrics import EventCounts
from cinema.features.events.store import EventsRepository
from cinema.features.events.tail import EventTail
from cinema.features.feature import Rest
from cinema.features.rounds import Rounds, in_proportion
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
        self._look_at_s = 0.0
        self._limit = LogLimit(lines=5, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning,
            EVENTS_NOT_PUBLISHED,
            PERIOD_S,
            behind_more=in_proportion(RESTS, most_s=REST_LIMIT_S),
            rest=self._rest,
        )
        await rounds.run(self._step)

    async def _step(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            await self.look()
        return await self.publish()

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
