"""A cluster under test: nodes as processes of their own on one Postgres and one Redis."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

from benchmarks.load.batch import UnexpectedAnswerError, send_one
from benchmarks.load.http import format_request
from benchmarks.postgres import Postgres, describe_postgres, find_postgres
from benchmarks.processes import LISTEN_S, ROOT, accepting, stop
from benchmarks.server import HOST, SECRET, SETTINGS, samples_of
from cinema.cluster.ring import Ring, RingNode
from cinema.local.cluster.ports import Ports
from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.redis_server import LocalRedis

CONNECTIONS_A_NODE = 40
"""Connections to Postgres that a node may open, at most."""

POLL_S = 0.02


class ClusterNode:
    """One node, which keeps its ports over its restarts."""

    def __init__(
        self, name: str, command: Sequence[str], settings: Mapping[str, str], port: int, log: Path
    ) -> None:
        self.name = name
        self.port = port
        self.log = log
        self._command = command
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start, and wait until it is a member that can serve."""
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                "--port",
                str(self.port),
                cwd=ROOT,
                env={**os.environ, **SETTINGS, **self._settings},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        await accepting(self.port, self._process, self.log)
        request = format_request("GET", "/readyz", host=f"{HOST}:{self.port}")
        async with asyncio.timeout(LISTEN_S):
            while True:
                try:
                    await send_one(HOST, self.port, request)
                except UnexpectedAnswerError:
                    await asyncio.sleep(POLL_S)
                else:
                    return

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        request = format_request("GET", "/metrics", host=f"{HOST}:{self.port}")
        return sum(samples_of(name, await send_one(HOST, self.port, request)))

    def send(self, how: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)

    async def ended(self) -> int:
        """Wait for the end of the process; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """End it in an orderly way."""
        if self._process is not None:
            await stop(self._process)


class Cluster:
    """Nodes, their Postgres and their Redis; `spares` are nodes that nobody has started yet."""

    def __init__(
        self,
        nodes: list[ClusterNode],
        spares: list[ClusterNode],
        postgres: Postgres,
        redis_pid: int,
    ) -> None:
        self.nodes = nodes
        self.spares = spares
        self.postgres = postgres
        self.redis_pid = redis_pid
        self.durability: dict[str, str] = {}

    @property
    def port(self) -> int:
        """Where to set the stage: any node takes any request."""
        return self.nodes[0].port

    @property
    def jwt_secret(self) -> str:
        """What every node signs tokens with."""
        return SECRET

    @property
    def observed(self) -> dict[str, int]:
        """Whose CPU a window reads."""
        return {
            **{node.name: node.pid for node in self.nodes},
            "postgres": self.postgres.pid,
            "redis": self.redis_pid,
        }

    def by_owner(self, showtimes: Sequence[str]) -> dict[int, list[str]]:
        """The showtimes of each node, by its port, as every node of this cluster places them."""
        ring = Ring(RingNode(HOST, node.port) for node in self.nodes)
        owned: dict[int, list[str]] = {node.port: [] for node in self.nodes}
        for showtime in showtimes:
            owner = ring.owner_of(UUID(showtime).bytes)
            assert owner is not None
            owned[owner.port].append(showtime)
        return owned

    async def settled(self) -> None:
        """Wait until every node goes by the view that has all of them."""
        async with asyncio.timeout(LISTEN_S):
            while True:
                views = {
                    (
                        await node.metric("cinema_cluster_members"),
                        await node.metric("cinema_cluster_view_version"),
                    )
                    for node in self.nodes
                }
                if len(views) == 1 and views.pop()[0] == len(self.nodes):
                    return
                await asyncio.sleep(POLL_S)

    async def forwarded(self) -> float:
        """Messages that nodes have sent to other nodes so far."""
        return sum([await node.metric("cinema_served_messages_total") for node in self.nodes])


@asynccontextmanager
async def clustered(
    command: Sequence[str],
    folder: Path,
    nodes: int,
    settings: Mapping[str, str] | None = None,
    spares: int = 0,
) -> AsyncIterator[Cluster]:
    """A cluster whose nodes all know each other, on a new data folder; stopped at the end."""
    most = nodes + spares
    postgres = EmbeddedPostgres(folder / "data", connections=most * CONNECTIONS_A_NODE + 20)
    redis = LocalRedis(folder / "redis")
    ports = Ports()
    async with AsyncExitStack() as stack:
        stack.callback(ports.close)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        dsn = await asyncio.to_thread(postgres.start)
        stack.push_async_callback(asyncio.to_thread, redis.stop)
        await asyncio.to_thread(redis.start)
        made = []
        for number in range(1, most + 1):
            own = {
                "DATABASE_URL": dsn,
                "REDIS_URL": redis.url,
                "CLUSTER_PORT": str(ports.reserve(HOST, 0)),
                "DATA_DIR": str(folder / f"node{number}"),
                **(settings or {}),
            }
            log = folder / f"node{number}.log"
            made.append(ClusterNode(f"node{number}", command, own, ports.reserve(HOST, 0), log))
        cluster = Cluster(
            made[:nodes], made[nodes:], find_postgres(folder / "data"), _pid_of(redis)
        )
        cluster.durability = await describe_postgres(dsn)
        for node in made:
            # All are asked to end before the first is waited for, see below.
            stack.push_async_callback(node.stop)
        stack.callback(_ask_to_end, made)
        # The first one migrates; the others find that done.
        await made[0].start()
        await asyncio.gather(*(node.start() for node in made[1:nodes]))
        await cluster.settled()
        yield cluster


def _pid_of(redis: LocalRedis) -> int:
    assert redis.pid is not None
    return redis.pid


def _ask_to_end(nodes: list[ClusterNode]) -> None:
    for node in nodes:
        node.send(signal.SIGTERM)
