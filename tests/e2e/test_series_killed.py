"""Nodes that are killed in the middle of a series: all of it is booked, or nothing."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable
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

_ENDED = "select count(*) = 1 from series where state in ('aborted', 'done')"
_WAITS = "select exists (select from bookings where showtime_id = $1 and status = 'pending')"
_WAITS_OR_WAITED = f"{_WAITS} or exists (select from series where state = 'aborted')"
_SERIES_ROWS = "lock table series in exclusive mode"
_ASKED = """
select exists (
    select from pg_locks where not granted and relation = 'series'::regclass
)"""
_DECISION = "select pg_advisory_xact_lock(1)"
_WAITING_DECISION = """
create function wait_for_the_test() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(1);
    return new;
end $$;
create trigger wait_for_the_test before update on series for each row
    when (new.state = 'committed') execute function wait_for_the_test()"""
_DECIDES = "select exists (select from pg_locks where not granted and locktype = 'advisory')"
_HEAD = "select from showtime_heads where showtime_id = $1 for update"
_BOOKING = "select from bookings where showtime_id = $1 for update"
_SEATS = "select showtime_id::text from booking_seats where live order by 1"


class Houses:
    """Two nodes with three showtimes, and a customer."""

    def __init__(self, cluster: LocalCluster, dsn: str, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self._dsn = dsn
        self._session = session
        self._tokens = TokenIssuer(SigningKeys([SECRET.encode()]), ttl_s=3600, clock=time.time)
        self._people: dict[str, uuid.UUID] = {}
        self.showtimes: list[str] = []
        self._locks: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

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

    async def lock(self, statement: str, *values: Any) -> None:
        """Whoever needs the same rows waits until they are released."""
        connection = self._locks[statement] = await asyncpg.connect(self._dsn)
        await connection.execute("begin")
        await connection.execute(statement, *values)

    async def release(self, statement: str) -> None:
        """Let those who wait go on."""
        if statement in self._locks:
            await self._locks.pop(statement).close()

    async def close(self) -> None:
        """Release everything."""
        for statement in list(self._locks):
            await self.release(statement)

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
        for days in (3, 4, 5):
            starts = (datetime.now(UTC) + timedelta(days=days)).isoformat()
            made = await self.ask("admin", "POST", "showtimes", {**showtime, "starts_at": starts})
            self.showtimes.append(made["id"])

    def process_of(self, node: int) -> psutil.Process:
        """The process that listens at a node's address."""
        port = urlsplit(self.cluster.node_urls[node]).port
        for process in self.cluster.nodes():
            if any(one.laddr.port == port for one in process.net_connections("tcp") if one.laddr):
                return process
        raise AssertionError(f"nobody listens at {port}")


async def _stopped_at(
    houses: Houses, point: str, ask: Callable[[], asyncio.Task[Any]]
) -> asyncio.Task[Any]:
    """Begin a series, and kill the node that was asked when it has come so far."""
    victim, first, last = houses.process_of(1), houses.showtimes[0], houses.showtimes[-1]
    if point in {"all wait", "decided"}:
        # A lane waits for a locked head only so long: these two lock none before the decision.
        await houses.lock(_DECISION)
        asked = ask()
        await houses.until(_WAITS, last)
        await houses.until(_DECIDES)
    else:
        await houses.lock(_SERIES_ROWS)
        asked = ask()
        await houses.until(_ASKED)
    if point == "some wait":
        await houses.lock(_HEAD, last)
        await houses.release(_SERIES_ROWS)
        # The lane gives up on the locked head after a while, and the series is called off.
        await houses.until(_WAITS_OR_WAITED, first)
    if point == "decided":
        await houses.lock(_BOOKING, last)
        await houses.release(_DECISION)
        await houses.until("select exists (select from series where state = 'committed')")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    await houses.close()
    return asked


@pytest.mark.parametrize("point", ["all are held", "some wait", "all wait", "decided"])
async def test_whoever_is_killed_leaves_all_of_a_series_or_nothing(
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
            await watching.execute(_WAITING_DECISION)
            body = {
                "showtime_ids": houses.showtimes,
                "seats": ["A1", "A2"],
                "payment": {"method": "demo"},
            }

            def book() -> asyncio.Task[Any]:
                return asyncio.ensure_future(houses.ask("customer", "POST", "series", body, node=1))

            asked = await _stopped_at(houses, point, book)
            await asyncio.gather(asked, return_exceptions=True)
            await watching.execute("update series set commit_until = now()")
            if point != "all are held":
                await houses.until(_ENDED)
            await houses.until("select not exists (select from bookings where status = 'pending')")
            live = [row[0] for row in await watching.fetch(_SEATS)]
            state = await watching.fetchval("select state from series")
            assert state == {"all are held": None, "decided": "done"}.get(point, "aborted")
            every = sorted(houses.showtimes * 2) if point == "decided" else []
            assert live == every
            paid = await watching.fetchval(
                "select coalesce(sum(amount), 0) from ledger_lines where account = 'demo'"
            )
            assert paid == 1000 * len(every)
        finally:
            await houses.close()
            await watching.close()
