"""Makes events of what the outbox and refunds tell, and wakes those who wait for them.

Every node looks twice a second, and one at a time writes. Bounds: `PAGE` rows of each kind in a
transaction. Between two full ones it rests, the longer the more other work the node has (`rests`),
so that a backlog leaves processor and database to the seats. A row of which no event can be made is
kept apart for seven days, and keeps none of the others. Telemetry: the log events below, the
metrics of `metrics.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from cinema.features.events.metrics import EventCounts
from cinema.features.events.store import EventsRepository
from cinema.features.events.tail import EventTail
from cinema.features.feature import Rest
from cinema.features.rounds import Rounds
from cinema.telemetry.logging import LogLimit

EVENTS_NOT_PUBLISHED: Final = "events_not_published"
EVENT_UNCLEAR: Final = "event_unclear"

PERIOD_S: Final = 0.5
"""Time between two looks: so long an event may wait."""

PAGE: Final = 100
"""Rows in one transaction; their events are made within a few milliseconds, in which the loop does
nothing else."""

RESTS_IDLE: Final = 1.0
RESTS_BUSY: Final = 16.0
"""How many times as long as a full transaction the rest behind it is, on a node that does nothing
else, and on one that uses a whole core for other things."""

LATE: Final = timedelta(seconds=60)
RESTS_LATE: Final = 4.0
"""The most if the oldest row has waited for so long: under a load that lasts, events go on too."""

REST_LIMIT_S: Final = 2.0
"""A transaction that took long, because the database was slow, makes nothing later than this."""

REST_LEAST_S: Final = 0.005
"""Long enough to see what else the node does."""

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
        processor_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._events = events
        self._tail = tail
        self._counts = counts
        self._now = now
        self._rest = rest
        self._look_at_s = 0.0
        self._processor_s = processor_s
        # Whether the last transaction was full, so that refunds have to wait.
        self._catches_up = False
        self._is_late = False
        self._load = 0.0
        # When the rest behind a full transaction began, and the processor time until then.
        self._rest_began: tuple[float, float] | None = None
        self._limit = LogLimit(lines=5, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning,
            EVENTS_NOT_PUBLISHED,
            PERIOD_S,
            behind_more=self._rest_behind,
            rest=self._rest,
        )
        await rounds.run(self._step)

    async def _step(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._rest_began is not None:
            began_s, used_s = self._rest_began
            self._load = (self._processor_s() - used_s) / max(REST_LEAST_S, now_s - began_s)
            self._rest_began = None
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            await self.look()
        return await self.publish()

    def _rest_behind(self, took_s: float) -> float:
        """Leave the time behind a full page to others; `_step` sees how much of it they use."""
        self._rest_began = asyncio.get_running_loop().time(), self._processor_s()
        rest_s = took_s * rests(self._load, is_late=self._is_late)
        return max(REST_LEAST_S, min(REST_LIMIT_S, rest_s))

    async def round(self) -> None:
        """Tell all that there is to tell."""
        while await self.publish():
            pass

    async def publish(self) -> bool:
        """Tell one page; whether there may be more. Refuses RETRY."""
        now, catches_up = self._now(), self._catches_up
        published = await self._events.publish(now, PAGE, refunds=not catches_up)
        last = None
        self._catches_up = self._is_late = False
        if published is not None:
            self._counts.published.update(published.types)
            for row_id, kind, reason in published.unclear:
                self._counts.unclear += 1
                self._limit.write(log.error, EVENT_UNCLEAR, row=row_id, kind=kind, reason=reason)
            last, self._catches_up = published.last, published.is_full
            self._is_late = published.oldest_at is not None and now - published.oldest_at > LATE
        self._tail.advance(await self._events.last() if last is None else last)
        return self._catches_up or catches_up

    async def look(self) -> bool:
        """Count what waits; whether there is any."""
        backlog = await self._events.backlog()
        self._counts.note(backlog, self._now())
        return backlog.waiting > 0


def rests(load: float, *, is_late: bool) -> float:
    """How many times as long as a transaction the rest behind it is.

    `load` is how much of a core the node uses for other things.
    """
    wanted = RESTS_IDLE + (RESTS_BUSY - RESTS_IDLE) * min(load, 1.0)
    return min(wanted, RESTS_LATE) if is_late else wanted
