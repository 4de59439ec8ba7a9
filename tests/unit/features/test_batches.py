"""What many ask for at the same time is done together, and nobody waits for what is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from cinema.actors.tasks import Tasks
from cinema.features.batches import Batches

FOR_EVER_S = 3600.0


async def settled() -> None:
    """Let everybody go as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """Doubles numbers, each batch when the test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._ends: list[asyncio.Future[None]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.append(end)
        await end
        return [2 * one for one in items]

    async def end(self, batch: int, error: Exception | None = None) -> None:
        if error is None:
            self._ends[batch].set_result(None)
        else:
            self._ends[batch].set_exception(error)
        await settled()


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.cancel()
    assert not tasks.failures


def ask(batches: Batches[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(batches.outcome(one)) for one in items]


async def test_who_comes_while_a_batch_is_under_way_is_in_the_next_one(tasks: Tasks) -> None:
    work = Work()
    batches = Batches("work", tasks, work, patience_s=FOR_EVER_S)
    first = ask(batches, 1, 2)
    await settled()
    others = ask(batches, 3, 4, 5)
    await settled()
    assert work.batches == [[1, 2]]
    await work.end(0)
    assert await asyncio.gather(*first) == [2, 4]
    assert work.batches == [[1, 2], [3, 4, 5]]
    await work.end(1)
    assert await asyncio.gather(*others) == [6, 8, 10]


async def test_a_batch_has_its_limit(tasks: Tasks) -> None:
    work = Work()
    batches = Batches("work", tasks, work, patience_s=FOR_EVER_S, limit=2)
    asked = ask(batches, 1, 2, 3, 4, 5)
    for batch in range(3):
        await settled()
        await work.end(batch)
    assert work.batches == [[1, 2], [3, 4], [5]]
    assert await asyncio.gather(*asked) == [2, 4, 6, 8, 10]


async def test_a_batch_that_is_stuck_keeps_none_of_those_behind_it(tasks: Tasks) -> None:
    """As many as there are connections for it; what comes then waits for one of them."""
    work = Work()
    batches = Batches("work", tasks, work, patience_s=0.0, at_once=2)
    stuck = ask(batches, 1)
    await settled()
    behind = ask(batches, 2)
    await settled()
    waiting = ask(batches, 3)
    await settled()
    assert work.batches == [[1], [2]]
    await work.end(1)
    assert await behind[0] == 4
    await settled()
    assert not stuck[0].done()
    await work.end(2)
    await work.end(0)
    assert (await stuck[0], await waiting[0]) == (2, 6)


async def test_an_error_is_that_of_its_batch_alone(tasks: Tasks) -> None:
    work = Work()
    batches = Batches("work", tasks, work, patience_s=FOR_EVER_S)
    asked = ask(batches, 1, 2)
    await settled()
    other = ask(batches, 3)
    await settled()
    await work.end(0, OSError("away"))
    await work.end(1)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(one) for one in outcomes] == ["away", "away"]
    assert await other[0] == 6


async def test_who_gives_up_leaves_the_work_to_the_others(tasks: Tasks) -> None:
    work = Work()
    batches = Batches("work", tasks, work, patience_s=FOR_EVER_S)
    under_way = ask(batches, 1, 2)
    await settled()
    waiting = ask(batches, 3, 4)
    await settled()
    for one in (under_way[0], waiting[0]):
        one.cancel()
    await work.end(0)
    await work.end(1)
    assert work.batches == [[1, 2], [4]]
    assert (await under_way[1], await waiting[1]) == (4, 8)


async def test_if_all_have_given_up_nothing_is_done(tasks: Tasks) -> None:
    work = Work()
    batches = Batches("work", tasks, work, patience_s=FOR_EVER_S)
    first = ask(batches, 1)
    await settled()
    waiting = ask(batches, 2)
    await settled()
    waiting[0].cancel()
    await work.end(0)
    await first[0]
    last = ask(batches, 3)
    await settled()
    await work.end(1)
    assert (work.batches, await last[0]) == ([[1], [3]], 6)


async def test_a_node_that_stops_lets_nobody_wait() -> None:
    tasks, work = Tasks(), Work()
    batches = Batches("work", tasks, work, patience_s=FOR_EVER_S)
    under_way = ask(batches, 1)
    await settled()
    waiting = ask(batches, 2)
    await settled()
    await tasks.cancel()
    outcomes = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
    assert [type(one) for one in outcomes] == [asyncio.CancelledError] * 2
    assert work.batches == [[1]]
