"""A round of housekeeping on a real Postgres: what is past its time goes, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.domain.limits import ENDED_HOLD_TTL_S, IDEMPOTENCY_TTL_S
from cinema.domain.rejections import refuse
from cinema.features.bookings.store import BookingsRepository
from cinema.jobs import housekeeping
from cinema.jobs.housekeeping import HOUSEKEEPING_FAILED, OUTBOX_KEPT_S, Housekeeping
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.journal import months as journal_months
from cinema.storage.journal.months import Month, attached_months, bytes_of
from cinema.storage.journal.store import ENDED_HOLD, STORED_REPLY
from tests.support.catalog_rows import INSERT_SHOWTIMES
from tests.support.stores import Stage, archive_row, booking, postgres_stage, snapshot, some_id
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres

RETENTION_DAYS = 90
_draw = random.Random(11)


class Clock:
    """Postgres' time, moved on."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def now_us(self) -> int:
        return int(self.now.timestamp() * 1_000_000)


class Desk:
    """Stands for the kernel: notes which showtimes it is to give back with a snapshot."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[bytes] = []

    async def truncate(self, showtime_id: bytes) -> None:
        self.asked.append(showtime_id)


class House:
    """One node's housekeeping and what it works on."""

    def __init__(self, stage: Stage, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.stage = stage
        self.pool = pool
        self.clock = Clock(datetime.now(UTC))
        self.desk = Desk(self.clock)
        self.work = self.node()

    def node(self) -> Housekeeping:
        dispatch: Any = self.desk
        journal: Any = self.stage.journal
        sweeps = {"booking-keys": BookingsRepository(self.pool).forget_keys}
        return Housekeeping(journal, self.pool, dispatch, RETENTION_DAYS, sweeps)

    async def months(self) -> list[Month]:
        async with self.pool.acquire() as connection:
            return await attached_months(connection)

    async def count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"select count(*) from {table}"))

    async def sold(self, showtime_id: bytes, *, released: bool = True) -> None:
        """A showtime with two events; its end is now, for the catalogue does not know it."""
        await self.stage.create(showtime_id)
        taken: Any = await self.stage.journal.take_over(showtime_id)
        assert await self.stage.write(showtime_id, taken.epoch, 0, events=2)
        save = snapshot(showtime_id, taken.epoch, 2, payload=b"two", release=released)
        assert await self.stage.lane.save_snapshots([save]) == {showtime_id}


@pytest.fixture
async def house(
    database: str, pool: asyncpg.Pool[asyncpg.Record], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    monkeypatch.setattr(housekeeping, "PAGE", 4)
    async with postgres_stage(database) as stage:
        yield House(stage, pool)


def an_id_of(moment: datetime) -> bytes:
    return bytes_of(moment)[:6] + _draw.randbytes(10)


async def test_all_journals_past_their_retention_go_in_one_round(house: House) -> None:
    made = datetime.now(UTC)
    sold, strays = [an_id_of(made) for _ in range(11)], [some_id() for _ in range(2)]
    for showtime_id in (*sold, *strays):
        await house.sold(showtime_id)
    month = Month.of(made).table
    await house.work.round()
    assert await house.count("kept_journals") == len(sold) + len(strays)
    # Its retention is over, but not that of whoever may still be made in its month.
    house.clock.now = made + timedelta(days=RETENTION_DAYS, minutes=1)
    await house.work.round()
    assert await house.count("kept_journals") == 0
    assert await house.count("showtime_journal_default") == 0
    assert await house.count("showtime_journal") == 2 * len(sold)
    house.clock.now = Month.of(made).ends + timedelta(days=RETENTION_DAYS, minutes=1)
    await house.work.round()
    assert await house.pool.fetchval("select to_regclass($1)::text", month) is None
    assert await house.count("showtime_journal") == 0
    assert await house.count("showtime_snapshots") == len(sold) + len(strays)
    assert house.desk.asked == []


_ENDED = """
with made as (
    select ($2::text || lpad(to_hex(n), 20, '0'))::uuid as id from generate_series(1, $1::int) n
), heads as (
    insert into showtime_heads (showtime_id, epoch, seq) select id, 1, 2 from made
), snapshots as (
    insert into showtime_snapshots (showtime_id, epoch, seq, payload)
    select id, 1, 2, decode(repeat('ab', 400), 'hex') from made
)
insert into kept_journals (showtime_id, ends_at) select id, now() from made
"""

_READ_WHOLE = """
select relname::text from pg_stat_user_tables
where seq_tup_read > 0 and relname in ('kept_journals', 'showtime_heads', 'showtime_snapshots')
"""


async def _fill_with_ended(database: str, made: datetime, count: int) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(_ENDED, count, bytes_of(made)[:6].hex())
    await connection.execute("vacuum analyze")
    await connection.execute("select pg_stat_reset()")
    await connection.close()


async def _left_alone(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Wait until everybody else has hung up: only then have they told what they read."""
    async with asyncio.timeout(20):
        while await connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() "
            "and backend_type = 'client backend' and pid <> pg_backend_pid()"
        ):
            await look_again()


async def test_a_round_looks_up_what_it_lets_go_of_and_reads_no_table_whole(
    database: str,
) -> None:
    made = datetime.now(UTC)
    await _fill_with_ended(database, made, 3000)
    pool = await open_pool(database, size=2)
    async with postgres_stage(database) as stage:
        house = House(stage, pool)
        house.clock.now = made + timedelta(days=RETENTION_DAYS, minutes=5)
        await house.work.round()
    await close_pool(pool)
    connection = await asyncpg.connect(database)
    await _left_alone(connection)
    assert await connection.fetch(_READ_WHOLE) == []
    assert await connection.fetchval("select count(*) from kept_journals") == 0
    await connection.close()


async def test_a_round_reckons_the_ranges_of_its_months_once_a_page(
    house: House, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = datetime.now(UTC)
    reckoned = 0

    def counted(moment: datetime) -> bytes:
        nonlocal reckoned
        reckoned += 1
        return bytes_of(moment)

    monkeypatch.setattr(housekeeping, "PAGE", 1000)
    monkeypatch.setattr(journal_months, "bytes_of", counted)
    ended = 500
    await _fill_with_ended(database, made, ended)
    months = len(await house.months())
    house.clock.now = made + timedelta(days=RETENTION_DAYS, minutes=5)
    await house.work.round()
    assert await house.count("kept_journals") == 0
    # Those that end are reckoned too when a month is dropped: a few each, but none a showtime.
    assert 0 < reckoned <= 10 * months < ended


async def test_a_showtime_that_somebody_has_is_asked_for_and_keeps_its_month(
    house: House,
) -> None:
    made = datetime.now(UTC)
    running, done = an_id_of(made), an_id_of(made)
    await house.sold(running, released=False)
    await house.sold(done)
    house.clock.now = Month.of(made).ends + timedelta(days=RETENTION_DAYS, minutes=1)
    await house.work.round()
    assert house.desk.asked == [running]
    assert await house.count("showtime_journal") == 4
    save = snapshot(running, 1, 2, payload=b"two", release=True)
    await house.stage.lane.save_snapshots([save])
    await house.work.round()
    assert await house.count("showtime_journal") == 0
    # What is done is not looked at again.
    assert house.desk.asked == [running]
    assert await house.count("kept_journals") == 0


async def test_a_showtime_that_was_put_off_is_kept_until_its_new_end(house: House) -> None:
    made = datetime.now(UTC)
    showtime_id = an_id_of(made)
    await house.sold(showtime_id)
    # The catalogue has it end a day after it was taken over; it was noted without knowing that.
    await house.pool.execute(INSERT_SHOWTIMES, [UUID(bytes=showtime_id)])
    house.clock.now = made + timedelta(days=RETENTION_DAYS, minutes=1)
    await house.work.round()
    assert await house.count("kept_journals") == 1
    house.clock.now += timedelta(days=2)
    await house.work.round()
    assert await house.count("kept_journals") == 0


async def test_keys_and_archive_are_swept_until_nothing_old_is_left(house: House) -> None:
    now = datetime.now(UTC)
    await house.pool.execute(
        "insert into booking_keys (request_key, showtime_id, reserved_at) "
        "select uuid_send(gen_random_uuid()), gen_random_uuid(), "
        "case when n <= 3 then $1::timestamptz else $1::timestamptz - interval '25 hours' end "
        "from generate_series(1, 26) n",
        now,
    )
    showtime_id, epoch = await house.stage.owned()
    now_us = house.clock.now_us()
    ages_s = (IDEMPOTENCY_TTL_S - 60, IDEMPOTENCY_TTL_S + 60, ENDED_HOLD_TTL_S + 60)
    rows = [
        archive_row(some_id(), kind, at_us=now_us - age_s * 1_000_000)
        for kind in (ENDED_HOLD, STORED_REPLY)
        for age_s in ages_s
        for _ in range(6)
    ]
    save = snapshot(showtime_id, epoch, 0, archive=rows)
    assert await house.stage.lane.save_snapshots([save]) == {showtime_id}
    await house.work.round()
    assert await house.count("booking_keys") == 3
    kinds = await house.pool.fetch(
        "select kind, count(*) from showtime_archive group by 1 order by 1"
    )
    assert [tuple(row) for row in kinds] == [(ENDED_HOLD, 12), (STORED_REPLY, 6)]


async def test_nodes_at_once_share_the_work(house: House) -> None:
    await house.pool.execute(
        "insert into booking_keys (request_key, showtime_id, reserved_at) "
        "select uuid_send(gen_random_uuid()), gen_random_uuid(), now() - interval '25 hours' "
        "from generate_series(1, 100)"
    )
    await asyncio.gather(*(house.node().round() for _ in range(3)))
    # Whoever finds a page that others hold stops early; nothing is left to the next round.
    await house.work.round()
    assert await house.count("booking_keys") == 0


@pytest.mark.parametrize("bug", [False, True])
async def test_a_part_that_fails_does_not_keep_the_others_from_being_done(
    house: House, monkeypatch: pytest.MonkeyPatch, bug: bool
) -> None:
    async def fail(*_: object) -> int:
        raise ZeroDivisionError if bug else refuse("RETRY")

    monkeypatch.setattr(house.stage.journal, "sweep_archive", fail)
    await house.pool.execute(
        "insert into booking_keys (request_key, showtime_id, reserved_at) "
        "values (uuid_send(gen_random_uuid()), gen_random_uuid(), now() - interval '25 hours')"
    )
    with capture_logs() as logs:
        if bug:
            with pytest.raises(ZeroDivisionError):
                await house.work.round()
        else:
            await house.work.round()
    failed = [
        (one["part"], one["log_level"]) for one in logs if one["event"] == HOUSEKEEPING_FAILED
    ]
    assert failed == [("archive", "error" if bug else "warning")]
    assert await house.count("booking_keys") == 0


async def test_what_nobody_took_from_the_outbox_in_a_week_goes(house: House) -> None:
    showtime_id, epoch = await house.stage.owned()
    # More than a page, so that a round takes several steps.
    old = [booking(f"A{number}") for number in range(1, 7)]
    assert await house.stage.write(showtime_id, epoch, 0, *old, events=6)
    await house.pool.execute("update outbox set written_at = written_at - interval '1 hour'")
    assert await house.stage.write(showtime_id, epoch, 6, booking("B1"))
    house.clock.now += timedelta(seconds=OUTBOX_KEPT_S, minutes=-30)
    await house.work.round()
    assert [seq for _, seq, _, _ in await house.stage.outbox()] == [7]
    house.clock.now += timedelta(hours=1)
    await house.work.round()
    assert await house.stage.outbox() == []
