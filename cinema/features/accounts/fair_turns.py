"""Turns at a scarce resource, shared fairly among the askers, however many requests each has."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from cinema.features.accounts.shapes import stays


class NoRoom(Exception):
    """Too many requests wait already, of this asker or of all; or this one has waited too long."""


class _Turn:
    """A place in the line; `ready` ends the wait."""

    __slots__ = ("has_left", "ready")

    def __init__(self, ready: asyncio.Future[None], has_left: Callable[[], bool | None]) -> None:
        self.ready = ready
        self.has_left = has_left


class FairTurns:
    """At most `at_once` have a turn; the askers that wait take turns in rotation.

    An asker may have `share` requests waiting. When `queue_limit` wait in all, an asker with fewer
    takes the place of the last request of the asker with most; that one ends with `NoRoom`. So does
    a request that has waited for `wait_s` (None: for ever), and one whose asker has left meanwhile.
    """

    def __init__(self, at_once: int, *, queue_limit: int, share: int, wait_s: float | None) -> None:
        self._free = at_once
        self._queue_limit = queue_limit
        self._share = share
        self._wait_s = wait_s
        self._queues: OrderedDict[str, deque[_Turn]] = OrderedDict()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._waiting

    async def begin(self, asker: str, has_left: Callable[[], bool | None] = stays) -> None:
        """Wait for a turn; raises `NoRoom`. `end` must follow, unless the wait is cancelled.

        `has_left` is asked when the turn of one that has waited comes, or its place is wanted. One
        that may have left (None) lets the others go first, and gives its place up if it is wanted.
        """
        if self._free and not self._waiting:
            self._free -= 1
            return
        if self._is_full(asker):
            self._drop_who_left()
        queue = self._queues.get(asker, ())
        if len(queue) >= self._share:
            raise NoRoom
        if self._waiting >= self._queue_limit:
            self._drop_for(len(queue))
        loop = asyncio.get_running_loop()
        turn = _Turn(loop.create_future(), has_left)
        self._queues.setdefault(asker, deque()).append(turn)
        self._waiting += 1
        bound = (
            None
            if self._wait_s is None
            else loop.call_later(self._wait_s, self._give_up, asker, turn)
        )
        try:
            await turn.ready
        except asyncio.CancelledError:
            if turn.ready.cancelled():
                self._leave(asker, turn)
            elif turn.ready.exception() is None:
                # The turn came at the same moment: the next one gets it.
                self.end()
            raise
        finally:
            if bound is not None:
                bound.cancel()

    def end(self) -> None:
        """End a turn: the first request of the next asker gets the next."""
        self._free += 1
        while self._free and (found := self._next()) is not None:
            asker, turn = found
            self._leave(asker, turn)
            if asker in self._queues:
                self._queues.move_to_end(asker)
            if not turn.ready.cancelled():
                self._free -= 1
                turn.ready.set_result(None)

    def _next(self) -> tuple[str, _Turn] | None:
        """Whose turn comes: the first that is there, or else the first that may have left.

        Those who have left go.
        """
        may_have_left: tuple[str, _Turn] | None = None
        for asker, queue in list(self._queues.items()):
            for turn in list(queue):
                has_left = turn.has_left()
                if has_left:
                    self._give_up(asker, turn)
                elif has_left is False:
                    return asker, turn
                elif may_have_left is None:
                    may_have_left = asker, turn
        return may_have_left

    def _is_full(self, asker: str) -> bool:
        return self._waiting >= self._queue_limit or len(self._queues.get(asker, ())) >= self._share

    def _drop_who_left(self) -> None:
        for asker, queue in list(self._queues.items()):
            for turn in [one for one in queue if one.has_left() is not False]:
                self._give_up(asker, turn)

    def _drop_for(self, newcomer_waiting: int) -> None:
        asker, queue = max(self._queues.items(), key=lambda item: len(item[1]))
        if len(queue) <= newcomer_waiting + 1:
            raise NoRoom
        _refuse(self._take(asker, queue, -1))

    def _give_up(self, asker: str, turn: _Turn) -> None:
        self._leave(asker, turn)
        _refuse(turn)

    def _leave(self, asker: str, turn: _Turn) -> None:
        """Remove a request that no longer waits, unless it was already removed."""
        queue = self._queues.get(asker)
        if queue is not None and turn in queue:
            self._take(asker, queue, queue.index(turn))

    def _take(self, asker: str, queue: deque[_Turn], at: int) -> _Turn:
        turn = queue[at]
        del queue[at]
        self._waiting -= 1
        if not queue:
            del self._queues[asker]
        return turn


def _refuse(turn: _Turn) -> None:
    if not turn.ready.done():
        turn.ready.set_exception(NoRoom())
