"""Background tasks and how they end."""

from __future__ import annotations

import asyncio

from cinema.actors.tasks import Tasks
from tests.unit.actors.virtual_time import in_virtual_time


@in_virtual_time
async def test_task_that_is_cancelled_before_its_first_step_still_answers() -> None:
    tasks, answered = Tasks(), asyncio.Event()

    async def answer() -> None:
        try:
            await asyncio.sleep(60.0)
        finally:
            answered.set()

    tasks.start("answer", answer())
    await tasks.cancel()
    assert answered.is_set()
