"""Two nodes of which one is killed in the middle of something, and the other ends it."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import psutil

from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer
from tests.support.local_cluster import LocalCluster
from tests.support.server_process import SECRET
from tests.support.waiting import look_again

PATIENCE_S = 60.0

WAITS = "select exists (select from bookings where showtime_id = $1 and status = 'pending')"
"""Whether a booking of a showtime waits for its payment."""

NOBODY_WAITS = "select not exists (select from bookings where status = 'pending')"

_OPEN_ACCOUNT = """
with account as (
    insert into users (id, email, email_key, email_verified, password_hash, role, created_at)
    values ($1::uuid, $3, $3, true, 'none', $2, now())
)
insert into sessions (id, user_id, created_at, expires_at)
values ($1::uuid, $1, now(), now() + interval '1 day')"""


class Houses:
    """Two nodes with some showtimes in one cinema, and people of it."""

    def __init__(
        self,
        cluster: LocalCluster,
        dsn: str,
        session: aiohttp.ClientSession,
        database: asyncpg.Connection[asyncpg.Record],
    ) -> None:
        self.cluster = cluster
        self.database = database
        self._dsn = dsn
        self._session = session
        self._tokens = TokenIssuer(SigningKeys([SECRET.encode()]), ttl_s=3600, clock=time.time)
        self._people: dict[str, uuid.UUID] = {}
        self._locks: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        self.cinema_id = ""
        self.showtimes: list[str] = []

    async def ask(self, role: str, method: str, path: str, body: Any = None, node: int = 0) -> Any:
        """What a node answers to somebody; it must be a success."""
        person = self._people[role]
        token = self._tokens.issue(user_id=person.bytes, role=role, session_id=person.bytes).text
        async with self._session.request(
            method,
            f"{self.cluster.node_urls[node]}/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        ) as reply:
            answer = await reply.json()
            assert answer["success"], answer
            return answer["data"]

    async def held(self, role: str, showtime_id: str, *seats: str, node: int = 0) -> str:
        """The id of a new hold."""
        path = f"showtimes/{showtime_id}/holds"
        hold = await self.ask(role, "POST", path, {"seats": list(seats)}, node)
        return str(hold["hold_id"])

    async def lock(self, statement: str, *values: Any) -> None:
        """Whoever needs the same rows waits until they are released."""
        connection = self._locks[statement] = await asyncpg.connect(self._dsn)
        await connection.execute("begin")
        await connection.execute(statement, *values)

    async def release(self, statement: str) -> None:
        """Let those who wait go on."""
        if statement in self._locks:
            await self._locks.pop(statement).close()

    async def release_all(self) -> None:
        """Let everybody go on."""
        for statement in list(self._locks):
            await self.release(statement)

    async def until(self, question: str, *values: Any) -> None:
        """Wait for what the database must say."""
        connection = await asyncpg.connect(self._dsn)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await connection.fetchval(question, *values):
                    await look_again()
        finally:
            await connection.close()

    async def until_somebody_waits_for(self, table: str) -> None:
        """Wait for somebody who waits for a lock on a table."""
        await self.until(
            "select exists (select from pg_locks where not granted and relation = $1::regclass)",
            table,
        )

    async def kill(self, node: int) -> None:
        """End a node without a word, and wait for its end."""
        victim = self._process_of(node)
        victim.send_signal(signal.SIGKILL)
        victim.wait()

    async def build(self, *days: int) -> None:
        """A cinema with a showtime in so many days each, a customer and an admin."""
        for role in ("customer", "admin"):
            person = self._people[role] = uuid.uuid4()
            await self.database.execute(_OPEN_ACCOUNT, person, role, f"{role}@example.org")
        cinema = {"name": "Kino", "city": "Berlin", "country": "DE", "currency": "EUR"}
        cinema["time_zone"] = "Europe/Berlin"
        self.cinema_id = (await self.ask("admin", "POST", "cinemas", cinema))["id"]
        hall = {"cinema_id": self.cinema_id, "name": "One", "grid": {"rows": 4, "columns": 8}}
        film = {"title": "Stalker", "runtime_minutes": 161}
        showtime: dict[str, Any] = {
            "movie_id": (await self.ask("admin", "POST", "movies", film))["id"],
            "screen_id": (await self.ask("admin", "POST", "screens", hall))["id"],
            "base_price": {"amount": 1000, "currency": "EUR"},
            "language": "ru",
            "rules": {"protect_orphans": False},
        }
        for ahead in days:
            starts = (datetime.now(UTC) + timedelta(days=ahead)).isoformat()
            made = await self.ask("admin", "POST", "showtimes", {**showtime, "starts_at": starts})
            self.showtimes.append(made["id"])

    def _process_of(self, node: int) -> psutil.Process:
        """The process that listens at a node's address."""
        port = urlsplit(self.cluster.node_urls[node]).port
        for process in self.cluster.nodes():
            if any(one.laddr.port == port for one in process.net_connections("tcp") if one.laddr):
                return process
        raise AssertionError(f"nobody listens at {port}")


@asynccontextmanager
async def two_houses(folder: Path, dsn: str, *days: int) -> AsyncIterator[Houses]:
    """Two nodes over a database; see `Houses.build`."""
    async with (
        LocalCluster(folder, nodes=2, DATABASE_URL=dsn, DEMO_DATA="false") as two,
        aiohttp.ClientSession() as session,
    ):
        database = await asyncpg.connect(dsn)
        houses = Houses(two, dsn, session, database)
        try:
            await houses.build(*days)
            yield houses
        finally:
            await houses.release_all()
            await database.close()
