"""Turns at a scarce resource, shared fairly among the askers, however many requests each has."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class NoRoom(Exception):
    """Too many requests wait already, of this asker or of all."""


class FairTurns:
    """At most `at_once` have a turn; the askers that wait take turns in rotation.

    An asker may have `share` requests waiting. When `queue_limit` wait in all, an asker with fewer
    takes the place of the last request of the asker with most; that one ends with `NoRoom`.
    """

    def __init__(self, at_once: int, *, queue_limit: int, share: int) -> None:
        self._free = at_once
        self._queue_limit = queue_limit
        self._share = share
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._waiting

    async def begin(self, asker: str) -> None:
        """Wait for a turn; raises `NoRoom`. `end` must follow, unless the wait is cancelled."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        queue = self._queues.get(asker, ())
        if len(queue) >= self._share:
            raise NoRoom
        if self._waiting >= self._queue_limit:
            self._drop_for(len(queue))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(asker, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(asker, turn)
            elif turn.exception() is None:
                # The turn came at the same moment: the next one gets it.
                self.end()
            raise

    def end(self) -> None:
        """End a turn: the first request of the next asker gets the next."""
        self._free += 1
        while self._queues and self._free:
            asker, queue = next(iter(self._queues.items()))
            turn = self._take(asker, queue, 0)
            if queue:
                self._queues.move_to_end(asker)
            if not turn.cancelled():
                self._free -= 1
                turn.set_result(None)

    def _drop_for(self, newcomer_waiting: int) -> None:
        asker, queue = max(self._queues.items(), key=lambda item: len(item[1]))
        if len(queue) <= newcomer_waiting + 1:
            raise NoRoom
        turn = self._take(asker, queue, -1)
        if not turn.cancelled():
            turn.set_exception(NoRoom())

    def _leave(self, asker: str, turn: asyncio.Future[None]) -> None:
        """Remove a request that no longer waits, unless it was already removed."""
        queue = self._queues.get(asker)
        if queue is not None and turn in queue:
            self._take(asker, queue, queue.index(turn))

    def _take(
        self, asker: str, queue: deque[asyncio.Future[None]], at: int
    ) -> asyncio.Future[None]:
        turn = queue[at]
        del queue[at]
        self._waiting -= 1
        if not queue:
            del self._queues[asker]
        return turn
