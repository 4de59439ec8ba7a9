"""A real process is killed between two steps of a job; another node does the rest."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import asyncpg
import pytest

from tests.integration.features import job_process
from tests.integration.features.job_process import STEPS, counting
from tests.integration.features.jobs_house import Yard

pytestmark = pytest.mark.postgres


async def test_each_step_is_done_once_though_a_process_is_killed_between_two(
    pool: asyncpg.Pool[asyncpg.Record], database: str
) -> None:
    await pool.execute("create table steps (at integer)")
    yard = Yard(pool)
    yard.now = datetime.now(UTC)
    job_id = (await yard.enqueue()).id
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", job_process.__name__, database, "2"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert [await process.stdout.readline() for _ in range(2)] == [b"at 1\n", b"at 2\n"]
    finally:
        process.kill()
        await process.wait()
    left = await yard.job(job_id)
    assert (left.status, left.done, left.node, left.remaining) == (
        "running",
        2,
        "killed",
        STEPS - 2,
    )
    node = yard.node({"count": counting(pool, 0)}, "other")
    assert left.due_at is not None
    yard.now = left.due_at
    assert await yard.do_all(node) == 1
    job = await yard.job(job_id)
    assert (job.status, job.done, job.attempts) == ("done", STEPS, 2)
    steps = [row[0] for row in await pool.fetch("select at from steps order by at")]
    assert steps == list(range(STEPS))
