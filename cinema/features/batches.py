"""Work that many ask for at the same time, done by few statements: each is for all who wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from cinema.actors.tasks import Tasks

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE_S: Final = 0.05
"""So long the next batch waits for the one before. One that takes longer waits for a lock, or for
Postgres: who has come meanwhile need not wait for the same."""

AT_ONCE: Final = 4
"""Batches of one kind that are under way at the same time, each in a connection of the pool."""

LIMIT: Final = 100
"""Items of one batch."""


class Batches(Generic[Item, Result]):
    """One kind of work: `work` gets the items of a batch and returns the outcome of each.

    The first item is worked on at once, those that come meanwhile together behind it. What `work`
    raises is raised to all of the batch. Who gives up while the work is under way leaves it to
    the others.
    """

    def __init__(
        self,
        name: str,
        tasks: Tasks,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        patience_s: float = PATIENCE_S,
        at_once: int = AT_ONCE,
        limit: int = LIMIT,
    ) -> None:
        self._name = name
        self._tasks = tasks
        self._work = work
        self._patience_s = patience_s
        self._at_once = at_once
        self._limit = limit
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running = 0
        # The last batch that was begun, unless it has ended or lasts too long.
        self._awaited: object | None = None

    async def outcome(self, item: Item) -> Result:
        """What came of an item. Raises what the work of its batch raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._begin()
        return await future

    def _begin(self) -> None:
        """Begin the next batch, unless it is too early for it."""
        if self._waiting and self._awaited is None and self._running < self._at_once:
            self._running += 1
            batch = self._awaited = object()
            self._tasks.start(self._name, self._carry_out(batch))

    async def _carry_out(self, batch: object) -> None:
        # Only now, so that all who came in one step of the loop are together.
        taken = self._taken()
        late = asyncio.get_running_loop().call_later(self._patience_s, self._go_on, batch)
        try:
            if taken:
                await self._settle(taken)
        except asyncio.CancelledError:
            # The node stops.
            taken += self._waiting
            self._waiting.clear()
            raise
        finally:
            for _, future in taken:
                future.cancel()
            late.cancel()
            self._running -= 1
            if self._awaited is batch:
                self._awaited = None
        self._begin()

    def _taken(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        taken: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(taken) < self._limit:
            one = self._waiting.popleft()
            if not one[1].done():
                taken.append(one)
        return taken

    async def _settle(self, taken: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        work = self._work([item for item, _ in taken])
        (outcomes,) = await asyncio.gather(work, return_exceptions=True)
        if isinstance(outcomes, BaseException):
            for _, future in taken:
                if not future.done():
                    future.set_exception(outcomes)
            return
        for (_, future), outcome in zip(taken, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)

    def _go_on(self, batch: object) -> None:
        if self._awaited is batch:
            self._awaited = None
            self._begin()
