"""Works off jobs, each on one node at a time; the node renews its lease every ten seconds.

Bounds: leases, backoff and when a job is given up in `rules.py`; how many at once on a node, of a
kind in its `JobKind`, in all in `cinema/jobs/worker.py`. Telemetry: the log events below, the
metrics of `metrics.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from cinema.actors.tasks import Tasks
from cinema.domain.rejections import Refused
from cinema.features.feature import JobFailed, JobKind
from cinema.features.jobs.metrics import JobCounts
from cinema.features.jobs.rules import FAILURES_LIMIT, LEASE_S, RENEW_S, SILENCE_S, backoff_s
from cinema.features.jobs.store import ClaimedJob, JobsRepository
from cinema.storage.database.transactions import PooledConnection
from cinema.storage.journal.store import StoreUnavailable
from cinema.telemetry.logging import LogLimit

JOB_ENDED: Final = "job_ended"
JOB_TAKEN_OVER: Final = "job_taken_over"
JOB_NOT_DONE: Final = "job_not_done"
JOB_STOPPED: Final = "job_stopped"

LOOK_EVERY: Final = timedelta(seconds=15)
"""Time between two looks at how much waits, as often as metrics are scraped."""

RELEASE_S: Final = 0.8
"""How long a stopping node tries to give a job back; if it fails, the lease ends by itself."""

NOBODY_ENDED_IT: Final = "nobody came to the end of an attempt"
SILENT_TOO_LONG: Final = "the handler reported nothing for too long"

log = structlog.get_logger(__name__)


class RunningAttempt:
    """What a handler receives (`cinema/features/feature.py`): a job, and how to report."""

    def __init__(
        self,
        jobs: JobsRepository,
        claimed: ClaimedJob,
        now: Callable[[], datetime],
        limit: asyncio.Timeout,
        silence_s: float,
    ) -> None:
        self.id = claimed.id
        self.owner_id: UUID | None = claimed.owner_id
        self.cinema_id: UUID | None = claimed.cinema_id
        self.input: Mapping[str, Any] = claimed.input
        self.position: Mapping[str, Any] = claimed.position
        self.request_id = claimed.request_id
        self.total = claimed.total
        self.done = claimed.done
        self.failed = claimed.failed
        self._jobs = jobs
        self._claimed = claimed
        self._now = now
        self._limit = limit
        self._silence_s = silence_s
        self.is_lost = False

    async def report(
        self,
        *,
        done: int | None = None,
        failed: int | None = None,
        total: int | None = None,
        position: Mapping[str, Any] | None = None,
        within: PooledConnection | None = None,
    ) -> None:
        """Note the progress of the job; it does not return if another attempt has the job now."""
        is_ours = not self.is_lost and await self._jobs.report(
            self._claimed,
            self._now(),
            done=done,
            failed=failed,
            total=total,
            position=position,
            within=within,
        )
        if not is_ours:
            self.lose()
            # Until the cancellation comes: a handler that goes on after failures must not go on.
            await asyncio.get_running_loop().create_future()
        self._reschedule(self._silence_s)
        self.done = max(self.done, done or 0)
        self.failed = max(self.failed, failed or 0)
        self.total = self.total if total is None else total
        self.position = self.position if position is None else position

    def lose(self) -> None:
        """Cancel the handler: the job was cancelled, or another attempt is under way."""
        self.is_lost = True
        self._reschedule(0.0)

    def _reschedule(self, after_s: float) -> None:
        if not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + after_s)


class JobQueue:
    """The jobs of `kinds` that are due, for a `Worker`; `node` shows admins where one runs."""

    def __init__(
        self,
        jobs: JobsRepository,
        kinds: Mapping[str, JobKind],
        counts: JobCounts,
        *,
        node: str,
        now: Callable[[], datetime],
        luck: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._jobs = jobs
        self._kinds = kinds
        self._counts = counts
        self._node = node
        self._now = now
        self._luck = luck
        self._sleep = sleep
        self._silence_s = silence_s
        self._tasks = Tasks()
        self._under_way: Counter[str] = Counter()
        self._look_at = now()
        self._limit = LogLimit()

    async def claim(self, limit: int) -> Sequence[ClaimedJob]:
        """Claim jobs that are due; no other node gets them while this node lives."""
        now = self._now()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._counts.note(await self._jobs.state(), now)
        free = {kind: one.at_once - self._under_way[kind] for kind, one in self._kinds.items()}
        free = {kind: count for kind, count in free.items() if count > 0}
        claimed = await self._jobs.claim(now, self._node, free, limit) if free else []
        for job in claimed:
            self._under_way[job.kind] += 1
            self._counts.running += 1
        return claimed

    async def work(self, job: ClaimedJob) -> None:
        """Make one attempt, and note its outcome."""
        try:
            if job.is_orphan:
                log.warning(JOB_TAKEN_OVER, **_named(job))
            if job.failures >= FAILURES_LIMIT:
                await self._end(job, "failed", error=NOBODY_ENDED_IT)
            else:
                await self._attempt(job)
        finally:
            self._under_way[job.kind] -= 1
            self._counts.running -= 1

    async def _attempt(self, job: ClaimedJob) -> None:
        limit = asyncio.timeout(self._silence_s)
        attempt = RunningAttempt(self._jobs, job, self._now, limit, self._silence_s)
        try:
            async with limit:
                lease = self._tasks.start("job-lease", self._renew(job, attempt), str(job.id))
                try:
                    result = await self._kinds[job.kind].run(attempt)
                finally:
                    lease.cancel()
        except asyncio.CancelledError:
            await self._give_back(job)
            raise
        except JobFailed as failure:
            await self._end(job, "failed", reason=str(failure), error=str(failure))
        except (Refused, StoreUnavailable) as error:
            reason = error.rejection.code if isinstance(error, Refused) else str(error)
            self._limit.write(log.warning, JOB_NOT_DONE, **_named(job), reason=reason)
            await self._not_done(job, reason)
        except Exception as error:
            if attempt.is_lost:
                self._stopped(job)
                return
            reason = SILENT_TOO_LONG if limit.expired() else repr(error)
            suppressed = self._limit.admit()
            if suppressed is not None:
                log.exception(JOB_NOT_DONE, **_named(job), reason=reason, suppressed=suppressed)
            await self._not_done(job, reason)
        else:
            await self._end(job, "done", result=result or {})

    async def _renew(self, job: ClaimedJob, attempt: RunningAttempt) -> None:
        """Renew the lease while the handler runs, and end the handler if the job is lost."""
        kept_until = self._now() + timedelta(seconds=LEASE_S)
        while not attempt.is_lost:
            await self._sleep(RENEW_S)
            now = self._now()
            try:
                is_ours = await self._jobs.renew(job, now)
                kept_until = now + timedelta(seconds=LEASE_S)
            except Refused:
                # Nobody else can take it either, as long as Postgres is away; afterwards anybody.
                is_ours = now < kept_until
            if not is_ours:
                attempt.lose()

    async def _not_done(self, job: ClaimedJob, reason: str) -> None:
        """Note that it has to be tried again later, or give it up."""
        failures = job.failures + 1
        if failures >= FAILURES_LIMIT:
            await self._end(job, "failed", error=reason)
            return
        self._counts.count(job.kind, "retried")
        now = self._now()
        wait = timedelta(seconds=backoff_s(failures, self._luck()))
        await self._jobs.put_off(job, now + wait, now, reason)

    async def _end(
        self,
        job: ClaimedJob,
        status: str,
        *,
        result: Mapping[str, Any] | None = None,
        reason: str | None = None,
        error: str | None = None,
    ) -> None:
        noted = await self._jobs.end(
            job, status, self._now(), result=result, reason=reason, error=error
        )
        if not noted:
            self._stopped(job)
            return
        self._counts.count(job.kind, status)
        if status == "done":
            log.info(JOB_ENDED, **_named(job), status=status)
        else:
            log.warning(JOB_ENDED, **_named(job), status=status, reason=error)

    def _stopped(self, job: ClaimedJob) -> None:
        self._counts.count(job.kind, "stopped")
        log.info(JOB_STOPPED, **_named(job))

    async def _give_back(self, job: ClaimedJob) -> None:
        """Give the job back, so that another node continues at once."""
        self._counts.count(job.kind, "given_back")
        now = self._now()
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._jobs.put_off(job, now, now)
        except (Refused, TimeoutError):
            return


def _named(job: ClaimedJob) -> dict[str, Any]:
    return {
        "job": str(job.id),
        "kind": job.kind,
        "attempt": job.attempts,
        "request_id": job.request_id,
    }
