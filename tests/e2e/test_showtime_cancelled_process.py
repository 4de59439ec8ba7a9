"""A showtime with 500 bookings is cancelled, and the server is killed in the middle of it."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer
from tests.support.server_process import SECRET, ServerProcess, running
from tests.support.told import TOLD
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

BOOKINGS = 500
CUSTOMERS = 20
KILLED_AFTER = (60, 200)
"""So many bookings are cancelled when the server is killed for the first and the second time."""

PATIENCE_S = 60.0

_DONE = "select count(*) from bookings where status = 'cancelled'"
_OPEN_ACCOUNTS = """
with account as (
    insert into users (id, email, email_key, password_hash, role, language, created_at)
    select id, id || '@example.org', id || '@example.org', 'none', $2, 'de', now()
    from unnest($1::uuid[]) as one (id)
)
insert into sessions (id, user_id, created_at, expires_at)
select id, id, now(), now() + interval '1 day' from unnest($1::uuid[]) as one (id)"""


class Office:
    """Somebody who asks one server for things, as one of its people."""

    def __init__(self, server: ServerProcess, session: aiohttp.ClientSession) -> None:
        self._api = f"{server.url}/api/v1"
        self._session = session
        self._tokens = TokenIssuer(SigningKeys([SECRET.encode()]), ttl_s=3600, clock=time.time)

    async def ask(
        self, person: uuid.UUID, role: str, method: str, path: str, body: Any = None, **head: str
    ) -> tuple[int, Any]:
        """Status and `data` of a success."""
        token = self._tokens.issue(user_id=person.bytes, role=role, session_id=person.bytes).text
        headers = {"Authorization": f"Bearer {token}", **head}
        async with self._session.request(
            method, f"{self._api}/{path}", json=body, headers=headers
        ) as reply:
            answer = await reply.json()
            assert answer["success"], answer
            return reply.status, answer["data"]


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A way into the server's database."""
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def _people(
    connection: asyncpg.Connection[asyncpg.Record], role: str, count: int
) -> list[uuid.UUID]:
    people = [uuid.uuid4() for _ in range(count)]
    await connection.execute(_OPEN_ACCOUNTS, people, role)
    return people


async def _sold_out(office: Office, admin: uuid.UUID, customers: list[uuid.UUID]) -> str:
    """A showtime of which every seat is booked, one by one."""
    cinema = {
        "name": "Kino",
        "city": "Berlin",
        "country": "DE",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
    }
    _, made = await office.ask(admin, "admin", "POST", "cinemas", cinema)
    hall = {"cinema_id": made["id"], "name": "One", "grid": {"rows": 20, "columns": 25}}
    _, screen = await office.ask(admin, "admin", "POST", "screens", hall)
    film = {"title": "Stalker", "runtime_minutes": 161}
    _, movie = await office.ask(admin, "admin", "POST", "movies", film)
    wanted = {
        "movie_id": movie["id"],
        "screen_id": screen["id"],
        "starts_at": (datetime.now(UTC) + timedelta(days=3)).isoformat(),
        "base_price": {"amount": 1000, "currency": "EUR"},
        "language": "ru",
        "rules": {"protect_orphans": False, "live_holds_per_customer": 1000},
    }
    _, showtime = await office.ask(admin, "admin", "POST", "showtimes", wanted)
    labels = [f"{chr(65 + row)}{number}" for row in range(20) for number in range(1, 26)]

    async def buy(customer: uuid.UUID, mine: list[str]) -> None:
        for label in mine:
            path = f"showtimes/{showtime['id']}/holds"
            _, hold = await office.ask(customer, "customer", "POST", path, {"seats": [label]})
            body = {
                "showtime_id": showtime["id"],
                "hold_id": hold["hold_id"],
                "payment": {"method": "demo"},
            }
            await office.ask(customer, "customer", "POST", "bookings", body)

    await asyncio.gather(
        *(buy(customer, labels[at::CUSTOMERS]) for at, customer in enumerate(customers))
    )
    return str(showtime["id"])


async def _until(
    connection: asyncpg.Connection[asyncpg.Record], question: str, at_least: int
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await connection.fetchval(question) < at_least:
            await look_again()


async def test_every_booking_is_cancelled_refunded_and_told_once_though_the_server_is_killed(
    tmp_path: Path, database: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Takes 20 s: three starts of a node, which has to be killed for this, and 500 sales."""
    server = ServerProcess(tmp_path / "data", DATABASE_URL=database, DEMO_DATA="false")
    async with aiohttp.ClientSession() as session, running(server):
        office = Office(server, session)
        (admin,) = await _people(connection, "admin", 1)
        customers = await _people(connection, "customer", CUSTOMERS)
        showtime_id = await _sold_out(office, admin, customers)
        assert await connection.fetchval("select count(*) from bookings") == BOOKINGS
        status, cancelled = await office.ask(
            admin,
            "admin",
            "DELETE",
            f"showtimes/{showtime_id}?reason=No+heating.",
            **{"If-Match": '"1"'},
        )
        assert (status, cancelled["bookings"]) == (202, BOOKINGS)
        for count in KILLED_AFTER:
            await _until(connection, _DONE, count)
            server.send(signal.SIGKILL)
            await server.ended()
            assert await connection.fetchval(_DONE) < BOOKINGS, "it was faster than the kill"
            # As if its lease had ended: half a minute nobody has to wait for here.
            await connection.execute("update jobs set due_at = now()")
            await server.start()
        await _until(connection, "select count(*) from jobs where status = 'done'", 1)
        _, job = await office.ask(admin, "admin", "GET", f"jobs/{cancelled['job_id']}")
        assert (job["status"], job["done"], job["failed"], job["remaining"]) == (
            "done",
            BOOKINGS,
            0,
            0,
        )
        rows = await connection.fetch("""
            select b.status, p.status, p.amount_minor - p.refunded_minor, count(m.id)
            from bookings b
            join payments p on p.booking_id = b.id
            left join messages m on m.dedupe_key = 'showtime_cancelled:' || b.id
            group by b.id, b.status, p.id""")
        assert [tuple(row) for row in rows] == [("cancelled", "refunded", 0, 1)] * BOOKINGS
        assert (
            await connection.fetchval(
                "select count(*) from messages where kind = 'showtime_cancelled'"
            )
            == BOOKINGS
        )
        told = await connection.fetchval(
            f"select count(*) from {TOLD} where kind = 'booking.cancelled'"
        )
        assert told == BOOKINGS
        _, seats = await office.ask(admin, "admin", "GET", f"showtimes/{showtime_id}/seats")
        assert {seat["status"] for seat in seats["seats"]} == {"available"}
