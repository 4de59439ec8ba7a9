"""What only a real Postgres can show: plans, locks, lost connections and the rows it keeps."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from cinema.domain.showtime.state import NEVER_US
from cinema.domain.times import to_us
from cinema.features.bookings import store as bookings_sql
from cinema.storage.journal import months as journal_months
from cinema.storage.journal import sql
from cinema.storage.journal.array_text import joined
from cinema.storage.journal.months import Month, bytes_of
from cinema.storage.journal.postgres import (
    LANE_SETTINGS,
    POOL_SETTINGS,
    PostgresJournal,
    PostgresLane,
)
from cinema.storage.journal.store import (
    LOCK_TIMEOUT,
    CommitAborted,
    CommitUnknown,
    HeadsLocked,
    HeldBy,
    StoreUnavailable,
    Takeover,
)
from tests.support import inspection
from tests.support.catalog_rows import INSERT_SHOWTIMES
from tests.support.stores import (
    BOOKED_AT_US,
    BRANCHES,
    Stage,
    append,
    batch,
    booking,
    cancellation,
    labels_of,
    plan_change,
    postgres_stage,
    snapshot,
    some_id,
    switch,
    terms_change,
)
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres

HEIR, NEIGHBOUR, DEAD = b"h" * 16, b"n" * 16, b"d" * 16
MANY_HEADS = 20_000
PATIENCE_S = 5.0


@pytest.fixture
async def stage(database: str) -> AsyncIterator[Stage]:
    async with postgres_stage(database) as opened:
        yield opened


@pytest.fixture
async def watcher(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection beside those under test."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


# --- plans


async def _plan(connection: asyncpg.Connection[asyncpg.Record], query: str, types: str) -> str:
    """The generic plan of a statement, as a lane gets it."""
    await connection.execute(f"prepare guarded ({types}) as {query}")
    nulls = ", ".join(["null"] * len(types.split(", ")))
    rows = await connection.fetch(f"explain (costs off) execute guarded ({nulls})")
    await connection.execute("deallocate guarded")
    return "\n".join(row[0] for row in rows)


async def _fill_heads(
    connection: asyncpg.Connection[asyncpg.Record], count: int, *, analyzed: bool
) -> None:
    await connection.execute(
        "insert into showtime_heads (showtime_id, next_due_at) "
        "select gen_random_uuid(), case when n % 100 = 0 then n end "
        "from generate_series(1, $1::int) n",
        count,
    )
    await connection.execute(
        "insert into showtime_journal (showtime_id, seq, epoch, recorded_at, payload) "
        "select showtime_id, 1, 1, 1, 'x' from showtime_heads"
    )
    if analyzed:
        await connection.execute("analyze showtime_heads, showtime_journal")


def _locking_steps(plan: str) -> list[str]:
    """How the heads are found that an update locks: the join, and its scans from outer to inner."""
    lines = [line.strip(" ->") for line in plan.splitlines()]
    steps = lines[lines.index("Update on showtime_heads h") + 1 :]
    return [steps[0], *[step for step in steps if "Scan" in step][:2]]


_EVENTS = "text, text, text, text, text, text, text, text, text, text, bytea"
_KEPT = (
    "int[], bytea[], smallint[], bigint[], bigint[], int[], bigint[], bytea[], uuid[], bigint[], "
    "bigint[], bytea[]"
)


@pytest.mark.parametrize("analyzed", [False, True], ids=["fresh", "analyzed"])
@pytest.mark.parametrize("count", [10, MANY_HEADS])
async def test_a_lanes_statements_never_read_a_whole_table(
    watcher: asyncpg.Connection[asyncpg.Record], count: int, analyzed: bool
) -> None:
    await _fill_heads(watcher, count, analyzed=analyzed)
    for name, value in LANE_SETTINGS.items():
        await watcher.execute(f"set {name} = '{value}'")
    statements = {
        "append": (sql.APPEND, _EVENTS),
        "append one each": (sql.APPEND_ONE_EACH, "text, text, text, text, text, text, text, bytea"),
        "append to one": (
            sql.APPEND_TO_ONE,
            "uuid, bigint, bigint, bigint, bigint, text, text, text, bytea",
        ),
        **{
            f"append with rows {present:b}": (
                BRANCHES.statement(present)[1],
                ", ".join([_EVENTS, *["text"] * present.bit_count()]),
            )
            for present in BRANCHES.usual()
        },
        "confirm": (sql.CONFIRM, "uuid[], bigint[]"),
        "save snapshots": (sql.SAVE_SNAPSHOTS, f"{_KEPT}, bigint[], boolean[]"),
        "truncate": (sql.TRUNCATE, "uuid, bigint, bigint"),
    }
    for name, (query, types) in statements.items():
        plan = await _plan(watcher, query, types)
        assert "Seq Scan" not in plan, f"{name}:\n{plan}"
        assert "showtime_heads_pkey" in plan, f"{name}:\n{plan}"
        if "c (showtime_id" in query and "update" in query:
            join, *scans = _locking_steps(plan)
            claims, heads = "Function Scan on c", "Index Scan using showtime_heads_pkey"
            # Claims come sorted, and so does the index: no two batches can deadlock.
            assert {scan.split(" on showtime")[0] for scan in scans} == {claims, heads}, plan
            # A handful of heads may be read whole; many must be looked up one by one.
            assert (join, scans[0]) == ("Nested Loop", claims) or count < MANY_HEADS, plan


async def _as_pool(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for name, value in POOL_SETTINGS.items():
        await connection.execute(f"set {name} = '{value}'")


async def test_takeovers_loads_and_sweeps_use_indexes(
    watcher: asyncpg.Connection[asyncpg.Record],
) -> None:
    await _fill_heads(watcher, MANY_HEADS, analyzed=True)
    await _as_pool(watcher)
    for query, types, index in [
        (sql.TAKE_OVER, "uuid, uuid, uuid[]", "showtime_heads_pkey"),
        (sql.KEEP_SNAPSHOTS, _KEPT, "showtime_heads_pkey"),
        (sql.DUE, "bigint, bigint, uuid, bigint", "showtime_heads_by_due"),
        (sql.SWEEP_ARCHIVE, "smallint, bigint, bigint", "showtime_archive_by_age"),
        (bookings_sql._FORGET_KEYS, "timestamptz, bigint", "booking_keys_by_age"),
        (sql.ENDED, "timestamptz, timestamptz, uuid, bigint", "kept_journals_by_end"),
        (sql.SEAL, "uuid[], timestamptz", "showtime_heads_pkey"),
    ]:
        plan = await _plan(watcher, query, types)
        assert "Seq Scan" not in plan, plan
        assert index in plan, plan


async def test_a_page_of_due_holds_begins_where_the_last_one_ended(
    watcher: asyncpg.Connection[asyncpg.Record],
) -> None:
    await _fill_heads(watcher, MANY_HEADS, analyzed=True)
    await _as_pool(watcher)
    plan = await _plan(watcher, sql.DUE, "bigint, bigint, uuid, bigint")
    (condition,) = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "ROW(next_due_at, showtime_id) >" in condition, plan
    assert "Filter" not in plan, plan


@pytest.mark.parametrize("where", ["a month", "no month"])
async def test_what_is_of_one_showtime_is_looked_up_in_one_month_alone(
    watcher: asyncpg.Connection[asyncpg.Record], where: str
) -> None:
    for number in range(24):
        await journal_months._Adding(watcher, Month(2010 + number // 12, number % 12 + 1))()
    month = Month(2011, 5)
    outside = bytes_of(datetime(2001, 1, 1, tzinfo=UTC))
    showtime_id = month.first_id if where == "a month" else UUID(bytes=outside)
    table = month.table if where == "a month" else "showtime_journal_default"
    # Nothing is in them yet: what is planned now is used when they are full.
    await _as_pool(watcher)
    for query, types, rest in [
        (sql.LOAD, "uuid", ""),
        (sql.HISTORY, "uuid, bigint, bigint", ", 0, 10"),
        (sql.TRUNCATE, "uuid, bigint, bigint", ", 10, 1"),
        (sql.DRAIN, "uuid, bigint", ", 10"),
    ]:
        await watcher.execute(f"prepare guarded ({types}) as {query}")
        rows = await watcher.fetch(f"explain (costs off) execute guarded ('{showtime_id}'{rest})")
        await watcher.execute("deallocate guarded")
        plan = "\n".join(row[0] for row in rows)
        scans = {
            name
            for line in plan.splitlines()
            for name in re.findall(r"on (showtime_journal_\w+)", line)
        }
        assert scans == {table}, plan
        assert "Seq Scan" not in plan, plan
        assert "Subplans Removed" in plan, plan


# --- locks


async def _until_waiting(watcher: asyncpg.Connection[asyncpg.Record], name: str) -> int:
    """The backend of `name` that waits for a lock, once there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            # Within a transaction the first look would be repeated.
            await watcher.execute("select pg_stat_clear_snapshot()")
            pid = await watcher.fetchval(
                "select pid from pg_stat_activity where application_name = $1 "
                "and wait_event_type = 'Lock' and datname = current_database()",
                name,
            )
            if pid is not None:
                return int(pid)
            await look_again()


@asynccontextmanager
async def _locked(database: str, showtime_id: bytes) -> AsyncIterator[Any]:
    """Somebody holds the head row until the block ends."""
    holder = await asyncpg.connect(database)
    try:
        async with holder.transaction():
            await holder.execute(
                "select 1 from showtime_heads where showtime_id = $1 for update",
                UUID(bytes=showtime_id),
            )
            yield holder
    finally:
        await holder.close()


async def _settled(*works: Awaitable[Any]) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S * 2):
        return list(await asyncio.gather(*works))


async def test_batches_of_two_lanes_over_the_same_showtimes_do_not_deadlock(
    stage: Stage,
) -> None:
    # Created in an order that has nothing to do with that of their ids.
    showtimes = [await stage.owned() for _ in range(30)]
    for showtime_id, _ in sorted(showtimes, key=lambda one: one[0][::-1]):
        await stage.journal.take_over(showtime_id)
    other = stage.journal.lane()
    try:
        for seq in range(10):
            forward = [append(one, epoch + 1, seq) for one, epoch in showtimes]
            backward = [append(one, epoch + 1, seq) for one, epoch in reversed(showtimes)]
            first, second = await _settled(
                stage.lane.append(batch(*forward)), other.append(batch(*backward))
            )
            # Each head matched for exactly one of them.
            assert first | second == {one for one, _ in showtimes}
            assert not first & second
    finally:
        await other.close()


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("with_rows", [True, False])
async def test_an_append_that_waits_for_a_takeover_writes_nothing(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    database: str,
    alone: bool,
    with_rows: bool,
) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    async with _locked(database, showtime_id) as holder:
        effects = [booking("A1")] if with_rows else []
        parts = [append(showtime_id, epoch, 0, *effects)]
        if not alone:
            parts.append(append(other, other_epoch, 0))
        late = asyncio.ensure_future(stage.lane.append(batch(*parts)))
        await _until_waiting(watcher, "cinema-lane")
        await holder.fetch(sql.TAKE_OVER, UUID(bytes=showtime_id), None, [])
    assert (await _settled(late))[0] == (set() if alone else {other})
    assert await stage.where(showtime_id) == (epoch + 1, 0)
    assert await stage.journal.history(showtime_id, 0, 10) == ()
    assert await watcher.fetchval("select count(*) from bookings") == 0


async def test_a_takeover_waits_for_an_append_and_then_reads_it(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    owner = await asyncpg.connect(database)
    try:
        transaction = owner.transaction()
        await transaction.start()
        head = UUID(bytes=showtime_id)
        late = "{7}", *joined([b"late"])
        await owner.fetch(sql.APPEND_TO_ONE, head, epoch, 0, 1, None, *late)
        bump = asyncio.ensure_future(stage.journal.take_over(showtime_id))
        await _until_waiting(watcher, "cinema-kernel")
        assert not bump.done()
        await transaction.commit()
    finally:
        await owner.close()
    assert (await _settled(bump))[0] == Takeover(epoch + 1, was_released=False)
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert (loaded.epoch, loaded.seq) == (epoch + 1, 1)
    assert [row.payload for row in loaded.tail] == [b"late"]


async def test_two_takeovers_at_once_get_different_epochs(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    async with _locked(database, showtime_id):
        bumps = [asyncio.ensure_future(stage.journal.take_over(showtime_id)) for _ in range(2)]
        await _until_waiting(watcher, "cinema-kernel")
    taken = await _settled(*bumps)
    assert sorted(one.epoch for one in taken) == [epoch + 1, epoch + 2]


async def test_a_takeover_that_waits_for_another_node_asks_that_node_first(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    async with _locked(database, showtime_id) as holder:
        late = asyncio.ensure_future(stage.journal.take_over(showtime_id, HEIR, [NEIGHBOUR]))
        await _until_waiting(watcher, "cinema-kernel")
        await holder.fetch(sql.TAKE_OVER, UUID(bytes=showtime_id), UUID(bytes=NEIGHBOUR), [])
    assert await _settled(late) == [HeldBy(NEIGHBOUR)]
    assert await stage.where(showtime_id) == (epoch + 1, 0)


async def test_a_takeover_that_waits_for_a_release_finds_the_showtime_given_back(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, _ = await stage.owned()
    held = await stage.journal.take_over(showtime_id, NEIGHBOUR)
    assert isinstance(held, Takeover)
    head = UUID(bytes=showtime_id)
    async with _locked(database, showtime_id) as holder:
        late = asyncio.ensure_future(stage.journal.take_over(showtime_id, HEIR, [NEIGHBOUR]))
        await _until_waiting(watcher, "cinema-kernel")
        await holder.execute(
            "update showtime_heads set released = true where showtime_id = $1", head
        )
    assert await _settled(late) == [Takeover(held.epoch + 1, was_released=True)]


async def test_an_heir_waits_for_nobody_who_is_at_a_showtime(stage: Stage, database: str) -> None:
    (taken, _), (left, _) = await stage.owned(), await stage.owned()
    for one in (taken, left):
        await stage.journal.take_over(one, DEAD)
    async with _locked(database, taken) as holder:
        # A frozen node, or a living one that takes it.
        inheriting = stage.journal.inherit([taken, left], [HEIR, NEIGHBOUR], HEIR)
        assert await inheriting == {left: 3}
        await holder.fetch(sql.TAKE_OVER, UUID(bytes=taken), UUID(bytes=NEIGHBOUR), [])
    assert await stage.where(taken) == (3, 0)
    assert await stage.journal.inherit([taken, left], [HEIR, NEIGHBOUR], HEIR) == {}


async def test_a_page_of_an_estate_begins_where_the_last_one_ended(
    watcher: asyncpg.Connection[asyncpg.Record],
) -> None:
    await _fill_heads(watcher, MANY_HEADS, analyzed=True)
    await _as_pool(watcher)
    plan = await _plan(watcher, sql.LEFT_BEHIND, "uuid[], uuid, bigint")
    assert "Seq Scan" not in plan, plan
    (scan,) = [line for line in plan.splitlines() if "showtime_heads" in line]
    (condition,) = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "Index Scan using showtime_heads_pkey" in scan, plan
    assert "showtime_id >" in condition, plan


async def test_a_takeover_gives_up_on_a_head_that_stays_locked(database: str) -> None:
    journal = await PostgresJournal.open(
        database, connections=1, statement_timeout_s=5.0, lock_timeout_s=0.05
    )
    showtime_id = some_id()
    await journal.pool.execute(
        "insert into showtime_heads (showtime_id) values ($1)", UUID(bytes=showtime_id)
    )
    async with _locked(database, showtime_id):
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await journal.take_over(showtime_id)
    assert await journal.take_over(showtime_id) == Takeover(1, was_released=True)
    await journal.close()


async def test_a_snapshot_that_waits_for_a_takeover_is_not_stored(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.write(showtime_id, epoch, 0)
    async with _locked(database, showtime_id) as holder:
        save = snapshot(showtime_id, epoch, 1, release=True, truncate=True)
        late = asyncio.ensure_future(stage.lane.save_snapshots([save]))
        await _until_waiting(watcher, "cinema-lane")
        await holder.fetch(sql.TAKE_OVER, UUID(bytes=showtime_id), None, [])
    assert (await _settled(late))[0] == set()
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert loaded.snapshot is None
    assert len(loaded.tail) == 1
    assert await stage.journal.take_over(showtime_id) == Takeover(epoch + 2, was_released=False)


async def test_a_kept_snapshot_waits_for_a_takeover_and_is_not_stored_then(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.write(showtime_id, epoch, 0)
    async with _locked(database, showtime_id) as holder:
        save = snapshot(showtime_id, epoch, 1, payload=b"late")
        late = asyncio.ensure_future(stage.journal.keep_snapshots([save]))
        await _until_waiting(watcher, "cinema-kernel")
        await holder.fetch(sql.TAKE_OVER, UUID(bytes=showtime_id), None, [])
    assert (await _settled(late))[0] == set()
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert (loaded.snapshot, loaded.epoch) == (None, epoch + 1)


async def test_a_takeover_waits_for_a_kept_snapshot_and_an_append_does_not(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.write(showtime_id, epoch, 0)
    connection = await asyncpg.connect(database)
    try:
        transaction = connection.transaction()
        await transaction.start()
        archive: list[list[object]] = [[] for _ in range(8)]
        ids = [UUID(bytes=showtime_id)]
        kept = await connection.fetch(sql.KEEP_SNAPSHOTS, *archive, ids, [epoch], [1], [b"one"])
        assert len(kept) == 1
        # The statement is not committed: an append of the same showtime is, and a takeover waits.
        assert await stage.write(showtime_id, epoch, 1)
        takeover = asyncio.ensure_future(stage.journal.take_over(showtime_id))
        await _until_waiting(watcher, "cinema-kernel")
        await transaction.commit()
        assert (await _settled(takeover))[0] == Takeover(epoch + 1, was_released=False)
    finally:
        await connection.close()
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert (loaded.snapshot, loaded.seq) == (b"one", 2)


async def test_a_snapshot_is_kept_while_an_append_of_the_showtime_is_not_committed(
    stage: Stage, database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.write(showtime_id, epoch, 0)
    connection = await asyncpg.connect(database)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "update showtime_heads set seq = 2 where showtime_id = $1", UUID(bytes=showtime_id)
        )
        save = snapshot(showtime_id, epoch, 1, payload=b"one")
        kept = asyncio.wait_for(stage.journal.keep_snapshots([save]), PATIENCE_S)
        assert await kept == {showtime_id}
        await transaction.rollback()
    finally:
        await connection.close()


# --- lost connections


async def test_an_append_whose_backend_is_killed_is_unknown_and_fenced_by_the_bump(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    async with _locked(database, showtime_id):
        late = asyncio.ensure_future(stage.lane.append([append(showtime_id, epoch, 0)]))
        pid = await _until_waiting(watcher, "cinema-lane")
        await watcher.fetchval("select pg_terminate_backend($1)", pid)
        with pytest.raises(CommitUnknown):
            await asyncio.wait_for(late, PATIENCE_S)
    assert await stage.where(showtime_id) == (epoch, 0)
    # The lane opens another connection and goes on.
    assert await stage.write(showtime_id, epoch, 0)


async def test_an_append_that_is_cancelled_on_the_server_is_unknown(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    async with _locked(database, showtime_id):
        late = asyncio.ensure_future(stage.lane.append([append(showtime_id, epoch, 0)]))
        pid = await _until_waiting(watcher, "cinema-lane")
        await watcher.fetchval("select pg_cancel_backend($1)", pid)
        with pytest.raises(CommitUnknown, match="57014"):
            await asyncio.wait_for(late, PATIENCE_S)


_SLOW = """
create function take_long() returns trigger language plpgsql as
    $$ begin perform pg_sleep(5); return new; end $$;
create trigger slow before insert on showtime_journal for each row execute function take_long();
"""


async def test_an_append_that_takes_too_long_is_unknown_until_a_bump(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    lane = PostgresJournal(database, stage.journal.pool, BRANCHES, statement_timeout_s=0.3).lane()
    showtime_id, epoch = await stage.owned()
    await watcher.execute(_SLOW)
    with pytest.raises(CommitUnknown):
        await lane.append([append(showtime_id, epoch, 0)])
    await watcher.execute("drop function take_long cascade")
    taken = await stage.journal.take_over(showtime_id)
    assert taken is not None
    landed = await stage.where(showtime_id)
    assert landed in {(taken.epoch, 0), (taken.epoch, 1)}
    assert not await stage.write(showtime_id, epoch, landed[1])
    await lane.close()


async def test_an_append_that_cannot_have_its_locks_in_time_had_no_effect(
    stage: Stage, database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    async with _impatient_lane(stage, database) as lane:
        async with _locked(database, showtime_id):
            with pytest.raises(CommitAborted, match=LOCK_TIMEOUT) as caught:
                await lane.append([append(showtime_id, epoch, 0)])
        assert not caught.value.poison
        assert caught.value.locked == frozenset()
        assert await lane.append([append(showtime_id, epoch, 0)]) == {showtime_id}


@asynccontextmanager
async def _impatient_lane(stage: Stage, database: str) -> AsyncIterator[PostgresLane]:
    """A lane that waits for locks no longer than it must."""
    assert isinstance(stage.journal, PostgresJournal)
    journal = PostgresJournal(
        database,
        stage.journal.pool,
        BRANCHES,
        statement_timeout_s=PATIENCE_S,
        lane_lock_timeout_s=0.02,
    )
    lane = journal.lane()
    yield lane
    await lane.close()


async def test_whose_heads_are_locked_is_told_with_the_refusal(stage: Stage, database: str) -> None:
    owned = [await stage.owned() for _ in range(5)]
    parts = [append(one, epoch, 0) for one, epoch in owned]
    saves = [snapshot(one, epoch, 0) for one, epoch in owned]
    async with (
        _impatient_lane(stage, database) as lane,
        _locked(database, owned[1][0]),
        _locked(database, owned[4][0]),
    ):
        locked = {owned[1][0], owned[4][0]}
        with pytest.raises(CommitAborted, match=LOCK_TIMEOUT) as aborted:
            await lane.append(batch(*parts))
        assert aborted.value.locked == locked
        with pytest.raises(HeadsLocked) as refused:
            await lane.save_snapshots(saves)
        assert refused.value.locked == locked
        others = [part for part in parts if part.showtime_id not in locked]
        assert await lane.append(batch(*others)) == {one.showtime_id for one in others}


async def test_a_set_of_branches_that_cannot_be_prepared_has_written_nothing(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    owned = [await stage.owned() for _ in range(2)]
    async with _impatient_lane(stage, database) as lane:
        (one, epoch), (other, other_epoch) = owned
        await lane.append([append(one, epoch, 0)])
        # Bookings and switches in one batch: the lane has not met these together.
        parts = [
            append(one, epoch, 1, booking("A1")),
            append(other, other_epoch, 0, switch(paused=True)),
        ]
        async with watcher.transaction():
            await watcher.execute("lock table showtimes in access exclusive mode")
            with pytest.raises(CommitAborted, match=LOCK_TIMEOUT):
                await lane.append(batch(*parts))
            # Others go on meanwhile, over the connection that is there.
            assert await lane.append([append(one, epoch, 1)]) == {one}
        parts[0] = append(one, epoch, 2, booking("A1"))
        assert await lane.append(batch(*parts)) == {one, other}
        assert [seq for _, seq, _, _ in await stage.outbox()] == [3]


async def test_a_lock_on_all_heads_is_everybodys(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    owned = [await stage.owned() for _ in range(2)]
    parts = [append(one, epoch, 0) for one, epoch in owned]
    async with _impatient_lane(stage, database) as lane:
        assert await lane.confirm(owned) == {one for one, _ in owned}
        async with watcher.transaction():
            await watcher.execute("lock table showtime_heads in exclusive mode")
            with pytest.raises(CommitAborted, match=LOCK_TIMEOUT) as aborted:
                await lane.append(batch(*parts))
        assert aborted.value.locked == {one for one, _ in owned}
        assert await lane.append(batch(*parts)) == {one for one, _ in owned}


async def test_a_search_for_locks_that_is_cancelled_drops_its_connection(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    owned = [await stage.owned() for _ in range(2)]
    parts = [append(one, epoch, 0) for one, epoch in owned]
    ids = [part.showtime_id for part in parts]
    lane = stage.lane
    assert isinstance(lane, PostgresLane)
    connection = await inspection.connected(lane)
    async with watcher.transaction():
        await watcher.execute("lock table showtime_heads in exclusive mode")
        search = asyncio.ensure_future(lane._locked(connection, ids))
        await _until_waiting(watcher, "cinema-lane")
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
    assert connection.is_closed()
    assert await lane.append(batch(*parts)) == {one for one, _ in owned}


async def test_a_cancelled_append_drops_its_connection(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], database: str
) -> None:
    showtime_id, epoch = await stage.owned()
    async with _locked(database, showtime_id):
        late = asyncio.ensure_future(stage.lane.append([append(showtime_id, epoch, 0)]))
        await _until_waiting(watcher, "cinema-lane")
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
    taken = await stage.journal.take_over(showtime_id)
    assert taken is not None
    _, seq = await stage.where(showtime_id)
    assert await stage.write(showtime_id, taken.epoch, seq)


async def test_a_database_that_cannot_be_reached_has_written_nothing(stage: Stage) -> None:
    journal = PostgresJournal(
        "postgresql://nobody@127.0.0.1:1/nothing",
        stage.journal.pool,
        statement_timeout_s=1.0,
    )
    lane = journal.lane()
    showtime_id, epoch = await stage.owned()
    with pytest.raises(CommitAborted) as caught:
        await lane.append([append(showtime_id, epoch, 0)])
    assert not caught.value.poison
    with pytest.raises(StoreUnavailable):
        await lane.confirm([(showtime_id, epoch)])
    with pytest.raises(StoreUnavailable):
        await lane.save_snapshots([snapshot(showtime_id, epoch, 0)])
    await lane.close()


async def test_reads_of_a_lane_recover_from_a_killed_connection(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.lane.confirm([(showtime_id, epoch)])
    await watcher.fetch(
        "select pg_terminate_backend(pid, 2000) from pg_stat_activity "
        "where application_name = 'cinema-lane' and datname = current_database()"
    )
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(await stage.lane.confirm([(showtime_id, epoch)]))
        except StoreUnavailable:
            outcomes.append(None)
    assert outcomes[-1] == {showtime_id}


# --- rows


async def _rows(pool: Any, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(query, *arguments)]


def _dated(created_at_us: int) -> datetime:
    return datetime.fromtimestamp(created_at_us / 1_000_000, UTC)


async def test_a_booking_its_seats_and_its_payment_are_written_with_the_event(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    key = some_id()
    made = msgspec.structs.replace(
        booking(
            "F8", "E7", code="LUNA42", request_key=key, currency="CHF", payment_method="counter"
        ),
        at_us=1_767_225_600_123_456,
    )
    event = made.event
    assert await stage.write(showtime_id, epoch, 0, made)
    assert await _rows(
        watcher,
        "select id, code, showtime_id, user_id, hold_id, status, total_minor, currency, "
        "request_key, created_at, cancelled_at from bookings",
    ) == [
        (
            UUID(bytes=event.booking_id),
            "LUNA42",
            UUID(bytes=showtime_id),
            UUID(bytes=event.customer),
            UUID(bytes=event.hold_id),
            "confirmed",
            2600,
            "CHF",
            key,
            datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),
            None,
        )
    ]
    assert await _rows(
        watcher,
        "select booking_id, position, showtime_id, seat, category, price_minor, live "
        "from booking_seats order by position",
    ) == [
        (UUID(bytes=event.booking_id), 0, UUID(bytes=showtime_id), "F8", "vip", 1600, True),
        (UUID(bytes=event.booking_id), 1, UUID(bytes=showtime_id), "E7", "regular", 1000, True),
    ]
    assert await _rows(
        watcher,
        "select id, booking_id, method, status, amount_minor, refunded_minor, currency "
        "from payments",
    ) == [
        (
            UUID(bytes=event.payment_id),
            UUID(bytes=event.booking_id),
            "counter",
            "succeeded",
            2600,
            0,
            "CHF",
        )
    ]


async def test_bookings_of_several_showtimes_go_to_their_own(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    plain, plain_epoch = await stage.owned()
    first, first_epoch = await stage.owned()
    stale, stale_epoch = await stage.owned()
    second, second_epoch = await stage.owned()
    await stage.journal.take_over(stale)
    of_first = [booking("A1"), booking("A2", "A3")]
    of_second = [booking("A1")]
    matched = await stage.lane.append(
        batch(
            append(plain, plain_epoch, 0, events=4),
            append(first, first_epoch, 0, *of_first, events=2),
            append(stale, stale_epoch, 0, booking("A1")),
            append(second, second_epoch, 0, *of_second, next_due_us=77),
        )
    )
    assert matched == {plain, first, second}
    expected = [
        (UUID(bytes=showtime_id), UUID(bytes=made.event.booking_id), label)
        for showtime_id, bookings in [(first, of_first), (second, of_second)]
        for made in bookings
        for label in labels_of(made)
    ]
    assert expected == await _rows(
        watcher,
        "select showtime_id, booking_id, seat from booking_seats "
        "order by showtime_id, booking_id, position",
    )
    assert await watcher.fetchval("select count(*) from payments") == 3
    heads = await _rows(
        watcher, "select showtime_id, seq, next_due_at from showtime_heads order by showtime_id"
    )
    assert heads == [
        (UUID(bytes=plain), 4, None),
        (UUID(bytes=first), 2, None),
        (UUID(bytes=stale), 0, None),
        (UUID(bytes=second), 1, 77),
    ]


_BOOKING = "select status, total_minor, cancelled_at from bookings where id = $1"
_SEATS = "select seat, live, given_back from booking_seats where booking_id = $1 order by position"
_PAYMENT = "select status, amount_minor, refunded_minor from payments where booking_id = $1"


async def test_a_part_cancellation_frees_seats_and_refunds_their_price(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    made, other = booking("A1", "A2", "A3"), booking("B1", "B2")
    assert await stage.write(showtime_id, epoch, 0, made, other, events=2)
    assert await stage.write(showtime_id, epoch, 2, cancellation(made, "A2"))
    booking_id = UUID(bytes=made.event.booking_id)
    assert await _rows(watcher, _BOOKING, booking_id) == [("confirmed", 2000, None)]
    seats = [("A1", True, False), ("A2", False, True), ("A3", True, False)]
    assert await _rows(watcher, _SEATS, booking_id) == seats
    assert await _rows(watcher, _PAYMENT, booking_id) == [("partially_refunded", 3000, 1000)]
    untouched = UUID(bytes=other.event.booking_id)
    assert await _rows(watcher, _BOOKING, untouched) == [("confirmed", 2000, None)]
    assert await _rows(watcher, _SEATS, untouched) == [("B1", True, False), ("B2", True, False)]
    assert await _rows(watcher, _PAYMENT, untouched) == [("succeeded", 2000, 0)]


async def test_a_cancellation_ends_the_booking_and_keeps_what_it_cost(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    made = booking("A1", "A2")
    whole = cancellation(made)
    assert await stage.write(showtime_id, epoch, 0, made)
    assert await stage.write(showtime_id, epoch, 1, whole)
    booking_id = UUID(bytes=made.event.booking_id)
    assert await _rows(watcher, _BOOKING, booking_id) == [("cancelled", 2000, _dated(whole.at_us))]
    assert await _rows(watcher, _SEATS, booking_id) == [
        ("A1", False, False),
        ("A2", False, False),
    ]
    assert await _rows(watcher, _PAYMENT, booking_id) == [("refunded", 2000, 2000)]


async def test_a_fenced_cancellation_changes_no_row(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    made = booking("A1")
    assert await stage.write(showtime_id, epoch, 0, made)
    await stage.journal.take_over(showtime_id)
    assert not await stage.write(showtime_id, epoch, 1, cancellation(made))
    booking_id = UUID(bytes=made.event.booking_id)
    assert await _rows(watcher, _BOOKING, booking_id) == [("confirmed", 1000, None)]
    assert await _rows(watcher, _SEATS, booking_id) == [("A1", True, False)]
    assert await _rows(watcher, _PAYMENT, booking_id) == [("succeeded", 1000, 0)]


async def test_no_more_goes_back_than_is_left_of_the_payment(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    made = booking("A1")
    assert await stage.write(showtime_id, epoch, 0, made)
    assert await stage.write(showtime_id, epoch, 1, cancellation(made))
    # No showtime decides so; if one did, nobody would get money for it.
    assert await stage.write(showtime_id, epoch, 2, cancellation(made))
    booking_id = UUID(bytes=made.event.booking_id)
    assert await _rows(watcher, _PAYMENT, booking_id) == [("refunded", 1000, 1000)]
    given = "select amount_minor from refunds where booking_id = $1"
    assert await _rows(watcher, given, booking_id) == [(1000,)]
    owed = "select sum(amount) from ledger_lines where booking_id = $1 and account = 'customer'"
    assert await _rows(watcher, owed, booking_id) == [(0,)]


_SHOWTIMES = "select layout_version, sales_paused from showtimes order by id"


async def test_plan_and_sales_of_a_showtime_are_switched_with_the_event(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    await watcher.execute(INSERT_SHOWTIMES, [UUID(bytes=showtime_id), UUID(bytes=other)])
    assert await _rows(watcher, _SHOWTIMES) == [(1, False), (1, False)]
    assert await stage.write(showtime_id, epoch, 0, plan_change(2))
    assert await _rows(watcher, _SHOWTIMES) == [(2, False), (1, False)]
    both = batch(
        append(showtime_id, epoch, 1, switch(paused=True)),
        append(other, other_epoch, 0, plan_change(2)),
    )
    assert await stage.lane.append(both) == {showtime_id, other}
    assert await _rows(watcher, _SHOWTIMES) == [(2, True), (2, False)]
    assert await stage.write(showtime_id, epoch, 2, switch(paused=False))
    assert await _rows(watcher, _SHOWTIMES) == [(2, False), (2, False)]
    await stage.journal.take_over(other)
    assert not await stage.write(other, other_epoch, 1, switch(paused=True))
    assert await _rows(watcher, _SHOWTIMES) == [(2, False), (2, False)]


_TERMS = """
select version, base_price_minor, price_overrides::text, format, language, local_date::text,
    rules::text, extract(epoch from starts_at)::bigint, extract(epoch from ends_at)::bigint,
    extract(epoch from clear_at)::bigint, extract(epoch from sales_opens_at)::bigint,
    extract(epoch from sales_closes_at)::bigint, extract(epoch from promised_starts_at)::bigint,
    free_refund_until is null, status, cancel_reason
from showtimes where id = $1"""


async def test_other_terms_of_a_showtime_are_written_with_the_event(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    key = UUID(bytes=showtime_id)
    await watcher.execute(INSERT_SHOWTIMES, [key])
    movie_id = await watcher.fetchval("select movie_id from showtimes where id = $1", key)
    wanted = terms_change(
        movie_id=movie_id.bytes,
        starts_at_us=3_000_000,
        ends_at_us=4_000_000,
        clear_at_us=5_000_000,
        sales_opens_at_us=1_000_000,
        sales_closes_at_us=2_000_000,
        base_price_minor=77,
        rules='{"hold_ttl_s": 9}',
    )
    assert await stage.write(showtime_id, epoch, 0, wanted)
    (row,) = await _rows(watcher, _TERMS, key)
    promised_s = BOOKED_AT_US // 1_000_000
    assert row == (
        *(2, 77, '{"vip": 5}', "2D", "en", "2026-06-01", '{"hold_ttl_s": 9}'),
        *(3, 4, 5, 1, 2, promised_s, True, "scheduled", None),
    )
    # Of a former owner nothing is written.
    await stage.journal.take_over(showtime_id)
    assert not await stage.write(showtime_id, epoch, 1, terms_change(3, base_price_minor=1))
    assert (await _rows(watcher, _TERMS, key)) == [row]


async def test_a_time_at_which_the_screen_is_taken_refuses_the_event(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Told by the name of the constraint; what else is in the batch is written without it."""
    (first, epoch), (second, other_epoch) = await stage.owned(), await stage.owned()
    await watcher.execute(INSERT_SHOWTIMES, [UUID(bytes=first), UUID(bytes=second)])
    movie_id, starts_at, ends_at = await watcher.fetchrow(
        "select movie_id, starts_at, clear_at from showtimes where id = $1", UUID(bytes=second)
    )
    onto = terms_change(
        movie_id=movie_id.bytes,
        starts_at_us=to_us(starts_at),
        ends_at_us=to_us(ends_at),
        clear_at_us=to_us(ends_at),
    )
    with pytest.raises(CommitAborted) as caught:
        await stage.write(first, epoch, 0, onto)
    assert caught.value.constraint == "showtimes_screen_occupied"
    assert caught.value.poison
    assert await stage.where(first) == (epoch, 0)
    assert await stage.write(second, other_epoch, 0)


async def test_a_snapshot_without_deadline_clears_the_heads(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.lane.append([append(showtime_id, epoch, 0, next_due_us=5)])
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 1, next_due_us=NEVER_US)])
    heads = "select next_due_at, released from showtime_heads"
    assert await _rows(watcher, heads) == [(None, False)]
