"""A process that does jobs until it is killed: run as `python -m … DATABASE STEP`.

It counts into the table `steps`, a row a step, and says `at N` after each; at `STEP` it stays.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime

from cinema.features.feature import JobAttempt, JobKind
from cinema.features.jobs.jobs import JobQueue
from cinema.features.jobs.metrics import JobCounts
from cinema.features.jobs.store import JobsRepository
from cinema.storage.database.pool import open_pool
from cinema.storage.database.transactions import Pool, transaction

STEPS = 5


def counting(pool: Pool, stay_at: int) -> JobKind:
    """Steps that are rows: each written once with its report, told once more without."""

    async def count(attempt: JobAttempt) -> None:
        await attempt.report(total=STEPS)
        for step in range(attempt.done, STEPS):
            async with transaction(pool) as running:
                await running.execute("insert into steps (at) values ($1)", step)
                await attempt.report(done=step + 1, within=running)
            sys.stdout.write(f"at {step + 1}\n")
            sys.stdout.flush()
            if step + 1 == stay_at:
                await asyncio.Event().wait()

    return JobKind(run=count)


async def _main(database: str, stay_at: int) -> None:
    def now() -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    async with await open_pool(database, size=2) as pool:
        jobs = JobsRepository(pool, new_id=lambda: bytes(16), now=now)
        queue = JobQueue(
            jobs, {"count": counting(pool, stay_at)}, JobCounts(), node="killed", now=now
        )
        for job in await queue.claim(1):
            await queue.work(job)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
