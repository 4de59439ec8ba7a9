"""Three nodes, their Postgres behind a proxy, their Redis; whoever ends is started again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg
import msgspec

from benchmarks.postgres import Postgres, find_postgres
from benchmarks.server import samples_of
from cinema.domain.membership import Member
from cinema.integrations.stripe.double.server import StripeDouble
from cinema.local.cluster.ports import Ports
from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postgres_home import DATABASE, USER
from cinema.local.postmaster import find_postmaster
from cinema.local.redis_server import LocalRedis
from tests.chaos.paying import SETTINGS as SETTINGS_OF_PAYING
from tests.chaos.paying import ToAnyNode
from tests.support.postgres_proxy import PostgresProxy
from tests.support.server_process import SECRET, ServerProcess

HOST = "127.0.0.1"
NODES = 3
HEARTBEAT_TIMEOUT_S = 1.0
DECLARED_DEAD = 70
"""Exit code of a node that the others have removed."""

STARTED = '"event":"server_started"'

POLL_S = 0.05
HEALED_TIMEOUT_S = 60.0
POSTGRES_TIMEOUT_S = 60.0
CONNECTIONS = 200

SETTINGS = {
    "HEARTBEAT_TIMEOUT_MS": str(round(HEARTBEAT_TIMEOUT_S * 1000)),
    "COMMAND_DEADLINE_MS": "3000",
    # The clients are few accounts at one address.
    "WRITES_PER_MINUTE_PER_USER": "1000000",
    "HOLDS_PER_SECOND_PER_USER": "1000000",
    "HOLDS_PER_SECOND_PER_ADDRESS": "1000000",
    "WATCHERS_PER_ADDRESS": "1000000",
    "WATCHERS_PER_USER": "1000000",
    "UNPAID_SEATS_PER_CUSTOMER": "1000000",
    "UNPAID_SEATS_PER_UNVERIFIED": "1000000",
    "DEMO_DATA": "false",
    # What one node has signed or sealed, any other can read.
    "TICKET_SIGNING_KEYS": b64encode(bytes(range(32))).decode(),
    "ENCRYPTION_KEYS": b64encode(bytes(range(32, 64))).decode(),
    "LOG_LEVEL": "info",
}

_NEWEST = "select members from cluster_views order by version desc limit 1"


class End(msgspec.Struct, frozen=True, kw_only=True):
    """One end of one node's process."""

    at_ns: int
    node: int
    code: int
    meant: bool
    had_started: bool


class Rig:
    """What the faults are done to."""

    def __init__(
        self,
        servers: list[ServerProcess],
        postgres: EmbeddedPostgres,
        data_dir: Path,
        redis: LocalRedis,
        proxy: PostgresProxy,
        stripe: StripeDouble,
        seed: int,
    ) -> None:
        self.servers = servers
        self.redis = redis
        self.proxy = proxy
        self.stripe = stripe
        self.data_dir = data_dir
        self.dsn = f"postgresql://{USER}@/{DATABASE}?host={proxy.socket_folder}"
        self.ends: list[End] = []
        self._server = postgres
        self._meant: set[int] = set()
        self._draw = random.Random(seed)
        self._keepers: list[asyncio.Task[None]] = []
        self._changed = asyncio.Condition()

    @property
    def port(self) -> int:
        """Where to set the stage."""
        return self.servers[0].port

    @property
    def postgres(self) -> Postgres:
        """The database, past the proxy."""
        return Postgres(pid=find_postgres(self.data_dir).pid, dsn=self.dsn)

    @property
    def jwt_secret(self) -> str:
        """What every node signs tokens with."""
        return SECRET

    # --- nodes

    async def start(self) -> None:
        """Start all nodes, and keep them running from now on."""
        await self.servers[0].start()
        for server in self.servers[1:]:
            server.launch()
        self._keepers = [
            asyncio.create_task(self._keep(node), name=f"keeper-{node}")
            for node in range(len(self.servers))
        ]
        await self.healed()

    async def stop(self) -> list[str]:
        """Stop all nodes for good; those that had to be killed in the end."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        stops = await asyncio.gather(
            *(server.stop() for server in self.servers), return_exceptions=True
        )
        return [
            f"node {node} did not stop: {stop}"
            for node, stop in enumerate(stops, 1)
            if isinstance(stop, BaseException)
        ]

    async def _keep(self, node: int) -> None:
        """As a supervisor does: start it again soon after it has ended."""
        server = self.servers[node]
        starts = 0
        while True:
            code = await server.outlived(POLL_S)
            meant = node in self._meant
            self._meant.discard(node)
            starts, before = server.log().count(STARTED), starts
            self.ends.append(
                End(
                    at_ns=time.monotonic_ns(),
                    node=node,
                    code=code,
                    meant=meant,
                    had_started=starts > before,
                )
            )
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(self._draw.uniform(0.1, 1.5))
            server.launch()

    def kill(self, node: int) -> bool:
        """SIGKILL, if it runs."""
        if not self.servers[node].running:
            return False
        self._meant.add(node)
        self.servers[node].send(signal.SIGKILL)
        return True

    def ends_of(self, node: int) -> int:
        """How often it has ended so far."""
        return sum(end.node == node for end in self.ends)

    async def ended(self, node: int, before: int) -> int:
        """Wait for one more end of a node than `before`; its exit code."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.ends_of(node) > before)
        return [end.code for end in self.ends if end.node == node][before]

    async def is_member(self, node: int) -> bool:
        """Whether the newest view has a node at this one's address."""
        connection = await asyncpg.connect(self.dsn)
        try:
            members = await connection.fetchval(_NEWEST)
        finally:
            await connection.close()
        decoded = msgspec.msgpack.decode(members, type=tuple[Member, ...])
        return any(member.port == self.servers[node].port for member in decoded)

    async def healed(self) -> None:
        """Wait until every node is ready and goes by a view with all of them."""
        timeout = aiohttp.ClientTimeout(total=2)
        async with (
            asyncio.timeout(HEALED_TIMEOUT_S),
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            while True:
                well = await asyncio.gather(*(self._is_well(session, one) for one in self.servers))
                if all(well) and len(set(well)) == 1:
                    return
                await asyncio.sleep(POLL_S)

    async def _is_well(self, session: aiohttp.ClientSession, server: ServerProcess) -> float:
        """The version of its view, or 0 if it is not ready or misses somebody."""
        try:
            async with session.get(f"{server.url}/readyz") as reply:
                if reply.status != 200:
                    return 0
            async with session.get(f"{server.url}/metrics") as reply:
                told = await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0
        if samples_of("cinema_cluster_members", told) != [len(self.servers)]:
            return 0
        if samples_of("cinema_cluster_frozen", told) != [0]:
            return 0
        return samples_of("cinema_cluster_view_version", told)[0]

    # --- Postgres

    async def end_postgres(self, how: signal.Signals) -> None:
        """SIGKILL is a crash, SIGINT a fast shutdown; connections are refused from then on."""
        postmaster = find_postmaster(self.data_dir / "postgres")
        assert postmaster is not None
        postmaster.send(how)
        gone = await asyncio.to_thread(postmaster.wait_gone, POSTGRES_TIMEOUT_S)
        assert gone, "Postgres does not end"
        self.proxy.refuse()

    async def begin_postgres(self) -> None:
        """Bring it back, with recovery if it had crashed."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.start)
        await self.proxy.listen()


@asynccontextmanager
async def rigged(folder: Path, seed: int, **settings: str) -> AsyncIterator[Rig]:
    """A cluster that works, stopped at the end; `settings` are added to `SETTINGS`."""
    data_dir = folder / "data"
    data_dir.mkdir(parents=True, exist_ok=True)
    postgres = EmbeddedPostgres(data_dir, connections=CONNECTIONS)
    redis = LocalRedis(folder / "redis")
    ports = Ports()
    async with AsyncExitStack() as stack:
        stack.callback(ports.close)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        address = await asyncio.to_thread(postgres.start)
        stack.push_async_callback(asyncio.to_thread, redis.stop)
        await asyncio.to_thread(redis.start)
        socket_folder = Path(parse_qs(urlsplit(address).query)["host"][0])
        proxy = PostgresProxy(socket_folder, DATABASE, USER)
        stack.push_async_callback(proxy.close)
        await proxy.listen()
        deliveries = ToAnyNode(random.Random(seed))
        stripe = StripeDouble(deliveries=deliveries)
        stack.push_async_callback(stripe.stop)
        await stripe.start()
        servers = [
            ServerProcess(
                folder / f"node{number}",
                ports.reserve(HOST, 0),
                CLUSTER_PORT=str(ports.reserve(HOST, 0)),
                DATABASE_URL=proxy.dsn,
                REDIS_URL=redis.url,
                STRIPE_SECRET_KEY=stripe.secret_key,
                STRIPE_API_BASE=stripe.url,
                **SETTINGS,
                **SETTINGS_OF_PAYING,
                **settings,
            )
            for number in range(1, NODES + 1)
        ]
        deliveries.send_to([server.url for server in servers])
        rig = Rig(servers, postgres, data_dir, redis, proxy, stripe, seed)
        stack.push_async_callback(rig.stop)
        await rig.start()
        yield rig
