"""Reads on a real streaming replica: what was acknowledged is always seen, wherever it is read."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cinema.local.embedded_postgres import running_address
from cinema.storage.database import read_replica
from cinema.storage.database.pool import open_pool
from cinema.storage.database.read_replica import (
    REST_S,
    PrimaryPosition,
    ReplicaReads,
    open_replica_pool,
)
from cinema.storage.database.standby import StandbyWait
from cinema.storage.database.transactions import Pool
from tests.support.replica import WAIT_S, Pair, ask, caught_up, pause

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


class Node:
    """What one node has: pools of its own, and a clock that the test moves."""

    def __init__(self, primary: Pool, replica: Pool) -> None:
        self.now_s = 1000.0
        self.primary, self.replica = primary, replica
        self.reads = ReplicaReads(primary, replica, clock_s=lambda: self.now_s)

    async def names(self) -> list[str]:
        return [row["name"] for row in await self.reads.fetch("select name from kept order by n")]

    @property
    def outcomes(self) -> dict[str, int]:
        return {name: count for name, count in self.reads.outcomes.items() if count}

    def rested(self) -> None:
        self.now_s += REST_S


@pytest.fixture(scope="module")
def running_pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="cinema-replica-") as folder:
        Path(folder).chmod(0o755)
        pair = Pair(Path(folder))
        asyncio.run(ask(pair.dsn, "create table kept (n serial primary key, name text)"))
        try:
            yield pair
        finally:
            pair.stop()


@pytest.fixture
async def pair(running_pair: Pair) -> AsyncIterator[Pair]:
    """The two of them, the table empty and the replica not paused."""
    await ask(running_pair.dsn, "truncate kept")
    yield running_pair
    await ask(running_pair.read_dsn, "select pg_wal_replay_resume()")


@pytest.fixture
async def node(pair: Pair) -> AsyncIterator[Node]:
    async with open_pool_of(pair.dsn, pair.read_dsn) as one:
        yield one


@pytest.fixture
async def other_node(pair: Pair) -> AsyncIterator[Node]:
    async with open_pool_of(pair.dsn, pair.read_dsn) as one:
        yield one


class open_pool_of:  # noqa: N801
    """A node for as long as the body runs."""

    def __init__(self, dsn: str, read_dsn: str, *, synchronous_commit: str = "on") -> None:
        self._dsn, self._read_dsn = dsn, read_dsn
        self._synchronous_commit = synchronous_commit

    async def __aenter__(self) -> Node:
        self._primary = await open_pool(
            self._dsn, size=4, synchronous_commit=self._synchronous_commit
        )
        self._replica = await open_replica_pool(self._read_dsn, size=4)
        return Node(self._primary, self._replica)

    async def __aexit__(self, *_: object) -> None:
        self._replica.terminate()
        self._primary.terminate()


async def write(pair: Pair, name: str) -> None:
    """Acknowledged, by whatever node."""
    await ask(pair.dsn, "insert into kept (name) values ($1)", name)


class CountedWait(StandbyWait):
    """Counts how often somebody waits for the standby, which has everything."""

    def __init__(self) -> None:
        self.waits = 0

    async def wait(self) -> None:
        self.waits += 1


async def test_what_must_be_confirmed_is_confirmed_once_wherever_it_is_read(
    pair: Pair, node: Node
) -> None:
    await write(pair, "one")
    await caught_up(pair)
    wait, names = CountedWait(), "select name from kept"
    reads = ReplicaReads(node.primary, node.replica, wait, clock_s=lambda: node.now_s)
    confirmed = reads.confirmed(wait)
    assert len(await confirmed.fetch(names)) == 1
    assert await confirmed.fetchrow(names) is not None
    assert (reads.outcomes["replica"], wait.waits) == (2, 2)
    await pause(pair)
    await write(pair, "two")
    assert len(await confirmed.fetch(names)) == 2
    assert (reads.outcomes["behind"], wait.waits) == (1, 3)


async def test_a_replica_that_keeps_up_serves(pair: Pair, node: Node) -> None:
    await write(pair, "one")
    await caught_up(pair)
    assert await node.names() == ["one"]
    row = await node.reads.fetchrow("select pg_is_in_recovery() as standby")
    assert row is not None
    assert row["standby"]
    assert node.outcomes == {"replica": 2}


async def test_a_write_is_seen_on_every_node_though_the_replica_has_it_not(
    pair: Pair, node: Node, other_node: Node
) -> None:
    await caught_up(pair)
    await pause(pair)
    await write(pair, "mine")
    for one in (node, other_node):
        assert await one.names() == ["mine"]
        assert one.outcomes == {"behind": 1}
    assert await ask(pair.read_dsn, "select count(*) from kept") == 0


async def test_a_replica_too_far_behind_is_left_in_peace_for_a_while_then_serves_again(
    pair: Pair, node: Node
) -> None:
    await caught_up(pair)
    await pause(pair)
    await write(pair, "one")
    await node.names()
    await ask(pair.read_dsn, "select pg_wal_replay_resume()")
    await caught_up(pair)
    assert await node.names() == ["one"]
    assert node.outcomes == {"behind": 1, "resting": 1}
    node.rested()
    assert await node.names() == ["one"]
    assert node.outcomes == {"behind": 1, "resting": 1, "replica": 1}


async def test_a_paused_replica_serves_until_something_is_written(pair: Pair, node: Node) -> None:
    await write(pair, "one")
    # Nothing of the server's own comes between: it has just been flushed.
    await ask(pair.dsn, "checkpoint")
    await caught_up(pair)
    await pause(pair)
    assert await node.names() == ["one"]
    assert node.outcomes == {"replica": 1}


async def test_a_read_waits_for_a_replica_that_is_only_a_little_behind(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_replica, "CATCH_UP_S", WAIT_S)
    async with open_pool_of(pair.dsn, pair.read_dsn) as node:
        await caught_up(pair)
        await pause(pair)
        await write(pair, "late")
        reading = asyncio.create_task(node.names())
        await asyncio.sleep(0)
        await ask(pair.read_dsn, "select pg_wal_replay_resume()")
        assert await reading == ["late"]
        assert node.outcomes == {"replica": 1}


async def test_nobody_ever_misses_an_acknowledged_write(
    pair: Pair, node: Node, other_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_replica, "CATCH_UP_S", 0.005)
    draw = random.Random(7)
    writing = True

    async def stumble() -> None:
        while writing:
            await ask(pair.read_dsn, "select pg_wal_replay_pause()")
            await asyncio.sleep(draw.uniform(0.02, 0.06))
            await ask(pair.read_dsn, "select pg_wal_replay_resume()")
            await asyncio.sleep(draw.uniform(0.02, 0.06))

    async def client(name: str) -> None:
        for number in range(20):
            await write(pair, f"{name}-{number}")
            for one in draw.sample((node, other_node), 2):
                one.rested()
                assert f"{name}-{number}" in await one.names()

    stumbling = asyncio.create_task(stumble())
    try:
        await asyncio.gather(*(client(name) for name in "abcd"))
    finally:
        writing = False
        await stumbling
    for outcome in ("replica", "behind"):
        assert node.reads.outcomes[outcome] + other_node.reads.outcomes[outcome] > 0


async def test_positions_are_asked_for_in_batches_but_never_before_the_question(
    pair: Pair,
) -> None:
    asked = 0

    class Counting(PrimaryPosition):
        async def _ask(self) -> Any:
            nonlocal asked
            asked += 1
            mine = asked
            await asyncio.sleep(0.01)
            return mine

    async with await open_pool(pair.dsn, size=1) as pool:
        position = Counting(pool)
        first = asyncio.create_task(position.now())
        await asyncio.sleep(0)
        rest = await asyncio.gather(*(position.now() for _ in range(50)))
        assert await first == 1
        assert set(rest) == {2}


async def test_without_its_replica_the_primary_serves(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_replica, "CONNECT_TIMEOUT_S", 0.5)
    nowhere = f"postgresql://cinema@/cinema?host={pair.root}/nowhere"
    async with open_pool_of(pair.dsn, nowhere) as node:
        await write(pair, "one")
        assert await node.names() == ["one"]
        assert node.outcomes == {"unreachable": 1}


async def test_a_replica_that_dies_in_between_is_replaced_by_the_primary(pair: Pair) -> None:
    spare = await asyncio.to_thread(pair.clone, "spare")
    read_dsn = await asyncio.to_thread(spare.start)
    async with open_pool_of(pair.dsn, read_dsn) as node:
        await write(pair, "one")
        assert await node.names() == ["one"]
        await asyncio.to_thread(spare.stop)
        node.rested()
        assert await node.names() == ["one"]
        assert node.outcomes["unreachable"] == 1


async def test_what_is_no_replica_of_the_primary_is_not_read(pair: Pair) -> None:
    async with open_pool_of(pair.dsn, pair.dsn) as node:
        assert await node.names() == []
        assert node.outcomes == {"unfit": 1}
    await ask(pair.dsn, "create database another")
    await caught_up(pair)
    other = pair.read_dsn.replace("@/cinema?", "@/another?")
    async with open_pool_of(pair.dsn, other) as node:
        assert await node.names() == []
        assert node.outcomes == {"unfit": 1}


async def test_a_primary_that_acknowledges_too_early_is_not_compared_with(pair: Pair) -> None:
    async with open_pool_of(pair.dsn, pair.read_dsn, synchronous_commit="off") as node:
        assert await node.names() == []
        assert node.outcomes == {"unfit": 1}


async def test_a_query_that_fails_is_refused_by_the_primary(pair: Pair, node: Node) -> None:
    await caught_up(pair)
    with pytest.raises(asyncpg.UndefinedTableError):
        await node.reads.fetch("select * from nonsense")
    assert node.outcomes == {"unreachable": 1}


async def test_a_replica_of_a_history_that_was_given_up_is_not_read(tmp_path: Path) -> None:
    pair = await asyncio.to_thread(Pair, tmp_path)
    heir = await asyncio.to_thread(pair.clone, "heir")
    try:
        await ask(pair.dsn, "create table kept (n serial primary key, name text)")
        heir_dsn = await asyncio.to_thread(heir.start)
        await caught_up(pair)
        await caught_up(pair, heir_dsn)
        # The heir misses what the replica still gets; then the primary is lost.
        await asyncio.to_thread(heir.stop)
        await write(pair, "given up")
        await ask(pair.dsn, "select pg_switch_wal()")
        await write(pair, "given up as well")
        await caught_up(pair)
        await asyncio.to_thread(pair.primary.stop)
        await asyncio.to_thread(heir.start)
        await ask(heir_dsn, "select pg_promote()")
        await ask(heir_dsn, "insert into kept (name) values ('new')")
        ahead = await ask(pair.read_dsn, "select (pg_last_wal_replay_lsn() - '0/0')::bigint")
        async with open_pool_of(heir_dsn, pair.read_dsn) as node:
            async with await open_pool(heir_dsn, size=1) as pool:
                assert (await PrimaryPosition(pool).now()).flushed < ahead
            assert await node.names() == ["new"]
            assert node.outcomes == {"behind": 1}
    finally:
        await asyncio.to_thread(heir.stop)
        await asyncio.to_thread(pair.stop)
    assert running_address(tmp_path / "primary") is None
