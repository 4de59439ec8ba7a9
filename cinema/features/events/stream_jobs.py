"""Writes events into the stream of Redis, behind what is there.

On every node with a Redis, as soon as the node hears of an event. What is missing, because Redis
was away or lost it, is added from the database, up to `STREAM_KEPT`. Bound: `PAGE` events in a
call. Telemetry: the log events below, `cinema_events_streamed_total`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from cinema.domain.rejections import Refused
from cinema.features.events.metrics import EventCounts
from cinema.features.events.shapes import EVENTS_AT_ONCE
from cinema.features.events.store import EventsRepository
from cinema.features.events.tail import EventTail
from cinema.storage.redis.event_stream import STREAM_KEPT, EventStream, StreamUnavailable

EVENT_STREAM_LOST: Final = "event_stream_lost"
EVENT_STREAM_FOUND: Final = "event_stream_found"
EVENT_STREAM_RESET: Final = "event_stream_reset"

PAGE: Final = EVENTS_AT_ONCE
REST_S: Final = 2.0
"""Time until the next attempt after a failure, and between two looks without news."""

log = structlog.get_logger(__name__)


class Streaming:
    """Keeps the stream up to date; on every node."""

    def __init__(
        self, events: EventsRepository, stream: EventStream, tail: EventTail, counts: EventCounts
    ) -> None:
        self._events = events
        self._stream = stream
        self._tail = tail
        self._counts = counts
        self._is_lost = False

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            reached = self._tail.position
            if await self.round() and not self._tail.is_closed:
                # Redis may lose what it has: it is looked at without news too.
                with suppress(TimeoutError):
                    async with asyncio.timeout(REST_S):
                        await self._tail.beyond(reached)
            else:
                await asyncio.sleep(REST_S)

    async def round(self) -> bool:
        """Add all that is missing; False if that was not possible."""
        try:
            while await self._add() == PAGE:
                pass
        except (Refused, StreamUnavailable) as error:
            if not self._is_lost:
                self._is_lost = True
                log.warning(EVENT_STREAM_LOST, reason=str(error))
            return False
        if self._is_lost:
            self._is_lost = False
            log.info(EVENT_STREAM_FOUND)
        return True

    async def _add(self) -> int:
        """One page; how many events it had."""
        # In this order: nothing in the stream is newer than what is found behind it.
        there = await self._stream.last()
        newest = await self._events.last()
        if there > newest:
            # The database was restored to an earlier time, and gives positions again.
            log.warning(EVENT_STREAM_RESET, stream=there, newest=newest)
            await self._stream.clear()
            there = 0
        events = await self._events.page(max(there, newest - STREAM_KEPT), None, None, PAGE)
        if events:
            added = await self._stream.add(
                [(one.position, one.type, msgspec.json.encode(one)) for one in events]
            )
            self._counts.streamed += added
        return len(events)
