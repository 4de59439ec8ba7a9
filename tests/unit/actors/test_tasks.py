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


@in_virtual_time
async def test_task_that_missed_its_cancellation_is_cancelled_again() -> None:
    tasks, missed = Tasks(), []

    async def beat() -> None:
        while True:
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                if missed:
                    raise
                missed.append("as a driver's time-out may drop it")

    task = tasks.start("beat", beat())
    await asyncio.wait_for(tasks.cancel(), 10.0)
    assert task.cancelled()
    assert missed
