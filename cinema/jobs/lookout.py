"""Asks Postgres in one statement, for all loops of a node, whether there is something to do.

A loop that found nothing rests until the answer to its question changes, or stays that there is
something for one of its own periods, and for `SAFETY_S` at most. So work is begun no later than if
each loop looked by itself, and a node without work asks one question, not one for each loop.
Nothing is sent that could be lost: what a look misses, the next one sees. Works behind a proxy that
pools transactions. Telemetry: the log event below.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.feature import Question, Rest
from cinema.storage.database.transactions import Pool, connection
from cinema.storage.journal.store import StoreUnavailable
from cinema.telemetry.logging import LogLimit

LOOKOUT_FAILED: Final = "lookout_failed"

PERIOD_S: Final = 0.5
"""Time between two looks, as short as the shortest period of a loop that asks."""

SAFETY_S: Final = 15.0
"""Longest rest of a loop, for what its question might not see."""

LOOK_S: Final = 1.0
"""Longest look. If a table is locked for longer, by a `vacuum full` say, all loops look by
themselves, and those that do not need it go on."""

log = structlog.get_logger(__name__)


class _Resting:
    """One loop: its question, what was answered last, and the loop while it rests."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.was_due = True
        self.rests_until_s = 0.0
        self.waiting: asyncio.Future[None] | None = None

    def answered(self, is_due: bool, now_s: float) -> None:
        changed, self.was_due = is_due != self.was_due, is_due
        if changed or (is_due and now_s >= self.rests_until_s):
            self.wake()

    def wake(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


class Lookout:
    """The looks of one node; on every node."""

    def __init__(
        self,
        pool: Pool,
        *,
        period_s: float = PERIOD_S,
        safety_s: float = SAFETY_S,
        look_s: float = LOOK_S,
    ) -> None:
        self._pool = pool
        self._look_s = look_s
        self._period_s = period_s
        self._safety_s = safety_s
        self._loops: list[_Resting] = []
        self._statement = ""
        self._limit = LogLimit(lines=5, period_s=60.0)

    def rest(self, question: Question) -> Rest:
        """What a loop with this question calls to rest, with its own period."""
        loop = _Resting(question)
        self._loops.append(loop)
        self._statement = _statement(self._loops)

        async def rest(period_s: float) -> None:
            clock = asyncio.get_running_loop()
            # The look behind its end would make the rest longer than the period.
            loop.rests_until_s = clock.time() + period_s - self._period_s
            loop.waiting = clock.create_future()
            timer = clock.call_later(max(self._safety_s, period_s), loop.wake)
            try:
                await loop.waiting
            finally:
                timer.cancel()
                loop.waiting = None

        return rest

    async def run(self) -> None:
        """Look as long as the node runs."""
        while True:
            await asyncio.sleep(self._period_s)
            await self.look()

    async def look(self) -> None:
        """Wake the loops that have something to do; all of them if Postgres cannot say."""
        try:
            answers = await self._ask()
        except (Refused, StoreUnavailable) as error:
            self._limit.write(log.warning, LOOKOUT_FAILED, reason=str(error))
            answers = [True] * len(self._loops)
        now_s = asyncio.get_running_loop().time()
        for loop, is_due in zip(self._loops, answers, strict=True):
            loop.answered(is_due, now_s)

    async def _ask(self) -> list[bool]:
        if not self._loops:
            return []
        values = [value() for loop in self._loops for value in loop.question.values]
        async with connection(self._pool) as reading:
            answers: list[bool] = await reading.fetchval(
                self._statement, *values, timeout=self._look_s
            )
        return answers


def _statement(loops: list[_Resting]) -> str:
    """All questions as one; their parameters are numbered through."""
    texts, first = [], 1
    for loop in loops:
        values = loop.question.values
        texts.append(loop.question.text.format(*(f"${first + n}" for n in range(len(values)))))
        first += len(values)
    return "select array[\n" + ",\n".join(texts) + "\n]"
