"""Jobs: written with what they follow from, done by one node at a time, continued by another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.feature import JobAttempt, JobFailed, JobKind
from cinema.features.jobs.jobs import (
    JOB_ENDED,
    JOB_NOT_DONE,
    JOB_STOPPED,
    JOB_TAKEN_OVER,
    NOBODY_ENDED_IT,
    SILENT_TOO_LONG,
)
from cinema.features.jobs.rules import FAILURES_LIMIT, LEASE_S
from cinema.features.jobs.shapes import JobQuery
from cinema.features.jobs.store import (
    FAILED_KEPT,
    INPUT_LIMIT_BYTES,
    KEPT,
    JobsRepository,
)
from cinema.storage.database.transactions import transaction
from tests.integration.features.jobs_house import NOW, Yard
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres

OWNER = UUID(int=0xA)
SOMEBODY = UUID(int=1)
CINEMA = UUID(int=0xC)


@pytest.fixture
def yard(pool: asyncpg.Pool[asyncpg.Record]) -> Yard:
    return Yard(pool)


def principal(role: str, user_id: UUID = SOMEBODY, *cinemas: UUID) -> Principal:
    return Principal(user_id.bytes, role, bytes(16), 0.0, frozenset(one.bytes for one in cinemas))


async def count(attempt: JobAttempt) -> dict[str, Any]:
    """Counts to what the input says, a step a report."""
    until = attempt.input.get("until", 1)
    await attempt.report(total=until)
    while attempt.done < until:
        await attempt.report(done=attempt.done + 1, position={"at": attempt.done + 1})
    return {"counted": attempt.done}


COUNT = {"count": JobKind(run=count)}


class Held:
    """A handler that stays where it is until it is let go, and remembers how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = False
        self.attempt: JobAttempt | None = None

    async def run(self, attempt: JobAttempt) -> None:
        self.attempt = attempt
        self.begun.set()
        try:
            await self.go.wait()
            await attempt.report(done=1)
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    @property
    def kinds(self) -> dict[str, JobKind]:
        return {"count": JobKind(run=self.run)}


async def test_a_job_is_done_and_tells_how_far_it_is(yard: Yard) -> None:
    job_id = (await yard.enqueue(input={"until": 3}, owner_id=OWNER, cinema_id=CINEMA)).id
    waiting = await yard.job(job_id)
    assert (waiting.status, waiting.total, waiting.remaining) == ("queued", None, None)
    with capture_logs() as logs:
        assert await yard.do_all(yard.node(COUNT)) == 1
    job = await yard.job(job_id)
    assert (job.status, job.total, job.done, job.failed, job.remaining) == ("done", 3, 3, 0, 0)
    assert (job.result, job.ended_at, job.node) == ({"counted": 3}, NOW, "")
    assert [(line["event"], line["status"]) for line in logs] == [(JOB_ENDED, "done")]
    assert yard.counts.outcomes == {("count", "done"): 1}
    assert await yard.do_all(yard.node(COUNT)) == 0


async def test_a_job_of_a_transaction_that_fails_is_none(yard: Yard) -> None:
    with suppress(ZeroDivisionError):
        async with transaction(yard.pool) as running:
            await yard.jobs.enqueue(running, kind="count")
            raise ZeroDivisionError
    assert await yard.pool.fetchval("select count(*) from jobs") == 0


async def test_what_is_not_due_waits(yard: Yard) -> None:
    await yard.enqueue(not_before=NOW + timedelta(seconds=60))
    node = yard.node(COUNT)
    assert await yard.do_all(node) == 0
    yard.pass_s(60)
    assert await yard.do_all(node) == 1


async def test_an_input_that_is_too_large_is_a_bug(yard: Yard) -> None:
    with pytest.raises(ValueError, match="too large"):
        await yard.enqueue(input={"ids": "x" * INPUT_LIMIT_BYTES})


async def test_two_clicks_are_one_job(yard: Yard) -> None:
    clicks = await asyncio.gather(*(yard.enqueue(only_one="ada") for _ in range(6)))
    assert len({one.id for one in clicks}) == 1
    assert sum(one.is_new for one in clicks) == 1
    other = await yard.enqueue(only_one="bob")
    assert other.is_new
    await yard.do_all(yard.node(COUNT))
    again = await yard.enqueue(only_one="ada")
    assert again.is_new
    assert again.id != clicks[0].id


async def test_a_job_that_ends_while_another_is_asked_for_leaves_room_for_it(yard: Yard) -> None:
    first = await yard.enqueue(only_one="ada")
    async with transaction(yard.pool) as running:
        assert await yard.jobs.cancel(running, kind="count", only_one="ada")
        asking = asyncio.ensure_future(yard.enqueue(only_one="ada"))
        await _until_somebody_waits(yard)
    assert (await asking).is_new
    assert (await yard.job(first.id)).status == "cancelled"


async def _until_somebody_waits(yard: Yard) -> None:
    """Until a statement waits for another session's lock."""
    waiting = "select exists (select from pg_locks where not granted)"
    while not await yard.pool.fetchval(waiting):
        await look_again()


async def test_nodes_never_have_the_same_job(yard: Yard) -> None:
    for _ in range(20):
        await yard.enqueue()
    nodes = [yard.node({"count": JobKind(run=count, at_once=5)}, str(i)) for i in range(4)]
    claims = await asyncio.gather(*(node.claim(5) for node in nodes))
    claimed = [job.id for claim in claims for job in claim]
    assert len(claimed) == len(set(claimed))


async def test_a_node_has_no_more_of_a_kind_than_the_kind_says(yard: Yard) -> None:
    held = Held()
    kinds = {"count": JobKind(run=held.run, at_once=2), "other": JobKind(run=count, at_once=1)}
    for kind in ("count", "count", "count", "other", "other"):
        await yard.enqueue(kind)
    node = yard.node(kinds)
    claimed = await node.claim(8)
    assert sorted(job.kind for job in claimed) == ["count", "count", "other"]
    assert await node.claim(8) == []
    works = [asyncio.ensure_future(node.work(job)) for job in claimed]
    held.go.set()
    await asyncio.gather(*works)
    assert len(await node.claim(1)) == 1


async def test_a_kind_that_no_feature_hands_over_is_left_alone(yard: Yard) -> None:
    await yard.enqueue("of-a-newer-version")
    assert await yard.do_all(yard.node(COUNT)) == 0
    assert await yard.do_all(yard.node({})) == 0


async def test_another_node_continues_what_a_dead_one_was_at(yard: Yard) -> None:
    """As after `kill -9`: the first attempt never says anything again."""
    job_id = (await yard.enqueue(input={"until": 3})).id
    (dead,) = await yard.node(COUNT).claim(1)
    assert await yard.jobs.report(
        dead, yard.now, done=2, failed=None, total=3, position={"at": 2}, within=None
    )
    other = yard.node(COUNT, "two")
    yard.pass_s(LEASE_S - 1)
    assert await yard.do_all(other) == 0
    yard.pass_s(1)
    with capture_logs() as logs:
        assert await yard.do_all(other) == 1
    assert [line["event"] for line in logs] == [JOB_TAKEN_OVER, JOB_ENDED]
    job = await yard.job(job_id)
    assert (job.status, job.done, job.attempts) == ("done", 3, 2)


async def test_an_attempt_that_was_taken_for_dead_changes_nothing_more(yard: Yard) -> None:
    job_id = (await yard.enqueue()).id
    (late,) = await yard.node(COUNT).claim(1)
    yard.pass_s(LEASE_S)
    (_,) = await yard.node(COUNT, "two").claim(1)
    before = await yard.job(job_id)
    assert not await yard.jobs.renew(late, yard.now)
    assert not await yard.jobs.end(late, "done", yard.now)
    await yard.jobs.put_off(late, yard.now, yard.now, "a failure")
    assert not await yard.jobs.report(
        late, yard.now, done=9, failed=9, total=9, position={}, within=None
    )
    assert await yard.job(job_id) == before


async def test_a_step_of_an_attempt_that_was_taken_for_dead_is_rolled_back(yard: Yard) -> None:
    await yard.pool.execute("create table steps (at integer)")
    reached = asyncio.Event()
    go = asyncio.Event()

    async def step(attempt: JobAttempt) -> None:
        async with transaction(yard.pool) as running:
            await running.execute("insert into steps values (1)")
            reached.set()
            await go.wait()
            await attempt.report(done=1, within=running)

    await yard.enqueue()
    node = yard.node({"count": JobKind(run=step)})
    (job,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(job))
    await reached.wait()
    yard.pass_s(LEASE_S)
    (_,) = await yard.node(COUNT, "two").claim(1)
    go.set()
    with capture_logs() as logs:
        await working
    assert [line["event"] for line in logs] == [JOB_STOPPED]
    assert await yard.pool.fetchval("select count(*) from steps") == 0
    assert yard.counts.outcomes == {("count", "stopped"): 1}


async def test_a_node_that_lives_keeps_its_job(yard: Yard) -> None:
    held = Held()
    job_id = (await yard.enqueue()).id
    node = yard.node(held.kinds)
    (job,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(job))
    await held.begun.wait()
    for _ in range(6):
        yard.pass_s(LEASE_S - 1)
        await yard.naps.end()
        await _until(lambda: _is_due(yard, job_id, LEASE_S))
        assert await yard.do_all(yard.node(COUNT, "two")) == 0
    held.go.set()
    await working
    assert (await yard.job(job_id)).attempts == 1


async def _is_due(yard: Yard, job_id: UUID, after_s: float) -> bool:
    return (await yard.job(job_id)).due_at == yard.now + timedelta(seconds=after_s)


async def _until(what: Callable[[], Any]) -> None:
    while not await what():
        await look_again()


async def test_a_job_that_is_called_off_ends_its_handler(yard: Yard) -> None:
    held = Held()
    job_id = (await yard.enqueue(only_one="ada")).id
    node = yard.node(held.kinds)
    (job,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(job))
    await held.begun.wait()
    async with transaction(yard.pool) as running:
        assert await yard.jobs.cancel(running, kind="count", only_one="ada")
        assert not await yard.jobs.cancel(running, kind="count", only_one="bob")
    await yard.naps.end()
    await working
    assert held.cancelled
    assert (await yard.job(job_id)).status == "cancelled"


async def test_a_handler_that_goes_on_after_every_failure_does_not_outlive_its_job(
    yard: Yard,
) -> None:
    reports = 0

    async def stubborn(attempt: JobAttempt) -> None:
        nonlocal reports
        while True:
            reports += 1
            with suppress(Exception):
                await attempt.report(failed=reports)
            if reports == 2:
                async with transaction(yard.pool) as running:
                    await yard.jobs.cancel(running, kind="count", only_one="ada")

    await yard.enqueue(only_one="ada")
    await yard.do_all(yard.node({"count": JobKind(run=stubborn)}))
    assert reports == 3


async def test_a_node_that_stops_gives_its_jobs_back_at_once(yard: Yard) -> None:
    held = Held()
    job_id = (await yard.enqueue()).id
    node = yard.node(held.kinds)
    (job,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(job))
    await held.begun.wait()
    working.cancel()
    await asyncio.wait({working})
    assert held.cancelled
    assert working.cancelled()
    back = await yard.job(job_id)
    assert (back.status, back.failures, back.node) == ("queued", 0, "")
    assert await yard.do_all(yard.node(COUNT, "two")) == 1
    assert (await yard.job(job_id)).status == "done"
    assert yard.counts.outcomes == {("count", "given_back"): 1, ("count", "done"): 1}


class _Away(JobsRepository):
    """Postgres is away for whoever notes something."""

    async def put_off(self, *_values: Any) -> None:
        raise refuse("RETRY")

    async def renew(self, *_values: Any) -> bool:
        raise refuse("RETRY")


def _away(yard: Yard) -> JobsRepository:
    return _Away(yard.pool, new_id=lambda: bytes(16), now=lambda: yard.now)


async def test_a_node_that_stops_without_postgres_stops(yard: Yard) -> None:
    held = Held()
    await yard.enqueue()
    node = yard.node(held.kinds, jobs=_away(yard))
    (job,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(job))
    await held.begun.wait()
    working.cancel()
    await asyncio.wait({working})
    assert working.cancelled()


async def test_a_handler_whose_lease_cannot_be_renewed_ends_with_the_lease(yard: Yard) -> None:
    held = Held()
    await yard.enqueue()
    node = yard.node(held.kinds, jobs=_away(yard))
    (job,) = await node.claim(1)
    working = asyncio.ensure_future(node.work(job))
    await held.begun.wait()
    yard.pass_s(LEASE_S - 1)
    await yard.naps.end()
    await yard.naps.begun()
    assert not held.cancelled
    yard.pass_s(1)
    await yard.naps.end()
    await working
    assert held.cancelled


@pytest.mark.parametrize(
    ("error", "told", "level"),
    [
        (refuse("OVERLOADED"), "OVERLOADED", "warning"),
        (ZeroDivisionError("a bug"), "ZeroDivisionError('a bug')", "error"),
        (TimeoutError(), "TimeoutError()", "error"),
    ],
)
async def test_after_a_failure_a_job_is_tried_again_later_and_later(
    yard: Yard, error: Exception, told: str, level: str
) -> None:
    async def fail(_attempt: JobAttempt) -> None:
        raise error

    job_id = (await yard.enqueue()).id
    node = yard.node({"count": JobKind(run=fail)})
    for failures, wait_s in ((1, 2), (2, 4), (3, 8)):
        with capture_logs() as logs:
            assert await yard.do_all(node) == 1
        assert [(one["event"], one["log_level"]) for one in logs] == [(JOB_NOT_DONE, level)]
        job = await yard.job(job_id)
        assert (job.status, job.failures, job.last_error) == ("queued", failures, told)
        assert job.due_at == yard.now + timedelta(seconds=wait_s)
        yard.pass_s(wait_s)


async def test_a_job_that_fails_again_and_again_is_given_up_until_an_admin_continues_it(
    yard: Yard,
) -> None:
    async def fail(_attempt: JobAttempt) -> None:
        raise refuse("RETRY")

    job_id = (await yard.enqueue()).id
    failing = yard.node({"count": JobKind(run=fail)})
    for _ in range(FAILURES_LIMIT):
        assert await yard.do_all(failing) == 1
        yard.pass_s(400)
    job = await yard.job(job_id)
    assert (job.status, job.reason, job.last_error) == ("failed", None, "RETRY")
    assert await yard.do_all(failing) == 0
    revived = await yard.service.retry(job_id)
    assert (revived.status, revived.failures, revived.ended_at) == ("queued", 0, None)
    assert await yard.do_all(yard.node(COUNT)) == 1
    assert (await yard.job(job_id)).status == "done"


async def test_progress_forgives_failures(yard: Yard) -> None:
    async def limp(attempt: JobAttempt) -> None:
        await attempt.report(done=attempt.done + 1)
        raise refuse("RETRY")

    job_id = (await yard.enqueue()).id
    node = yard.node({"count": JobKind(run=limp)})
    for _ in range(FAILURES_LIMIT + 5):
        assert await yard.do_all(node) == 1
        yard.pass_s(400)
    job = await yard.job(job_id)
    assert (job.status, job.done, job.failures) == ("queued", FAILURES_LIMIT + 5, 1)


async def test_counts_never_fall(yard: Yard) -> None:
    async def begin_again(attempt: JobAttempt) -> None:
        await attempt.report(done=5, failed=2)
        await attempt.report(done=1, failed=0)
        assert (attempt.done, attempt.failed) == (5, 2)

    job_id = (await yard.enqueue(total=7)).id
    await yard.do_all(yard.node({"count": JobKind(run=begin_again)}))
    job = await yard.job(job_id)
    assert (job.done, job.failed, job.remaining) == (5, 2, 0)


async def test_a_job_that_ends_its_node_each_time_is_given_up(yard: Yard) -> None:
    job_id = (await yard.enqueue()).id
    for _ in range(FAILURES_LIMIT):
        (_,) = await yard.node(COUNT).claim(1)
        yard.pass_s(LEASE_S)
    assert await yard.do_all(yard.node(COUNT)) == 1
    job = await yard.job(job_id)
    assert (job.status, job.last_error) == ("failed", NOBODY_ENDED_IT)


async def test_what_no_repetition_helps_is_given_up_at_once_with_its_reason(yard: Yard) -> None:
    async def refuse_it(_attempt: JobAttempt) -> None:
        raise JobFailed("There is nothing to count.")

    job_id = (await yard.enqueue()).id
    with capture_logs() as logs:
        await yard.do_all(yard.node({"count": JobKind(run=refuse_it)}))
    job = await yard.job(job_id)
    assert (job.status, job.reason) == ("failed", "There is nothing to count.")
    assert [(line["event"], line["log_level"]) for line in logs] == [(JOB_ENDED, "warning")]


async def test_a_handler_that_says_nothing_is_given_up(yard: Yard) -> None:
    held = Held()
    job_id = (await yard.enqueue()).id
    await yard.do_all(yard.node(held.kinds, silence_s=0.0))
    assert held.cancelled
    job = await yard.job(job_id)
    assert (job.status, job.last_error) == ("queued", SILENT_TOO_LONG)


async def test_a_failed_job_is_not_continued_beside_one_that_does_its_work(yard: Yard) -> None:
    async def refuse_it(_attempt: JobAttempt) -> None:
        raise JobFailed("no")

    first = await yard.enqueue(only_one="ada")
    await yard.do_all(yard.node({"count": JobKind(run=refuse_it)}))
    await yard.enqueue(only_one="ada")
    with pytest.raises(Refused, match="JOB_NOT_FAILED"):
        await yard.service.retry(first.id)
    with pytest.raises(Refused, match="NOT_FOUND"):
        await yard.service.retry(UUID(int=2**100))


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        (principal("customer", OWNER), True),
        (principal("customer"), False),
        (principal("staff", SOMEBODY, CINEMA), False),
        (principal("manager", SOMEBODY, CINEMA), True),
        (principal("manager", SOMEBODY, UUID(int=5)), False),
        (principal("admin"), True),
    ],
)
async def test_a_job_is_shown_to_its_owner_its_managers_and_admins(
    yard: Yard, who: Principal, sees: bool
) -> None:
    job_id = (await yard.enqueue(owner_id=OWNER, cinema_id=CINEMA)).id
    if sees:
        assert (await yard.service.job(who, job_id)).id == job_id
        return
    with pytest.raises(Refused, match="NOT_FOUND"):
        await yard.service.job(who, job_id)


async def test_a_job_of_nobody_is_shown_to_admins_alone(yard: Yard) -> None:
    job_id = (await yard.enqueue()).id
    with pytest.raises(Refused, match="NOT_FOUND"):
        await yard.service.job(principal("manager", OWNER, CINEMA), job_id)
    assert (await yard.service.job(principal("admin"), job_id)).id == job_id
    with pytest.raises(Refused, match="NOT_FOUND"):
        await yard.service.job(principal("admin"), UUID(int=77))


async def test_admins_page_through_jobs_of_a_status(yard: Yard) -> None:
    ids = []
    for _ in range(3):
        ids.append((await yard.enqueue()).id)
        yard.pass_s(1)
    first = await yard.service.jobs(JobQuery(status="queued", limit=2))
    assert [job.id for job in first.items] == [ids[2], ids[1]]
    rest = await yard.service.jobs(JobQuery(status="queued", limit=2, cursor=first.next_cursor))
    assert ([job.id for job in rest.items], rest.next_cursor) == ([ids[0]], None)
    assert (await yard.service.jobs(JobQuery())).items == []


async def test_the_queue_is_looked_at_now_and_then(yard: Yard) -> None:
    await yard.enqueue("of-a-newer-version")
    yard.pass_s(90)
    node = yard.node(COUNT)
    await node.claim(1)
    assert (yard.counts.living, yard.counts.failed, yard.counts.late_s) == (1, 0, 90.0)
    await yard.enqueue("of-a-newer-version")
    await node.claim(1)
    assert yard.counts.living == 1
    yard.pass_s(15)
    await node.claim(1)
    assert yard.counts.living == 2
    names = {metric.name for metric in yard.counts.families()}
    assert names == {
        "cinema_jobs",
        "cinema_jobs_running",
        "cinema_jobs_living",
        "cinema_jobs_failed",
        "cinema_jobs_late_seconds",
    }


async def test_ended_jobs_are_forgotten_and_failed_ones_later(yard: Yard) -> None:
    async def refuse_it(_attempt: JobAttempt) -> None:
        raise JobFailed("no")

    kinds = {"count": JobKind(run=count), "fail": JobKind(run=refuse_it)}
    done, failed = (await yard.enqueue()).id, (await yard.enqueue("fail")).id
    await yard.do_all(yard.node(kinds))
    living = (await yard.enqueue()).id
    assert await yard.jobs.forget(NOW + KEPT, 10) == 0
    assert await yard.jobs.forget(NOW + KEPT + timedelta(seconds=1), 10) == 1
    assert await yard.jobs.find(done) is None
    assert await yard.jobs.forget(NOW + FAILED_KEPT, 10) == 0
    assert await yard.jobs.forget(NOW + FAILED_KEPT + timedelta(seconds=1), 10) == 1
    assert await yard.jobs.find(failed) is None
    assert (await yard.job(living)).status == "queued"
