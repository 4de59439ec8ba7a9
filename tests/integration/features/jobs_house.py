"""Jobs on a real Postgres, with a time that tests move on and a sleep that they end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from cinema.features.feature import JobKind
from cinema.features.jobs.jobs import JobQueue
from cinema.features.jobs.metrics import JobCounts
from cinema.features.jobs.rules import SILENCE_S
from cinema.features.jobs.service import JobsService
from cinema.features.jobs.shapes import AdminJob
from cinema.features.jobs.store import Enqueued, JobsRepository
from cinema.storage.database.transactions import transaction

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)

_serials = itertools.count(1)


class Naps:
    """A sleep that lasts until the test ends it."""

    def __init__(self) -> None:
        self._sleepers: list[asyncio.Future[None]] = []
        self._asleep = asyncio.Event()

    async def sleep(self, _seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        self._asleep.set()
        await sleeper

    async def begun(self) -> None:
        """Wait until somebody sleeps."""
        while all(one.done() for one in self._sleepers):
            self._asleep.clear()
            await self._asleep.wait()

    async def end(self) -> None:
        """Wait until somebody sleeps, and wake all."""
        await self.begun()
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)


class Yard:
    """The jobs of one database, and any number of nodes that do them."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.now = NOW
        self.naps = Naps()
        self.counts = JobCounts()
        self.jobs = JobsRepository(
            pool, new_id=lambda: next(_serials).to_bytes(16, "big"), now=lambda: self.now
        )
        self.service = JobsService(self.jobs)

    def node(
        self,
        kinds: Mapping[str, JobKind],
        name: str = "one",
        silence_s: float = SILENCE_S,
        jobs: JobsRepository | None = None,
    ) -> JobQueue:
        """One more node."""
        return JobQueue(
            jobs or self.jobs,
            kinds,
            self.counts,
            node=name,
            now=lambda: self.now,
            luck=lambda: 0.5,
            sleep=self.naps.sleep,
            silence_s=silence_s,
        )

    def pass_s(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)

    async def enqueue(self, kind: str = "count", **job: Any) -> Enqueued:
        async with transaction(self.pool) as running:
            return await self.jobs.enqueue(running, kind=kind, **job)

    async def job(self, job_id: UUID) -> AdminJob:
        found = await self.jobs.find(job_id)
        assert found is not None
        return found

    async def do_all(self, queue: JobQueue) -> int:
        """Make one attempt at everything that is due; how much that was."""
        claimed = await queue.claim(100)
        await asyncio.gather(*(queue.work(job) for job in claimed))
        return len(claimed)
