"""Jobs in Postgres, written in the transaction that causes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.jobs.rules import LEASE_S
from cinema.features.jobs.shapes import AdminJob
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, changing, connection

_ENQUEUE: Final = """
insert into jobs (id, kind, only_one, owner_id, cinema_id, input, total, due_at, request_id,
    created_at, updated_at)
values ($1, $2, $3, $4, $5, $6::text::jsonb, $7, coalesce($8::timestamptz, $10), $9,
    $10::timestamptz, $10)
on conflict (kind, only_one) where status in ('queued', 'running') do nothing
returning id"""
# Waits for a transaction that may end the job, so that a job found here is live when we commit.
_LIVING: Final = """
select id from jobs where kind = $1 and only_one = $2 and status in ('queued', 'running')
for update"""
_CANCEL: Final = """
update jobs set status = 'cancelled', ended_at = $3, updated_at = $3, node = ''
where kind = $1 and only_one = $2 and status in ('queued', 'running')
returning id"""

DUE: Final = """exists (
    select from jobs where status in ('queued', 'running') and due_at <= {0}::timestamptz
)"""
# Whoever claims a job has it alone until `due_at`, which is $2. One that still ran was its node's
# last: that counts as a failure, for it may have been the job that ended the node.
_CLAIM: Final = """
update jobs job
set status = 'running', attempts = job.attempts + 1, due_at = $2, node = $3, updated_at = $1,
    failures = job.failures + case when taken.status = 'running' then 1 else 0 end
from (
    select due.id, due.status
    from unnest($4::text[], $5::integer[]) as room (kind, free)
    cross join lateral (
        select id, status, due_at from jobs
        where kind = room.kind and status in ('queued', 'running') and due_at <= $1
        order by due_at, id limit room.free
        for update skip locked
    ) due
    order by due.due_at, due.id limit $6
) taken
where job.id = taken.id
returning job.id, job.kind, job.owner_id, job.cinema_id, job.input::text, job.position::text,
    job.total, job.done, job.failed, job.attempts, job.failures, job.request_id,
    taken.status = 'running' as is_orphan"""
_MINE: Final = "where id = $1 and attempts = $2 and status = 'running'"
_RENEW: Final = f"update jobs set due_at = $3 {_MINE} returning true"  # noqa: S608
# Counts never fall, although steps may be repeated.
_REPORT: Final = f"""
update jobs set due_at = $3, updated_at = $4,
    done = greatest(done, $5), failed = greatest(failed, $6), total = coalesce($7, total),
    position = coalesce($8::text::jsonb, position),
    failures = case when greatest(done, $5) + greatest(failed, $6) > done + failed
        then 0 else failures end
{_MINE} returning true"""  # noqa: S608
_END: Final = f"""
update jobs set status = $3, ended_at = $4, updated_at = $4, result = $5::text::jsonb,
    reason = left($6, 1000), last_error = left($7, 1000), node = ''
{_MINE} returning true"""  # noqa: S608
_PUT_OFF: Final = f"""
update jobs set status = 'queued', failures = failures + $3, due_at = $4, updated_at = $5,
    last_error = coalesce(left($6, 1000), last_error), node = ''
{_MINE}"""  # noqa: S608

_SELECT: Final = """
select id, kind, status, total, done, failed, result::text, reason, created_at, updated_at,
    ended_at, owner_id, cinema_id, attempts, failures,
    case when ended_at is null then due_at end as due_at, node, last_error, request_id
from jobs
"""
_BY_ID: Final = _SELECT + "where id = $1"
_OF_STATUS: Final = (
    _SELECT
    + """
where status = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3))
order by created_at desc, id desc limit $4"""
)
_REVIVE: Final = """
update jobs set status = 'queued', failures = 0, due_at = $2, updated_at = $2, ended_at = null,
    reason = null
where id = $1 and status = 'failed' and not exists (
    select from jobs other where other.kind = jobs.kind and other.only_one = jobs.only_one
        and other.status in ('queued', 'running')
)
returning true"""
_QUEUE: Final = """
select count(*) filter (where status <> 'failed'), count(*) filter (where status = 'failed'),
    min(due_at) filter (where status <> 'failed')
from jobs where status in ('queued', 'running', 'failed')"""
# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from jobs where id = any(array(
        select id from jobs where ended_at < $1 and (status <> 'failed' or ended_at < $2)
        order by ended_at limit $3
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

KEPT: Final = timedelta(days=30)
"""How long the outcome of a job is kept."""

FAILED_KEPT: Final = timedelta(days=90)
"""How long a failed job can still be continued."""

INPUT_LIMIT_BYTES: Final = 100_000
"""Bound of a job's input: a few ids; the job reads its data by itself."""

LIVING_TRIES: Final = 3
"""How often it is asked which job stands in the way of a new one: one may end in between."""


class Enqueued(msgspec.Struct, frozen=True):
    """The job that will do the work; not new if it existed already."""

    id: UUID
    is_new: bool


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job with the number of its attempt; `is_orphan` if the attempt before has not ended."""

    id: UUID
    kind: str
    owner_id: UUID | None
    cinema_id: UUID | None
    input: Mapping[str, Any]
    position: Mapping[str, Any]
    total: int | None
    done: int
    failed: int
    attempts: int
    failures: int
    request_id: str
    is_orphan: bool


class JobQueueState(msgspec.Struct, frozen=True):
    """How many jobs are live and how many failed; since when the oldest could be claimed."""

    living: int
    failed: int
    oldest_at: datetime | None


class JobsRepository:
    """Writes jobs in the transactions of callers, gives them to nodes, and notes their outcome."""

    def __init__(
        self, pool: Pool, *, new_id: Callable[[], bytes], now: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._new_id = new_id
        self._now = now

    async def enqueue(
        self,
        running: PooledConnection,
        *,
        kind: str,
        owner_id: UUID | None = None,
        cinema_id: UUID | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002  (the word of the field)
        total: int | None = None,
        only_one: str | None = None,
        not_before: datetime | None = None,
        request_id: str = "",
    ) -> Enqueued:
        """Enqueue a job; it is done once the transaction `running` commits.

        `kind` is one that a feature hands over (`Feature.jobs`). The owner, the managers of the
        cinema and admins can see the job. `input` holds ids, never names or addresses of e-mail.
        Of one `only_one` there is one at a time: while it lives, that one is meant. Refuses RETRY.
        """
        text = msgspec.json.encode(input or {}).decode()
        if len(text) > INPUT_LIMIT_BYTES:
            raise ValueError(f"the input of a {kind!r} is too large")
        job_id = UUID(bytes=self._new_id())
        for _ in range(LIVING_TRIES):
            written = await running.fetchval(
                _ENQUEUE,
                *(job_id, kind, only_one, owner_id, cinema_id, text, total),
                *(not_before, request_id, self._now()),
            )
            if written is not None:
                return Enqueued(job_id, is_new=True)
            living = await running.fetchval(_LIVING, kind, only_one)
            if living is not None:
                return Enqueued(UUID(bytes=living.bytes), is_new=False)
        raise refuse("RETRY")

    async def cancel(self, running: PooledConnection, *, kind: str, only_one: str) -> bool:
        """Cancel a job once the transaction commits; False if there is no live one.

        An attempt that is under way can write nothing more in transactions with its reports, and
        ends within `RENEW_S`.
        """
        return await running.fetchval(_CANCEL, kind, only_one, self._now()) is not None

    async def claim(
        self, now: datetime, node: str, free: Mapping[str, int], limit: int
    ) -> list[ClaimedJob]:
        """Claim up to `limit` jobs that are due, of each kind at most as many as in `free`."""
        async with changing(self._pool) as writing:
            rows = await writing.fetch(
                _CLAIM, now, _lease_end(now), node, list(free), list(free.values()), limit
            )
        return [_claimed(row) for row in rows]

    async def renew(self, job: ClaimedJob, now: datetime) -> bool:
        """Renew the lease of a job; False if another attempt has it now."""
        async with changing(self._pool) as writing:
            renewed = await writing.fetchval(_RENEW, job.id, job.attempts, _lease_end(now))
        return bool(renewed)

    async def report(
        self,
        job: ClaimedJob,
        now: datetime,
        *,
        done: int | None,
        failed: int | None,
        total: int | None,
        position: Mapping[str, Any] | None,
        within: PooledConnection | None,
    ) -> bool:
        """Note the progress of a job, and renew its lease; False if another attempt has it now."""
        text = None if position is None else msgspec.json.encode(position).decode()
        values = (job.id, job.attempts, _lease_end(now), now, done, failed, total, text)
        if within is not None:
            return bool(await within.fetchval(_REPORT, *values))
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_REPORT, *values))

    async def end(
        self,
        job: ClaimedJob,
        status: str,
        now: datetime,
        *,
        result: Mapping[str, Any] | None = None,
        reason: str | None = None,
        error: str | None = None,
    ) -> bool:
        """Note the outcome of a job; False if another attempt has it now."""
        text = None if result is None else msgspec.json.encode(result).decode()
        values = (job.id, job.attempts, status, now, text, reason, error)
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_END, *values))

    async def put_off(
        self, job: ClaimedJob, until: datetime, now: datetime, error: str | None = None
    ) -> None:
        """Note that a job has to be continued: after a failure, or, without `error`, elsewhere."""
        failures = 0 if error is None else 1
        async with changing(self._pool) as writing:
            await writing.execute(_PUT_OFF, job.id, job.attempts, failures, until, now, error)

    async def state(self) -> JobQueueState:
        """The state of the queue."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_QUEUE)
        return JobQueueState(*row) if row else JobQueueState(0, 0, None)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of jobs that ended long ago; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, now - FAILED_KEPT, limit)
        return gone

    async def find(self, job_id: UUID) -> AdminJob | None:
        """A job and its outcome."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, job_id)
        return None if row is None else _shown(row)

    async def page_of(
        self, status: str, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[AdminJob]:
        """Jobs of one status, newest first."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OF_STATUS, status, moment, last_id, limit)
        return [_shown(row) for row in rows]

    async def revive(self, job_id: UUID) -> bool:
        """Continue a failed job; False if it has not failed, or a newer one is live."""
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_REVIVE, job_id, self._now()))


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=LEASE_S)


def _uuid(value: UUID | None) -> UUID | None:
    return None if value is None else UUID(bytes=value.bytes)


def _claimed(row: Record) -> ClaimedJob:
    return ClaimedJob(
        id=UUID(bytes=row["id"].bytes),
        kind=row["kind"],
        owner_id=_uuid(row["owner_id"]),
        cinema_id=_uuid(row["cinema_id"]),
        input=msgspec.json.decode(row["input"]),
        position=msgspec.json.decode(row["position"]),
        total=row["total"],
        done=row["done"],
        failed=row["failed"],
        attempts=row["attempts"],
        failures=row["failures"],
        request_id=row["request_id"],
        is_orphan=row["is_orphan"],
    )


def _shown(row: Record) -> AdminJob:
    total, done, failed = row["total"], row["done"], row["failed"]
    return AdminJob(
        id=UUID(bytes=row["id"].bytes),
        kind=row["kind"],
        status=row["status"],
        total=total,
        done=done,
        failed=failed,
        remaining=None if total is None else max(0, total - done - failed),
        result=None if row["result"] is None else msgspec.json.decode(row["result"]),
        reason=row["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
        owner_id=_uuid(row["owner_id"]),
        cinema_id=_uuid(row["cinema_id"]),
        attempts=row["attempts"],
        failures=row["failures"],
        due_at=row["due_at"],
        node=row["node"],
        last_error=row["last_error"],
        request_id=row["request_id"],
    )
