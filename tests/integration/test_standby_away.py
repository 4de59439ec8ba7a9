"""With the synchronous standby away nothing rests on a commit that only the primary has.

A pool's driver cancels a statement that takes too long, an operator any. A cancelled wait for the
standby leaves its commit visible on the primary, and on every other replica; a failover loses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.domain.membership import View
from cinema.domain.rejections import Refused
from cinema.storage.database.durability import look_at_durability
from cinema.storage.database.migrate import migrate
from cinema.storage.database.pool import open_pool
from cinema.storage.database.read_replica import ReplicaReads, open_replica_pool
from cinema.storage.database.reads import ConfirmedReads, PrimaryReads
from cinema.storage.database.standby import StandbyWait, Unconfirmed
from cinema.storage.database.transactions import changing, connection, transaction
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.store import CommitUnknown, StoreUnavailable, Takeover
from cinema.storage.membership.views import PostgresViews, ViewsUnavailable
from tests.support.standby import Pair, replicated
from tests.support.stores import append, some_id

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TIMEOUT_S = 1.0
PATIENCE_S = 30.0

WAITING = """
select pid from pg_stat_activity
where wait_event = 'SyncRep' and application_name = $1
"""


def _always() -> bool:
    return True


async def _until(found: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            value = await found()
            if value:
                return value
            await asyncio.sleep(0.02)


class Bench:
    """A journal and a pool on a primary, and a showtime that this node owns.

    Statements of `journal` wait for `TIMEOUT_S`, those of `patient` as long as it takes.
    """

    def __init__(self, pair: Pair, journals: list[PostgresJournal], pool: Any) -> None:
        self.pair = pair
        self.journal, self.patient = journals
        self.pool = pool
        self.showtime_id = some_id()
        self.watching: asyncpg.Connection[asyncpg.Record]
        self._lane = self.patient.lane()

    async def loaded(self) -> tuple[int, int]:
        """Epoch and seq in a plain read."""
        loaded = await self.patient.load(self.showtime_id)
        assert loaded is not None
        return loaded.epoch, loaded.seq

    async def append(self, prev_seq: int) -> None:
        """An append that waits for the standby, however long that takes."""
        await self._lane.append([append(self.showtime_id, 1, prev_seq)])

    async def waiting(self, application: str) -> Any:
        """The process that waits for the standby."""
        return await _until(lambda: self.watching.fetchval(WAITING, application))

    async def give_up(self, application: str, statement: Awaitable[Any]) -> None:
        """A statement that takes too long, while it waits for the standby."""
        running = asyncio.ensure_future(statement)
        await self.waiting(application)
        running.cancel()
        await asyncio.wait((running,), timeout=PATIENCE_S)
        assert running.cancelled()

    async def cut_short(self, application: str, statement: Awaitable[Any]) -> BaseException:
        """What comes of a statement whose wait for the standby an operator cancels."""
        running = asyncio.ensure_future(statement)
        await self.watching.execute("select pg_cancel_backend($1)", await self.waiting(application))
        await asyncio.wait((running,), timeout=PATIENCE_S)
        error = running.exception()
        assert error is not None
        return error

    async def close(self) -> None:
        await self._lane.close()
        for journal in (self.journal, self.patient):
            await journal.close()
        await self.watching.close()
        self.pool.terminate()


@asynccontextmanager
async def _bench(folder: Path) -> AsyncIterator[Bench]:
    async with replicated(folder / "pair") as pair:
        await migrate(pair.dsn)
        journals = [
            await PostgresJournal.open(
                pair.dsn,
                connections=3,
                statement_timeout_s=timeout_s,
                lock_timeout_s=0.5,
                has_standby=_always,
            )
            for timeout_s in (TIMEOUT_S, PATIENCE_S)
        ]
        bench = Bench(pair, journals, await open_pool(pair.dsn, size=3))
        bench.watching = await asyncpg.connect(pair.dsn)
        try:
            await bench.pool.execute(
                "insert into showtime_heads (showtime_id) values ($1)",
                UUID(bytes=bench.showtime_id),
            )
            taken = await bench.patient.take_over(bench.showtime_id)
            assert taken == Takeover(1, was_released=True)
            await bench.append(0)
            await bench.patient.confirmed()
            await pair.lose_standby()
            yield bench
        finally:
            await bench.close()


async def _with_an_unconfirmed_event(bench: Bench) -> None:
    """The primary has an event, and shows it, that the standby does not have."""
    error = await bench.cut_short("cinema-lane", bench.append(1))
    assert isinstance(error, CommitUnknown)
    assert await bench.loaded() == (1, 2)


async def test_a_lane_that_gives_up_shows_its_event_to_nobody(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        await bench.give_up("cinema-lane", bench.append(1))
        # It still waits, and whoever takes the showtime over waits for it.
        with pytest.raises(StoreUnavailable):
            await bench.patient.take_over(bench.showtime_id)
        assert await bench.loaded() == (1, 1)
        await bench.pair.bring_standby_back()
        await _until(lambda: _is(bench.loaded(), (1, 2)))


async def _is(value: Awaitable[Any], expected: Any) -> bool:
    return await value == expected


async def test_a_takeover_that_takes_too_long_is_seen_and_not_gone_by(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        await bench.give_up("cinema-kernel", bench.patient.take_over(bench.showtime_id))
        await _until(lambda: _is(bench.loaded(), (2, 1)))
        with pytest.raises(StoreUnavailable):
            await bench.journal.confirmed()


async def test_what_the_standby_lacks_is_seen_and_nothing_rests_on_it(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        await _with_an_unconfirmed_event(bench)
        with pytest.raises(StoreUnavailable):
            await bench.journal.confirmed()
        confirmation = StandbyWait(bench.pool, _always, timeout_s=TIMEOUT_S)
        heads = "select seq from showtime_heads where showtime_id = $1"
        reads = ConfirmedReads(PrimaryReads(bench.pool), confirmation)
        with pytest.raises(Refused, match="RETRY"):
            await reads.fetch(heads, UUID(bytes=bench.showtime_id))
        with pytest.raises(Refused, match="RETRY"):
            await reads.fetchrow(heads, UUID(bytes=bench.showtime_id))
        # That commit may have taken something away as well.
        with pytest.raises(Refused, match="RETRY"):
            await reads.fetch(heads, UUID(int=0))
        with pytest.raises(Refused, match="RETRY"):
            await reads.fetchrow(heads, UUID(int=0))
        await bench.pair.lose_primary()
        await bench.pair.bring_standby_back()
        promoted = await _until(lambda: _promoted(bench.pair))
        try:
            # That is why.
            assert await promoted.fetchval(heads, UUID(bytes=bench.showtime_id)) == 1
        finally:
            await promoted.close()


async def _promoted(pair: Pair) -> Any:
    try:
        standby = await asyncpg.connect(pair.standby_dsn)
    except (OSError, asyncpg.PostgresError):
        return None
    await standby.execute("select pg_promote()")
    return standby


async def test_it_counts_once_the_standby_is_back(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        await _with_an_unconfirmed_event(bench)
        await bench.pair.bring_standby_back()
        await bench.patient.confirmed()
        confirmation = StandbyWait(bench.pool, _always, timeout_s=PATIENCE_S)
        reads = ConfirmedReads(PrimaryReads(bench.pool), confirmation)
        assert len(await reads.fetch("select seq from showtime_heads")) == 1


async def test_a_wait_that_an_operator_cancels_acknowledges_nothing(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        confirmation = StandbyWait(bench.pool, _always, timeout_s=PATIENCE_S)

        async def write() -> None:
            async with transaction(bench.pool) as running:
                await running.execute("create table written (n int)")

        async def write_at_once() -> None:
            async with connection(bench.pool) as writing:
                await writing.execute("insert into written values (1)")

        lost = await bench.cut_short("cinema-lane", bench.append(1))
        assert isinstance(lost, CommitUnknown)
        lost = await bench.cut_short("cinema-kernel", bench.patient.take_over(bench.showtime_id))
        assert isinstance(lost, StoreUnavailable)
        lost = await bench.cut_short("cinema-kernel", bench.patient.confirmed())
        assert isinstance(lost, StoreUnavailable)
        lost = await bench.cut_short("cinema", confirmation.wait())
        assert isinstance(lost, Unconfirmed)
        for statement in (write, write_at_once):
            lost = await bench.cut_short("cinema", statement())
            assert isinstance(lost, Refused)
            assert lost.rejection.code == "OUTCOME_UNKNOWN"
        # All of it has been done, which is why it is not known.
        assert await bench.loaded() == (2, 2)
        assert await bench.pool.fetchval("select n from written") == 1


async def test_of_a_write_that_is_cut_off_while_it_waits_nobody_says_that_it_was_not_done(
    tmp_path: Path,
) -> None:
    async with _bench(tmp_path) as bench:

        async def write() -> None:
            async with changing(bench.pool) as writing:
                await writing.execute("create table written (n int)")

        running = asyncio.ensure_future(write())
        waiting = await bench.waiting("cinema")
        await bench.watching.execute("select pg_terminate_backend($1)", waiting)
        with pytest.raises(Refused, match="OUTCOME_UNKNOWN"):
            await running
        assert await bench.watching.fetchval("select to_regclass('written') is not null")


async def test_no_setting_of_the_server_hides_that_a_wait_was_cut_short(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        await bench.watching.execute("alter system set client_min_messages = 'error'")
        await bench.watching.execute("select pg_reload_conf()")
        hidden = "select current_setting('client_min_messages') = 'error'"
        await _until(lambda: bench.watching.fetchval(hidden))

        async def write() -> None:
            async with transaction(bench.pool) as running:
                await running.execute("create table written (n int)")

        lost = await bench.cut_short("cinema-lane", bench.append(1))
        assert isinstance(lost, CommitUnknown)
        lost = await bench.cut_short("cinema-kernel", bench.patient.take_over(bench.showtime_id))
        assert isinstance(lost, StoreUnavailable)
        lost = await bench.cut_short("cinema", write())
        assert isinstance(lost, Refused)
        assert lost.rejection.code == "OUTCOME_UNKNOWN"


async def test_nobody_follows_a_view_that_a_failover_would_take_back(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        node_id, view = b"1" * 16, View(version=1)
        patient, views = (
            PostgresViews(bench.pool, timeout_s=timeout_s, has_standby=_always)
            for timeout_s in (PATIENCE_S, TIMEOUT_S)
        )
        lost = await bench.cut_short("cinema", patient.propose(view, node_id))
        assert isinstance(lost, ViewsUnavailable)
        # It is there for everybody who reads, and nodes that followed it could agree on no later
        # one: in the standby's table that version is still free.
        assert await bench.watching.fetchval("select max(version) from cluster_views") == 1
        with pytest.raises(ViewsUnavailable):
            await views.latest()
        await bench.pair.bring_standby_back()
        assert await patient.latest() == view


async def test_another_replica_shows_it_and_is_not_used(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench:
        # The standby, under another name: one that no commit waits for.
        await bench.watching.execute("alter system set synchronous_standby_names = 'elsewhere'")
        await bench.watching.execute("select pg_reload_conf()")
        await bench.pair.bring_standby_back()
        replica = await open_replica_pool(bench.pair.standby_dsn, size=2)
        try:
            await _with_an_unconfirmed_event(bench)
            heads = "select seq from showtime_heads where showtime_id = $1"
            showtime_id = UUID(bytes=bench.showtime_id)

            async def replayed() -> bool:
                try:
                    return await replica.fetchval(heads, showtime_id) == 2
                except (OSError, asyncpg.PostgresError):
                    return False

            await _until(replayed)
            confirmation = StandbyWait(bench.pool, _always, timeout_s=TIMEOUT_S)

            async def asked_and_refused() -> bool:
                reads = ReplicaReads(bench.pool, replica, confirmation)
                with pytest.raises(Refused, match="RETRY"):
                    await reads.confirmed(confirmation).fetchrow(heads, showtime_id)
                assert reads.outcomes["replica"] == 0
                # Until then it was behind: the primary also writes for itself.
                return reads.outcomes["unconfirmed"] == 1

            await _until(asked_and_refused)
        finally:
            replica.terminate()


async def test_a_look_at_the_server_tells_of_the_standby(tmp_path: Path) -> None:
    async with replicated(tmp_path / "pair") as pair:
        assert (await look_at_durability(pair.dsn, production=False)).has_standby
        alone = await asyncpg.connect(pair.dsn)
        await alone.execute("alter system reset synchronous_standby_names")
        await alone.execute("select pg_reload_conf()")
        await alone.close()

        async def has_none() -> bool:
            return not (await look_at_durability(pair.dsn, production=False)).has_standby

        await _until(has_none)
