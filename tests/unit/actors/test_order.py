"""What happens at one moment happens in the same order in every run: a simulation replays it."""

from __future__ import annotations

import asyncio

from cinema.actors.tasks import Tasks
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, audited_world, hold

MANY = 50
"""By chance, so many come in order about never."""


@in_virtual_time
async def test_showtimes_that_cannot_serve_answer_late_messages_in_the_order_they_stalled() -> None:
    async with audited_world() as world:
        node = await world.node(command_deadline_ms=1000)
        node.store.held.add("take_over")
        mails = [node.tell(world.showtime(), hold(ANNA, "A1")) for _ in range(MANY)]
        await asyncio.sleep(1.2)
        assert [mail.code for mail in mails] == ["RETRY"] * MANY
        assert node.order == mails


@in_virtual_time
async def test_tasks_are_cancelled_in_the_order_of_their_start() -> None:
    tasks, ended = Tasks(), []

    async def wait(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    for number in range(MANY):
        tasks.start(f"task-{number}", wait(number))
    await asyncio.sleep(0)
    await tasks.cancel()
    assert ended == list(range(MANY))
