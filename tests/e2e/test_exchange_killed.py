"""Nodes that are killed in the middle of an exchange: its customer has one of both bookings."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import psutil
import pytest

from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer
from tests.support.local_cluster import LocalCluster
from tests.support.server_process import SECRET

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 60.0

_OPEN_ACCOUNT = """
with account as (
    insert into users (id, email, email_key, email_verified, password_hash, role, created_at)
    values ($1::uuid, $3, $3, true, 'none', $2, now())
)
insert into sessions (id, user_id, created_at, expires_at)
values ($1::uuid, $1, now(), now() + interval '1 day')"""

_ENDED = "select count(*) = $1 from exchanges where state in ('aborted', 'done')"
_WAITS = "select exists (select from bookings where showtime_id = $1 and status = 'pending')"


class Houses:
    """Two nodes with two showtimes, and a customer."""

    def __init__(self, cluster: LocalCluster, dsn: str, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self._dsn = dsn
        self._session = session
        self._tokens = TokenIssuer(SigningKeys([SECRET.encode()]), ttl_s=3600, clock=time.time)
        self._people: dict[str, uuid.UUID] = {}
        self.old_id = self.new_id = ""

    async def ask(self, role: str, method: str, path: str, body: Any = None, node: int = 0) -> Any:
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

    @asynccontextmanager
    async def locked(self, statement: str, *values: Any) -> AsyncIterator[None]:
        """Whoever needs the same rows waits until the end."""
        connection = await asyncpg.connect(self._dsn)
        try:
            async with connection.transaction():
                await connection.execute(statement, *values)
                yield
        finally:
            await connection.close()

    async def until(self, question: str, *values: Any) -> None:
        """Wait for what the database must say."""
        connection = await asyncpg.connect(self._dsn)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await connection.fetchval(question, *values):
                    pass
        finally:
            await connection.close()

    async def build(self, database: asyncpg.Connection[asyncpg.Record]) -> None:
        for role in ("customer", "admin"):
            self._people[role] = uuid.uuid4()
            await database.execute(_OPEN_ACCOUNT, self._people[role], role, f"{role}@example.org")
        cinema = {"name": "Kino", "city": "Berlin", "country": "DE", "currency": "EUR"}
        cinema["time_zone"] = "Europe/Berlin"
        cinema_id = (await self.ask("admin", "POST", "cinemas", cinema))["id"]
        hall = {"cinema_id": cinema_id, "name": "One", "grid": {"rows": 4, "columns": 8}}
        film = {"title": "Stalker", "runtime_minutes": 161}
        showtime: dict[str, Any] = {
            "movie_id": (await self.ask("admin", "POST", "movies", film))["id"],
            "screen_id": (await self.ask("admin", "POST", "screens", hall))["id"],
            "base_price": {"amount": 1000, "currency": "EUR"},
            "language": "ru",
            "rules": {"protect_orphans": False},
        }
        ids = []
        for days in (3, 4):
            starts = (datetime.now(UTC) + timedelta(days=days)).isoformat()
            made = await self.ask("admin", "POST", "showtimes", {**showtime, "starts_at": starts})
            ids.append(made["id"])
        self.old_id, self.new_id = ids

    async def booked(self, seat: str) -> str:
        hold = await self.ask("customer", "POST", f"showtimes/{self.old_id}/holds", _seats(seat))
        body = {"showtime_id": self.old_id, "hold_id": hold["hold_id"]}
        booking = await self.ask(
            "customer", "POST", "bookings", {**body, "payment": {"method": "demo"}}
        )
        return str(booking["id"])

    def process_of(self, node: int) -> psutil.Process:
        """The process that listens at a node's address."""
        port = urlsplit(self.cluster.node_urls[node]).port
        for process in self.cluster.nodes():
            if any(one.laddr.port == port for one in process.net_connections("tcp") if one.laddr):
                return process
        raise AssertionError(f"nobody listens at {port}")


def _seats(seat: str) -> dict[str, list[str]]:
    return {"seats": [seat]}


@pytest.mark.parametrize("point", ["begun", "new seats wait", "old seats given up"])
async def test_whoever_is_killed_leaves_one_of_both_bookings(
    point: str, tmp_path: Path, database: str
) -> None:
    """The other node ends what the killed one has left."""
    async with (
        LocalCluster(tmp_path / "data", nodes=2, DATABASE_URL=database, DEMO_DATA="false") as two,
        aiohttp.ClientSession() as session,
    ):
        houses = Houses(two, database, session)
        watching = await asyncpg.connect(database)
        try:
            await houses.build(watching)
            booking_id = await houses.booked("A1")
            hold = await houses.ask(
                "customer", "POST", f"showtimes/{houses.new_id}/holds", _seats("A5")
            )
            body = {"showtime_id": houses.new_id, "hold_id": hold["hold_id"]}
            path = f"bookings/{booking_id}/exchange"

            def exchange() -> asyncio.Task[Any]:
                asked = houses.ask("customer", "POST", path, body, node=1)
                return asyncio.ensure_future(asked)

            asked = await _stopped_at(houses, point, exchange, lambda: houses.process_of(1))
            await asyncio.gather(asked, return_exceptions=True)
            await watching.execute("update exchanges set commit_until = now()")
            rows = await watching.fetchval("select count(*) from exchanges")
            await houses.until(_ENDED, rows)
            await _check(watching, booking_id, houses)
        finally:
            await watching.close()


async def _stopped_at(
    houses: Houses,
    point: str,
    exchange: Callable[[], asyncio.Task[Any]],
    process: Callable[[], psutil.Process],
) -> asyncio.Task[Any]:
    """Begin an exchange, and kill the node that was asked when it has come so far."""
    victim = process()
    if point == "begun":
        async with houses.locked("lock table exchanges in exclusive mode"):
            asked = exchange()
            await houses.until(
                "select exists (select from pg_locks where not granted"
                " and relation = 'exchanges'::regclass)"
            )
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        return asked
    head = "select from showtime_heads where showtime_id = $1 for update"
    if point == "new seats wait":
        async with houses.locked(head, houses.old_id):
            asked = exchange()
            await houses.until(_WAITS, houses.new_id)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        return asked
    rows = "select from bookings where showtime_id = $1 for update"
    async with houses.locked(head, houses.old_id):
        asked = exchange()
        await houses.until(_WAITS, houses.new_id)
        blocked = houses.locked(rows, houses.new_id)
        await blocked.__aenter__()
    await houses.until("select exists (select from exchanges where state = 'committed')")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    await blocked.__aexit__(None, None, None)
    return asked


async def _check(
    database: asyncpg.Connection[asyncpg.Record], booking_id: str, houses: Houses
) -> None:
    """One of both is booked, and the books say so."""
    old = await database.fetchval("select status from bookings where id = $1", booking_id)
    new = await database.fetchval(
        "select count(*) from bookings where showtime_id = $1 and status = 'confirmed'",
        houses.new_id,
    )
    assert (old, new) in {("confirmed", 0), ("cancelled", 1)}
    states = [row[0] for row in await database.fetch("select state from exchanges")]
    assert states in ([], ["done" if new else "aborted"])
    await houses.until(
        "select not exists (select from bookings where status = 'pending')",
    )
    live = await database.fetch("select showtime_id::text from booking_seats where live")
    assert [row[0] for row in live] == [houses.new_id if new else houses.old_id]
    left = await database.fetchval("select sum(amount) from ledger_lines where account = 'demo'")
    assert left == 1000
    moving = await database.fetchval(
        "select coalesce(sum(amount), 0) from ledger_lines where account = 'exchange'"
    )
    assert moving == 0
