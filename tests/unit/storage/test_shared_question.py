"""A question that many ask at the same time is asked once for all of them."""

from __future__ import annotations

import asyncio

import pytest

from cinema.storage.database.shared_question import SharedQuestion


async def settled() -> None:
    """Let everybody go as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Server:
    """Answers how often it was asked, when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return number


async def test_whoever_comes_while_a_question_is_under_way_shares_the_next_one() -> None:
    server = Server()
    shared = SharedQuestion(server.ask)
    first = asyncio.create_task(shared.answer())
    await settled()
    others = [asyncio.create_task(shared.answer()) for _ in range(50)]
    await settled()
    assert server.asked == 1
    server.may_answer.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 50
    assert await shared.answer() == 3


async def test_one_who_gives_up_leaves_the_question_to_the_others() -> None:
    server = Server()
    shared = SharedQuestion(server.ask)
    tasks = [asyncio.create_task(shared.answer()) for _ in range(3)]
    await settled()
    tasks[0].cancel()
    tasks[1].cancel()
    await settled()
    server.may_answer.set()
    assert await tasks[2] == server.asked
    assert [task.cancelled() for task in tasks] == [True, True, False]


async def test_one_who_gives_up_while_waiting_to_ask_leaves_it_to_the_others() -> None:
    server = Server()
    shared = SharedQuestion(server.ask)
    tasks = [asyncio.create_task(shared.answer())]
    await settled()
    tasks += [asyncio.create_task(shared.answer()) for _ in range(3)]
    await settled()
    tasks[1].cancel()
    await settled()
    server.may_answer.set()
    assert await asyncio.gather(*tasks[2:]) == [2, 2]


async def test_a_failure_is_that_of_all_who_share_it() -> None:
    server = Server()
    shared = SharedQuestion(server.ask)
    first = asyncio.create_task(shared.answer())
    await settled()
    others = [asyncio.create_task(shared.answer()) for _ in range(20)]
    await settled()
    server.error = OSError("away")
    server.may_answer.set()
    found = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(one) for one in found] == [OSError] * 21
    assert server.asked == 2
    server.error = None
    assert await shared.answer() == 3
    with pytest.raises(OSError, match="away"):
        await first
