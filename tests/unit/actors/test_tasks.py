"""Background tasks and how they end."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

from cinema.actors.tasks import AGAIN_FIRST_S, AGAIN_LIMIT_S, STEADY_S, TASK_FAILED, Tasks
from tests.support.actors.virtual_time import in_virtual_time, settle


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


@in_virtual_time
async def test_a_task_that_fails_is_logged_and_counted_by_its_name(logged: list[Any]) -> None:
    failures: Counter[str] = Counter()
    tasks = Tasks(failures)

    async def fail() -> None:
        raise RuntimeError("a bug")

    tasks.start("doomed", fail(), "this one")
    await settle()
    assert [(one["event"], one["task"]) for one in logged] == [(TASK_FAILED, "doomed-this one")]
    assert failures == {"doomed": 1}
    await tasks.cancel()


@in_virtual_time
async def test_a_task_that_succeeds_or_is_told_to_end_has_not_failed(logged: list[Any]) -> None:
    tasks = Tasks()
    tasks.start("short", asyncio.sleep(0))
    tasks.start("long", asyncio.sleep(60.0))
    tasks.keep("kept", lambda: asyncio.sleep(60.0))
    await settle()
    await tasks.cancel()
    assert not logged
    assert not tasks.failures


async def _cut_off() -> None:
    """Wait for something that somebody else gives up."""
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    await given_up


@in_virtual_time
async def test_a_task_that_ends_by_a_cancellation_nobody_wished_has_failed(
    logged: list[Any],
) -> None:
    tasks = Tasks()
    tasks.start("once", _cut_off())
    tasks.keep("kept", _cut_off)
    await settle()
    assert tasks.failures == {"once": 1, "kept": 1}
    assert [one["event"] for one in logged] == [TASK_FAILED] * 2
    await asyncio.sleep(AGAIN_FIRST_S)
    await settle()
    assert tasks.failures["kept"] == 2
    await tasks.cancel()


@in_virtual_time
async def test_a_task_that_is_to_run_for_ever_starts_again_ever_later() -> None:
    tasks, starts = Tasks(), []
    now_s = asyncio.get_running_loop().time

    async def fail() -> None:
        starts.append(now_s())
        raise RuntimeError("a bug")

    tasks.keep("doomed", fail)
    await asyncio.sleep(200.0)
    pauses = [later - sooner for sooner, later in itertools.pairwise(starts)]
    assert round(pauses[0], 6) == AGAIN_FIRST_S
    assert all(
        round(later, 6) == round(min(2 * sooner, AGAIN_LIMIT_S), 6)
        for sooner, later in itertools.pairwise(pauses)
    )
    assert pauses[-1] == AGAIN_LIMIT_S
    assert tasks.failures == {"doomed": len(starts)}
    await tasks.cancel()


@in_virtual_time
async def test_a_task_that_was_well_for_long_starts_again_at_once() -> None:
    tasks, starts = Tasks(), []
    now_s = asyncio.get_running_loop().time

    async def live() -> None:
        starts.append(now_s())
        if len(starts) > 4:
            await asyncio.sleep(STEADY_S)
        raise RuntimeError("a bug")

    tasks.keep("mostly-well", live)
    await asyncio.sleep(3 * STEADY_S)
    assert round(starts[5] - starts[4], 6) == STEADY_S + AGAIN_FIRST_S
    await tasks.cancel()


@in_virtual_time
async def test_a_task_that_returns_meant_to(logged: list[Any]) -> None:
    tasks, runs = Tasks(), []

    async def once() -> None:
        runs.append("a run")

    await tasks.keep("once", once)
    await settle()
    assert len(runs) == 1
    assert not logged


@in_virtual_time
async def test_a_kept_task_can_be_cancelled_while_it_waits_for_its_next_start() -> None:
    tasks = Tasks()

    async def fail() -> None:
        raise RuntimeError("a bug")

    task = tasks.keep("doomed", fail)
    await settle()
    await tasks.cancel()
    assert task.cancelled()
