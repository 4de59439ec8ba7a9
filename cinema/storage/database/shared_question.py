"""A question to the database that many ask at the same time, asked once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What several callers wait for together; one of them works for it.

    If that one is cancelled, the others have neither answer nor error, and begin again.
    """

    __slots__ = ("_answers", "_done", "_error")

    def __init__(self) -> None:
        self._done = asyncio.Event()
        self._answers: list[T] = []
        self._error: Exception | None = None

    async def work(self, task: Awaitable[T]) -> T:
        """Carry it out; its outcome, also an error, is that of all."""
        try:
            answer = await task
        except Exception as error:
            self._error = error
            raise
        else:
            self._answers.append(answer)
            return answer
        finally:
            self._done.set()

    async def outcome(self) -> list[T]:
        """The answer, or none if somebody has to begin again. Raises the error of the work."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._answers


class SharedQuestion(Generic[T]):
    """One question in flight; whoever comes meanwhile shares the next one.

    So an answer was always asked for after the call of the one who gets it. Nobody waits for more
    than two questions, however many wait.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._gathering: Shared[T] | None = None

    async def answer(self) -> T:
        """An answer that was asked for after this call began. Raises what the question raises."""
        while (gathering := self._gathering) is not None:
            for answer in await gathering.outcome():
                return answer
        gathering = self._gathering = Shared()
        return await gathering.work(self._after_the_last(gathering))

    async def _after_the_last(self, gathering: Shared[T]) -> T:
        try:
            async with self._asking:
                self._gathering = None
                return await self._ask()
        finally:
            if self._gathering is gathering:
                self._gathering = None
