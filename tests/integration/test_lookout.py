"""One look for all loops of a node: who has something to do is woken, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from cinema.features.bookings.mail_store import DUE as MAILS_DUE
from cinema.features.bookings.order_store import DUE as ORDER_LINKS_DUE
from cinema.features.events.store import DUE as EVENTS_DUE
from cinema.features.feature import Question, Rest
from cinema.features.ledger.refund_store import DUE as REFUNDS_DUE
from cinema.features.messages.store import DUE_PATIENT, DUE_USUAL
from cinema.features.payments.stripe_store import DUE as STRIPE_DUE
from cinema.features.reports.projection_store import IS_BEHIND
from cinema.features.webhooks.store import FRESH
from cinema.jobs.lookout import LOOKOUT_FAILED, PERIOD_S, Lookout
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

NEVER_S = 3600.0
PATIENCE_S = 60.0
A_WHILE = 20
"""Steps of the loop in which whoever was woken goes on."""

DUE = "exists (select from things where due > {0}::int)"


class Sleeper:
    """A loop that counts how often it was woken."""

    def __init__(self, rest: Rest, period_s: float = NEVER_S) -> None:
        self.times = 0
        self._rest = rest
        self._period_s = period_s

    async def run(self) -> None:
        while True:
            await self._rest(self._period_s)
            self.times += 1


@asynccontextmanager
async def asleep(*sleepers: Sleeper) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in sleepers]
    await steps()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def steps() -> None:
    for _ in range(A_WHILE):
        await asyncio.sleep(0)


async def look(lookout: Lookout) -> None:
    await lookout.look()
    await steps()


@pytest.fixture
async def things(pool: Pool) -> Pool:
    await pool.execute("create table things (due int)")
    return pool


async def test_only_those_are_woken_whose_answer_changes(things: Pool) -> None:
    lookout = Lookout(things, safety_s=NEVER_S)
    low = Sleeper(lookout.rest(Question(DUE, (lambda: 10,))))
    high = Sleeper(lookout.rest(Question(DUE, (lambda: 20,))))
    async with asleep(low, high):
        # A loop begins with a look of its own: that there is nothing is news once.
        await look(lookout)
        assert (low.times, high.times) == (1, 1)
        await look(lookout)
        assert (low.times, high.times) == (1, 1)
        await things.execute("insert into things values (15)")
        await look(lookout)
        assert (low.times, high.times) == (2, 1)
        await look(lookout)
        assert (low.times, high.times) == (2, 1)
        # Once more when it is gone: what a loop tells of its queue is true then.
        await things.execute("delete from things")
        await look(lookout)
        assert (low.times, high.times) == (3, 1)


async def test_what_stays_due_is_looked_at_in_the_own_period(things: Pool) -> None:
    await things.execute("insert into things values (15)")
    lookout = Lookout(things, safety_s=NEVER_S)
    each_look = Sleeper(lookout.rest(Question(DUE, (lambda: 10,))), period_s=PERIOD_S)
    seldom = Sleeper(lookout.rest(Question(DUE, (lambda: 10,))))
    async with asleep(each_look, seldom):
        for _ in range(3):
            await look(lookout)
        assert (each_look.times, seldom.times) == (3, 0)


async def test_values_are_those_of_the_moment(things: Pool) -> None:
    await things.execute("insert into things values (15)")
    known, lookout = [20], Lookout(things, safety_s=NEVER_S)
    sleeper = Sleeper(lookout.rest(Question(DUE, (lambda: known[0],))))
    async with asleep(sleeper):
        await look(lookout)
        known[0] = 10
        await look(lookout)
        assert sleeper.times == 2


async def test_nobody_sleeps_longer_than_is_safe(things: Pool) -> None:
    lookout = Lookout(things, safety_s=0.0)
    sleeper = Sleeper(lookout.rest(Question(DUE, (lambda: 10,))), period_s=0.0)
    async with asleep(sleeper):
        while sleeper.times < 2:  # noqa: ASYNC110  (of the loop itself)
            await asyncio.sleep(0)


async def test_all_look_by_themselves_while_postgres_cannot_say(things: Pool) -> None:
    lookout = Lookout(things, safety_s=NEVER_S)
    sleepers = [
        Sleeper(lookout.rest(Question(DUE, (lambda: 10,))), period_s=period_s)
        for period_s in (0.0, NEVER_S)
    ]
    async with asleep(*sleepers):
        await look(lookout)
        assert [one.times for one in sleepers] == [1, 1]
        await close_pool(things)
        with capture_logs() as logs:
            for _ in range(3):
                await look(lookout)
        assert [one.times for one in sleepers] == [4, 2]
        assert {one["event"] for one in logs} == {LOOKOUT_FAILED}


async def test_a_locked_table_delays_no_other_loop(database: str) -> None:
    """Whoever has the lock keeps it, and no statement gives up by itself."""
    pool = await open_pool(database, size=4, command_timeout_s=NEVER_S, transaction_timeout_ms=0)
    async with pool as things, asyncio.timeout(PATIENCE_S):
        await things.execute("create table others (due int)")
        lookout = Lookout(things, safety_s=NEVER_S, look_s=0.1)
        locked = Question("exists (select from others)")
        sleepers = [Sleeper(lookout.rest(one), 0.0) for one in (locked, Question("true"))]
        async with asleep(*sleepers), things.acquire() as vacuum, vacuum.transaction():
            await vacuum.execute("lock table others")
            with capture_logs() as logs:
                await look(lookout)
            assert [one["event"] for one in logs] == [LOOKOUT_FAILED]
            assert [one.times for one in sleepers] == [1, 1]


async def test_no_question_reads_a_large_table(database: str) -> None:
    """When there is nothing to do, which is when it takes longest to find that out."""
    patient = await open_pool(database, size=1, command_timeout_s=NEVER_S, transaction_timeout_ms=0)
    async with patient as pool:
        many = "generate_series(1, 2000) as n"
        await pool.execute(
            "insert into public_events (id, type, showtime_id, sequence, data, at) "
            "select gen_random_uuid(), 'booking.confirmed', gen_random_uuid(), 1, '{}', now() "
            f"from {many}"
        )
        await pool.execute(
            "insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, "
            "currency, status, told, next_try_at, created_at) "
            "select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), "
            f"'goodwill', 1, 'EUR', 'succeeded', 'succeeded', now(), now() from {many}"
        )
        for mark in ("webhook_mark", "booking_mail_mark", "projections"):
            await pool.execute(
                f"update {mark} set position = (select max(position) from public_events)"
            )
        await pool.execute("update projections set rebuilt_to = null")
        await pool.execute("analyze public_events, refunds")
        behind = "9223372036854775807", "now()"
        questions = (
            *(
                MAILS_DUE,
                ORDER_LINKS_DUE,
                EVENTS_DUE,
                REFUNDS_DUE,
                DUE_PATIENT,
                DUE_USUAL,
                STRIPE_DUE,
            ),
            *(IS_BEHIND, FRESH),
        )
        for question in questions:
            value = behind[0] if "bigint" in question else behind[1]
            asked = "select " + question.format(value)
            assert await pool.fetchval(asked) is False, asked
            plan = "\n".join(row[0] for row in await pool.fetch("explain " + asked))
            assert "Seq Scan on public_events" not in plan, plan
            assert "Seq Scan on refunds" not in plan, plan
