"""The journal's months on a real Postgres: made ahead, dropped whole, never with what is needed."""

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

from cinema.domain.showtime.state import NEVER_US
from cinema.storage.database.migrate import MigrationError, migrate
from cinema.storage.journal import months as journal_months
from cinema.storage.journal.months import (
    JOURNAL_MONTH_DROPPED,
    JOURNAL_MONTH_POSTPONED,
    JOURNAL_MONTH_SLIMMED,
    LATE_AFTER,
    MONTHS_AHEAD,
    JournalMonths,
    Month,
    attached_months,
    bytes_of,
    make_months,
    outside,
)
from cinema.storage.journal.retention import BEGINNING, Retention
from cinema.storage.journal.sql import SEAL
from cinema.storage.journal.store import Append, NewEvent
from tests.support.stores import Stage, postgres_stage, snapshot
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres

OLD = Month(2020, 3)
ENDED = OLD.ends + timedelta(days=1)
PATIENCE_S = 20.0
_draw = random.Random(7)


@pytest.fixture
async def stage(database: str) -> AsyncIterator[Stage]:
    async with postgres_stage(database) as opened:
        yield opened


@pytest.fixture
async def watcher(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(database)
    await _add(connection, OLD)
    yield connection
    await connection.close()


@pytest.fixture
def months(pool: asyncpg.Pool[asyncpg.Record]) -> JournalMonths:
    return JournalMonths(pool)


@pytest.fixture
def retention(pool: asyncpg.Pool[asyncpg.Record]) -> Retention:
    return Retention(pool)


async def _add(connection: asyncpg.Connection[asyncpg.Record], month: Month) -> None:
    assert await journal_months._Adding(connection, month)()


def an_id(month: Month = OLD) -> bytes:
    """An id made in the middle of a month."""
    return bytes_of(month.begins + timedelta(days=_draw.randrange(28)))[:6] + _draw.randbytes(10)


async def owned(stage: Stage, showtime_id: bytes, events: int = 3) -> int:
    """A showtime somebody owns, with some events; its epoch."""
    await stage.create(showtime_id)
    taken = await stage.journal.take_over(showtime_id)
    assert taken is not None
    assert await stage.write(showtime_id, taken.epoch, 0, events=events)
    return int(taken.epoch)


async def given_back(stage: Stage, showtime_id: bytes, events: int = 3) -> None:
    """A showtime nobody owns any more, whose snapshot says all."""
    epoch = await owned(stage, showtime_id, events)
    save = snapshot(showtime_id, epoch, events, payload=b"all", release=True)
    assert await stage.lane.save_snapshots([save]) == {showtime_id}


async def rows_of(connection: Any, table: str) -> list[tuple[bytes, int]]:
    rows = await connection.fetch(f"select showtime_id, seq from {table} order by 1, 2")
    return [(row[0].bytes, row[1]) for row in rows]


async def names(connection: Any) -> list[str]:
    return [month.table for month in await attached_months(connection)]


# --- months of ids


def test_a_month_is_a_range_of_ids() -> None:
    month = Month(2026, 12)
    assert month.next == Month(2027, 1)
    assert (month.begins, month.ends) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert month.table == "showtime_journal_2026_12"
    assert Month.of(datetime(2026, 12, 31, 23, tzinfo=UTC)) == month


def test_an_id_is_of_the_month_it_was_made_in() -> None:
    moment = timedelta(milliseconds=1)
    may, july = Month(2026, 5), Month(2026, 7)
    inside = [
        bytes_of(may.begins),
        bytes_of(may.ends - moment)[:6] + b"\xff" * 10,
        bytes_of(july.begins),
    ]
    beside = [
        bytes_of(may.begins - moment)[:6] + b"\xff" * 10,
        bytes_of(may.ends),
        bytes_of(july.begins - moment),
        bytes_of(july.ends),
    ]
    assert outside([may, july], inside + beside) == beside
    assert outside([], inside) == inside


# --- made ahead


async def test_a_migrated_database_has_this_month_and_the_next_ones(database: str) -> None:
    # The database is a copy, and may be one of the month before.
    await migrate(database)
    connection = await asyncpg.connect(database)
    expected = [Month.of(await connection.fetchval("select now()"))]
    for _ in range(MONTHS_AHEAD):
        expected.append(expected[-1].next)
    attached = await attached_months(connection)
    assert attached[-len(expected) :] == expected
    await connection.execute(f"drop table {expected[-1].table}")
    await connection.close()
    # Every start looks, not only the one that migrates.
    await asyncio.gather(*(migrate(database) for _ in range(3)))
    connection = await asyncpg.connect(database)
    assert await attached_months(connection) == attached
    await connection.close()


async def test_events_go_to_the_month_of_their_id_and_strays_to_none(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record]
) -> None:
    old, stray = an_id(), an_id(Month(2031, 7))
    for showtime_id in (old, stray):
        await owned(stage, showtime_id, events=1)
    assert await rows_of(watcher, OLD.table) == [(old, 1)]
    assert await rows_of(watcher, "showtime_journal_default") == [(stray, 1)]
    # The month they are of comes to be: they move into it.
    await _add(watcher, Month(2031, 7))
    assert await rows_of(watcher, "showtime_journal_2031_07") == [(stray, 1)]
    assert await rows_of(watcher, "showtime_journal_default") == []
    loaded = await stage.journal.load(stray)
    assert loaded is not None
    assert [row.seq for row in loaded.tail] == [1]


async def test_a_database_of_an_unreleased_build_is_refused_in_words(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(
        "drop table showtime_journal; create table showtime_journal (showtime_id uuid)"
    )
    await connection.close()
    with pytest.raises(MigrationError, match="before the first release"):
        await migrate(database)


async def test_where_there_is_no_journal_no_months_are_made(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await make_months(connection)
    assert await connection.fetchval("select count(*) from pg_class where relname ~ 'journal'") == 0
    await connection.close()


async def test_too_many_strays_are_left_where_they_are(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_months, "STRAY_BYTES_LIMIT", 0)
    stray = an_id(Month(2031, 7))
    await owned(stage, stray)
    before = await names(watcher)
    await watcher.execute(f"drop table {before[-1]}")
    with capture_logs() as logs:
        await make_months(watcher)
    assert {line["event"] for line in logs} == {JOURNAL_MONTH_POSTPONED}
    assert await names(watcher) == before[:-1]


# --- sealed


async def test_a_showtime_is_kept_from_its_first_takeover_until_it_is_sealed(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], retention: Retention
) -> None:
    showtime_id = an_id()
    kept = "select count(*) from kept_journals"
    await stage.create(showtime_id)
    assert await watcher.fetchval(kept) == 0
    epoch = await _taken(stage, showtime_id)
    assert await watcher.fetchval(kept) == 1
    later = datetime.now(UTC) + timedelta(days=1)
    # Somebody owns it; then its snapshot is behind; then it says all.
    assert await retention.seal([showtime_id], later) == set()
    assert await stage.write(showtime_id, epoch, 0, events=2)
    assert await retention.seal([showtime_id], later) == set()
    release = snapshot(showtime_id, epoch, 2, payload=None, release=True)
    assert await stage.lane.save_snapshots([release]) == {showtime_id}
    assert await retention.seal([showtime_id], later) == set()
    epoch = await _taken(stage, showtime_id)
    save = snapshot(showtime_id, epoch, 2, payload=b"all", release=True)
    assert await stage.lane.save_snapshots([save]) == {showtime_id}
    assert await retention.seal([showtime_id], later) == {showtime_id}
    assert await watcher.fetchval(kept) == 0
    assert await retention.ended(later, BEGINNING, 10) == []
    # The next owner's events are needed again.
    await _taken(stage, showtime_id)
    assert [one for _, one in await retention.ended(later, BEGINNING, 10)] == [showtime_id]


async def test_a_takeover_under_way_is_not_overtaken_by_a_seal(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    retention: Retention,
    database: str,
) -> None:
    showtime_id = an_id()
    await given_back(stage, showtime_id)
    later = datetime.now(UTC) + timedelta(days=1)
    # A seal that has not committed: the takeover waits for it and makes the row anew.
    async with watcher.transaction():
        sealed = await watcher.fetch(SEAL, [UUID(bytes=showtime_id)], later)
        assert len(sealed) == 1
        taking = asyncio.ensure_future(stage.journal.take_over(showtime_id))
        await _until_waiting(watcher)
    taken = await taking
    assert taken is not None
    assert await watcher.fetchval("select count(*) from kept_journals") == 1
    # A takeover that has not committed: the seal leaves the showtime out.
    save = snapshot(showtime_id, taken.epoch, 3, payload=b"all", release=True)
    assert await stage.lane.save_snapshots([save]) == {showtime_id}
    other = await asyncpg.connect(database)
    async with other.transaction():
        await other.fetch(
            "update showtime_heads set epoch = epoch + 1, released = false where showtime_id = $1",
            UUID(bytes=showtime_id),
        )
        assert await retention.seal([showtime_id], later) == set()
    await other.close()
    assert await watcher.fetchval("select count(*) from kept_journals") == 1


async def _until_waiting(watcher: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await watcher.fetchval(
            "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
        ):
            await look_again()


async def _taken(stage: Stage, showtime_id: bytes) -> int:
    taken = await stage.journal.take_over(showtime_id)
    assert taken is not None
    return int(taken.epoch)


async def test_nodes_that_seal_at_once_take_each_showtime_once(
    stage: Stage, watcher: asyncpg.Connection[asyncpg.Record], retention: Retention
) -> None:
    showtimes = [an_id() for _ in range(40)]
    for showtime_id in showtimes:
        await given_back(stage, showtime_id, events=1)
    later = datetime.now(UTC) + timedelta(days=1)
    answers = await asyncio.gather(*(retention.seal(showtimes, later) for _ in range(4)))
    assert sorted(one for sealed in answers for one in sealed) == sorted(showtimes)
    assert await watcher.fetchval("select count(*) from kept_journals") == 0


async def test_events_outside_of_all_months_are_deleted_in_steps(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    pool: asyncpg.Pool[asyncpg.Record],
) -> None:
    retention = Retention(pool, deleted_at_once=2)
    mine, running = an_id(Month(2031, 7)), an_id(Month(2031, 7))
    await given_back(stage, mine, events=5)
    await owned(stage, running, events=5)
    for showtime_id in (mine, running):
        await retention.drain(showtime_id)
    strays = await rows_of(watcher, "showtime_journal_default")
    assert {one for one, _ in strays} == {running}
    assert len(strays) == 5
    loaded = await stage.journal.load(mine)
    assert loaded is not None
    assert (loaded.seq, loaded.snapshot, loaded.tail) == (5, b"all", ())


# --- dropped


async def test_a_month_goes_whole_once_all_its_showtimes_are_sealed(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    retention: Retention,
) -> None:
    sealed, other = an_id(), an_id()
    for showtime_id in (sealed, other):
        await given_back(stage, showtime_id)
    later = datetime.now(UTC) + timedelta(days=1)
    assert await retention.seal([sealed], later) == {sealed}
    await months.let_go(ENDED)
    assert OLD.table in await names(watcher)
    assert await retention.seal([other], later) == {other}
    await months.let_go(OLD.ends - timedelta(seconds=1))
    assert OLD.table in await names(watcher)
    with capture_logs() as logs:
        await months.let_go(ENDED)
    assert logs == [{"event": JOURNAL_MONTH_DROPPED, "month": OLD.table, "log_level": "info"}]
    assert OLD.table not in await names(watcher)
    # What remains still answers, and goes on where it ended.
    for showtime_id in (sealed, other):
        loaded = await stage.journal.load(showtime_id)
        assert loaded is not None
        assert (loaded.seq, loaded.snapshot, loaded.tail) == (3, b"all", ())
        epoch = await _taken(stage, showtime_id)
        assert await stage.write(showtime_id, epoch, 3)
    assert len(await rows_of(watcher, "showtime_journal_default")) == 2


async def test_a_takeover_while_a_month_goes_loses_nothing(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    retention: Retention,
) -> None:
    showtimes = [an_id() for _ in range(10)]
    for showtime_id in showtimes:
        await given_back(stage, showtime_id)
    later = datetime.now(UTC) + timedelta(days=1)
    await retention.seal(showtimes, later)

    async def revive(showtime_id: bytes) -> None:
        epoch = await _taken(stage, showtime_id)
        part = Append(showtime_id, epoch, 3, 4, [NewEvent(b"new", 4000, NEVER_US, None)])
        assert showtime_id in await stage.lane.append([part])

    async def revive_all() -> None:
        for showtime_id in showtimes:
            await revive(showtime_id)

    await asyncio.gather(months.let_go(ENDED), revive_all())
    for showtime_id in showtimes:
        loaded = await stage.journal.load(showtime_id)
        assert loaded is not None
        assert (loaded.seq, loaded.snapshot_seq) == (4, 3)
        assert [row.payload for row in loaded.tail] == [b"new"]


async def test_a_month_that_somebody_reads_is_left_for_later_and_commits_go_on(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_months, "ATTEMPTS", 2)
    monkeypatch.setattr(journal_months, "PAUSE_S", 0.0)
    running = an_id(Month.of(datetime.now(UTC)))
    epoch = await owned(stage, running)
    async with watcher.transaction():
        await watcher.fetch("select count(*) from showtime_journal")
        with capture_logs() as logs:
            letting_go = asyncio.ensure_future(months.let_go(ENDED))
            for seq in range(3, 23):
                assert await stage.write(running, epoch, seq)
            await letting_go
    assert [line["event"] for line in logs] == [JOURNAL_MONTH_POSTPONED]
    assert OLD.table in await names(watcher)
    await months.let_go(ENDED)
    assert OLD.table not in await names(watcher)


async def test_two_nodes_at_once_let_a_month_go_once(
    watcher: asyncpg.Connection[asyncpg.Record], months: JournalMonths
) -> None:
    with capture_logs() as logs:
        await asyncio.gather(*(months.let_go(ENDED) for _ in range(4)))
        await months.let_go(ENDED)
    assert [line["event"] for line in logs] == [JOURNAL_MONTH_DROPPED]
    assert OLD.table not in await names(watcher)


# --- late ones


LONG_AFTER = OLD.ends + LATE_AFTER + timedelta(days=1)


async def _late_month(stage: Stage, retention: Retention) -> tuple[bytes, int, list[bytes]]:
    """A month with one late showtime among others that are sealed; it, its epoch, the others."""
    late, others = an_id(), [an_id() for _ in range(5)]
    for showtime_id in others:
        await given_back(stage, showtime_id, events=10)
    epoch = await owned(stage, late, events=10)
    later = datetime.now(UTC) + timedelta(days=1)
    assert await retention.seal(others, later) == set(others)
    return late, epoch, others


async def test_a_late_showtime_is_moved_out_of_the_way_of_its_month(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    retention: Retention,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_months, "COPIED_AT_ONCE", 3)
    late, epoch, _ = await _late_month(stage, retention)
    await months.let_go(LONG_AFTER - timedelta(days=2))
    assert OLD.table in await names(watcher)
    with capture_logs() as logs:
        await months.let_go(LONG_AFTER)
    assert [line["event"] for line in logs] == [JOURNAL_MONTH_SLIMMED]
    slim = f"{OLD.table}_late"
    assert (await names(watcher))[0] == slim
    assert OLD.table not in await names(watcher)
    assert await rows_of(watcher, slim) == [(late, seq) for seq in range(1, 11)]
    # It is appended to as before, where it belongs, and is moved only once.
    assert await stage.write(late, epoch, 10)
    assert (late, 11) in await rows_of(watcher, slim)
    await months.let_go(LONG_AFTER)
    assert (await names(watcher))[0] == slim
    # Once it is sealed too, the rest of the month goes.
    save = snapshot(late, epoch, 11, payload=b"all", release=True)
    assert await stage.lane.save_snapshots([save]) == {late}
    assert await retention.seal([late], datetime.now(UTC) + timedelta(days=1)) == {late}
    await months.let_go(LONG_AFTER)
    assert slim not in await names(watcher)


async def test_what_is_appended_while_late_ones_are_moved_moves_along(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    retention: Retention,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late, epoch, others = await _late_month(stage, retention)
    copy = journal_months.copy_rows

    async def copy_and_then_append(*arguments: Any) -> None:
        await copy(*arguments)
        assert await stage.write(late, epoch, 10, events=2)
        # And one that was sealed has an owner again.
        assert await stage.write(others[0], await _taken(stage, others[0]), 10)

    monkeypatch.setattr(journal_months, "copy_rows", copy_and_then_append)
    await months.let_go(LONG_AFTER)
    seqs: dict[bytes, list[int]] = {}
    for showtime_id, seq in await rows_of(watcher, f"{OLD.table}_late"):
        seqs.setdefault(showtime_id, []).append(seq)
    assert seqs == {late: list(range(1, 13)), others[0]: list(range(1, 12))}
    for showtime_id in (late, others[0]):
        loaded = await stage.journal.load(showtime_id)
        assert loaded is not None
        assert loaded.snapshot_seq + len(loaded.tail) == loaded.seq


async def test_more_late_ones_than_are_moved_are_waited_for(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_months, "LATE_SHOWTIMES_LIMIT", 2)
    for _ in range(3):
        await owned(stage, an_id())
    await months.let_go(LONG_AFTER)
    assert (await names(watcher))[0] == OLD.table


@pytest.mark.parametrize("when", ["copying", "exchanging"])
async def test_a_node_that_dies_while_it_moves_late_ones_leaves_all_as_it_was(
    stage: Stage,
    watcher: asyncpg.Connection[asyncpg.Record],
    months: JournalMonths,
    retention: Retention,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    late, epoch, others = await _late_month(stage, retention)
    before = await rows_of(watcher, OLD.table)
    copy, attach = journal_months.copy_rows, journal_months.attach

    async def die(connection: Any) -> None:
        pid = connection.get_server_pid()
        await watcher.fetchval("select pg_terminate_backend($1, 5000)", pid)

    with monkeypatch.context() as patch:
        if when == "copying":

            async def copy_and_die(connection: Any, *arguments: Any) -> None:
                await copy(connection, *arguments)
                await die(connection)

            patch.setattr(journal_months, "copy_rows", copy_and_die)
        else:
            # Behind the drop, within the transaction.
            patch.setattr(
                journal_months, "attach", lambda _: "select pg_terminate_backend(pg_backend_pid())"
            )
        with pytest.raises(Exception, match=r"."):
            await months.let_go(LONG_AFTER)
    assert (await names(watcher))[0] == OLD.table
    assert await rows_of(watcher, OLD.table) == before
    assert await stage.write(late, epoch, 10)
    # The next one begins anew, on top of the copy that was left.
    assert attach is journal_months.attach
    await months.let_go(LONG_AFTER)
    assert (await names(watcher))[0] == f"{OLD.table}_late"
    assert await rows_of(watcher, f"{OLD.table}_late") == [(late, seq) for seq in range(1, 12)]
    assert await watcher.fetchval("select to_regclass($1)::text", OLD.table) is None
    for showtime_id in others:
        loaded = await stage.journal.load(showtime_id)
        assert loaded is not None
        assert (loaded.seq, loaded.snapshot) == (10, b"all")
