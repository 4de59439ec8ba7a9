"""Reading events: page after page, or as they happen."""

from __future__ import annotations

import asyncio

from cinema.domain.rejections import refuse
from cinema.features.events.shapes import EventPage, EventQuery
from cinema.features.events.store import EventsRepository
from cinema.features.events.tail import EventTail


class EventsService:
    """Use cases of events; each refuses with a code of `docs/errors.md`."""

    def __init__(self, events: EventsRepository, tail: EventTail) -> None:
        self._events = events
        self._tail = tail

    async def events(self, query: EventQuery) -> EventPage:
        """Events behind a position; if there are none, the first that come while one waits.

        Refuses EVENTS_FORGOTTEN if some behind the position were deleted since, or if there was
        no such position yet.
        """
        found = await self._look(query, query.after)
        if found.items or not query.wait_seconds:
            return found
        async with self._tail.place() as placed:
            return await self._wait(query, found) if placed else found

    async def _wait(self, query: EventQuery, found: EventPage) -> EventPage:
        try:
            async with asyncio.timeout(query.wait_seconds):
                while not found.items and not self._tail.is_closed:
                    await self._tail.beyond(found.next_after)
                    found = await self._look(query, found.next_after)
        except TimeoutError:
            # What came until then was none of those that were asked for.
            pass
        return found

    async def _look(self, query: EventQuery, after: int) -> EventPage:
        # In this order: what comes meanwhile is behind the position that is answered.
        last = await self._events.last()
        items = await self._events.page(after, query.type, query.cinema_id, query.limit)
        if after > last:
            text = "No event has this position: the database was set back. Begin with 0."
            raise refuse("EVENTS_FORGOTTEN", text)
        if after and after < await self._events.horizon():
            raise refuse("EVENTS_FORGOTTEN")
        if len(items) == query.limit:
            return EventPage(items, items[-1].position)
        reached = items[-1].position if items else 0
        return EventPage(items, max(after, last, reached))
