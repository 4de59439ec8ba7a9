"""Three nodes as real processes, on one Postgres and one Redis: killed, stopped, frozen, cut off.

Every run's history is checked by replay: what was acknowledged is there, once, and nobody saw
what was not.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from cinema.local.redis_server import LocalRedis
from tests.support.durable_postgres import DurablePostgres
from tests.support.server_process import ServerProcess
from tests.support.stage import Stage, staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

HEARTBEAT_TIMEOUT_S = 2.5
EXIT_DECLARED_DEAD = 70
PATIENCE_S = 30.0
POLL_S = 0.05
SHOWTIMES = 3
SOME = 30
"""Acknowledged commands that make up a stretch of load: enough for all nodes to have had some."""

NOT_NOW = ("RETRY", "OVERLOADED", "OUTCOME_UNKNOWN", "INTERNAL", "lost")
"""How a request can fail though there was nothing wrong with it."""


class Trio:
    """Three nodes, each with an address of its own, and what they share."""

    def __init__(self, folder: Path, dsn: str, redis: LocalRedis) -> None:
        self.dsn = dsn
        self.redis = redis
        self.used_showtimes: set[str] = set()
        self.nodes = [
            ServerProcess(
                folder / f"node-{number}",
                DATABASE_URL=dsn,
                REDIS_URL=redis.url,
                CLUSTER_PORT="0",
                HEARTBEAT_TIMEOUT_MS=str(int(HEARTBEAT_TIMEOUT_S * 1000)),
                DEMO_DATA="false",
                COMMAND_DEADLINE_MS="10000",
                DRAIN_SECONDS="15",
            )
            for number in range(3)
        ]

    async def whole(self) -> None:
        """Wait until all three serve and know each other; starts those that ended."""
        for node in self.nodes:
            if not node.running:
                node.launch()
        await asyncio.gather(*(node.await_ready() for node in self.nodes))

        async def all_known() -> bool:
            views = [await view(node) for node in self.nodes]
            return len(set(views)) == 1 and views[0].members == 3 and not views[0].frozen

        await until(all_known)

    def others(self, node: ServerProcess) -> list[ServerProcess]:
        """The two that are not this one."""
        return [one for one in self.nodes if one is not node]


class View(tuple[int, int, bool]):
    """What a node tells of its view: version, members, frozen."""

    __slots__ = ()

    @property
    def version(self) -> int:
        return self[0]

    @property
    def members(self) -> int:
        return self[1]

    @property
    def frozen(self) -> bool:
        return self[2]


async def view(node: ServerProcess) -> View:
    """The view that a node goes by, from its metrics; nothing at all if it does not answer."""
    told: dict[str, float] = {}
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{node.url}/metrics") as reply:
            for line in (await reply.text()).splitlines():
                name, _, value = line.partition(" ")
                if name.startswith("cinema_cluster_"):
                    told[name.removeprefix("cinema_cluster_")] = float(value)
    except aiohttp.ClientError:
        pass
    found = (told.get("view_version", 0), told.get("members", 0), told.get("frozen", 0))
    return View((int(found[0]), int(found[1]), bool(found[2])))


async def until(happened: Callable[[], Awaitable[bool]]) -> float:
    """Wait for a condition; how long that took."""
    started_s = time.monotonic()
    while not await happened():
        assert time.monotonic() - started_s < PATIENCE_S
        await asyncio.sleep(POLL_S)
    return time.monotonic() - started_s


async def owner(stage: Stage, showtime_id: str, asked: ServerProcess) -> str:
    """Who owns a showtime, as the answer of a node names it."""
    url = f"{asked.url}/api/v1/showtimes/{showtime_id}/seats"
    async with stage.session.get(url) as reply:
        assert reply.status == 200, await reply.text()
        return str(reply.headers["Cinema-Owner"])


def address(node: ServerProcess) -> str:
    """How a node is named as an owner."""
    return node.url.removeprefix("http://")


def failures(stage: Stage) -> int:
    """How many requests failed so far though there was nothing wrong with them."""
    return sum(stage.history.count(code) for code in NOT_NOW)


@pytest.fixture(scope="module")
def shared(durable_postgres: DurablePostgres) -> Iterator[Trio]:
    """One trio for all tests, each of which leaves it whole."""
    with tempfile.TemporaryDirectory(prefix="cinema-trio-") as name:
        folder = Path(name)
        redis = LocalRedis(folder / "redis")
        redis.start()
        statement = "create database trio template seeded"
        asyncio.run(_execute(durable_postgres.address, statement))
        trio = Trio(folder, durable_postgres.dsn("trio"), redis)
        try:
            yield trio
        finally:
            asyncio.run(_stop(trio.nodes))
            redis.stop()
            asyncio.run(
                _execute(durable_postgres.address, "drop database if exists trio with (force)")
            )


async def _stop(nodes: list[ServerProcess]) -> None:
    async with AsyncExitStack() as exits:
        for node in nodes:
            exits.push_async_callback(node.stop)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def trio(shared: Trio) -> Trio:
    """Three nodes that serve and know each other."""
    await shared.whole()
    return shared


@asynccontextmanager
async def played(trio: Trio, seed: int) -> AsyncIterator[Stage]:
    """A stage on the trio; at the end all nodes serve, and the books are checked."""
    async with staged(
        trio.nodes, seed=seed, showtimes=SHOWTIMES, used=trio.used_showtimes
    ) as stage:
        yield stage
        await trio.whole()
        await stage.verify(trio.dsn)


async def more(stage: Stage) -> None:
    """Wait for a stretch of load."""
    await stage.history.until(acknowledged=stage.history.acknowledged + SOME)


# --- together


async def test_any_node_takes_any_request_and_names_the_owner(trio: Trio) -> None:
    async with played(trio, seed=1) as stage:
        named = set()
        for showtime in stage.showtimes:
            owners = {await owner(stage, showtime.id, node) for node in trio.nodes}
            assert len(owners) == 1
            named |= owners
        assert named <= {address(node) for node in trio.nodes}
        caller, client = stage.client()
        for turn, showtime in enumerate(stage.showtimes):
            order = [trio.nodes[(turn + step) % 3] for step in range(3)]
            wish = client.request("hold", showtime.id, seats=showtime.labels[:2])
            held = [await caller.send(wish, node.url) for node in order]
            # Three times the same key, at three nodes: one hold.
            assert len({one.data["hold_id"] for one in held}) == 1
            hold_id = held[0].data["hold_id"]
            seen = client.request("see_hold", showtime.id, hold_id)
            assert (await caller.send(seen, order[1].url)).data["status"] == "active"
            booked = await caller.send(client.request("book", showtime.id, hold_id), order[2].url)
            assert booked.acknowledged
        async with stage.load():
            await more(stage)
        assert failures(stage) == 0


# --- nodes that end


async def test_a_killed_nodes_showtimes_serve_elsewhere(trio: Trio) -> None:
    async with played(trio, seed=2) as stage:
        doomed = trio.nodes[0]
        others = trio.others(doomed)
        async with stage.load():
            await more(stage)
            doomed.send(signal.SIGKILL)
            await doomed.ended()

            async def nobody_waits() -> bool:
                views = [await view(one) for one in others]
                return [one.members for one in views] == [2, 2]

            gone_s = await until(nobody_waits)
            await more(stage)
        # It was silent for the time-out, and no more than a little longer.
        assert gone_s <= HEARTBEAT_TIMEOUT_S + 5
        for showtime in stage.showtimes:
            assert await owner(stage, showtime.id, others[0]) != address(doomed)


async def test_a_stopped_node_hands_over_and_nobody_notices(trio: Trio) -> None:
    async with played(trio, seed=3) as stage:
        leaving = trio.nodes[1]
        others = trio.others(leaving)
        stage.send_all_to(*others)
        async with stage.load(sockets=0):
            await more(stage)
            owned = [
                one.id
                for one in stage.showtimes
                if await owner(stage, one.id, others[0]) == address(leaving)
            ]
            leaving.send(signal.SIGTERM)
            await more(stage)
            assert await leaving.ended() == 0
            await more(stage)
        assert failures(stage) == 0
        for showtime_id in owned:
            assert await owner(stage, showtime_id, others[0]) != address(leaving)
        # It left by itself: the newest view was there before its end.
        assert (await view(others[0])).members == 2


async def test_a_frozen_node_that_was_declared_dead_ends_itself(trio: Trio) -> None:
    async with played(trio, seed=4) as stage:
        zombie = trio.nodes[2]
        others = trio.others(zombie)
        async with stage.load(sockets=0):
            await more(stage)
            await zombie.freeze()
            # Some clients wait for it from now on; others do not even try.
            stage.send_all_to(*others)
            async with stage.load(sockets=0):

                async def is_removed() -> bool:
                    return (await view(others[0])).members == 2

                await until(is_removed)
                await more(stage)
                # What it was asked it reads now, and must not answer wrongly.
                zombie.send(signal.SIGCONT)
                assert await zombie.ended() == EXIT_DECLARED_DEAD
                await more(stage)


# --- what they share goes away


async def test_without_redis_nothing_is_refused_and_nobody_is_removed(trio: Trio) -> None:
    async with played(trio, seed=5) as stage:
        before = [await view(node) for node in trio.nodes]
        async with stage.load():
            await more(stage)
            await asyncio.to_thread(trio.redis.kill)

            async def all_frozen() -> bool:
                return all([(await view(node)).frozen for node in trio.nodes])

            await until(all_frozen)
            # Longer than anybody may be silent.
            until_s = time.monotonic() + 1.5 * HEARTBEAT_TIMEOUT_S
            while time.monotonic() < until_s:
                await more(stage)
            await asyncio.to_thread(trio.redis.start)

            async def none_frozen() -> bool:
                return not any([(await view(node)).frozen for node in trio.nodes])

            await until(none_frozen)
            await asyncio.to_thread(trio.redis.wipe)
            await more(stage)
        assert failures(stage) == 0
        assert [(await view(node)).version for node in trio.nodes] == [
            one.version for one in before
        ]
        assert all(node.running for node in trio.nodes)


async def test_a_restarted_postgres_costs_answers_and_no_truth(
    trio: Trio, durable_postgres: DurablePostgres
) -> None:
    async with played(trio, seed=6) as stage:
        async with stage.load():
            await more(stage)
            await durable_postgres.crash(signal.SIGQUIT)
            try:
                await until(lambda: all_say(trio, 503))
            finally:
                await durable_postgres.restart()
            await until(lambda: all_say(trio, 200))
            await more(stage)
        assert all(node.running for node in trio.nodes)


async def all_say(trio: Trio, status: int) -> bool:
    """Whether each node's readiness has this status."""
    async with aiohttp.ClientSession() as session:
        for node in trio.nodes:
            async with session.get(f"{node.url}/readyz") as reply:
                if reply.status != status:
                    return False
    return True
