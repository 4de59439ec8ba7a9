"""A cinema on servers that are processes of their own: its people, and what they ask for."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
import asyncpg

from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer
from tests.support.server_process import SECRET
from tests.support.waiting import look_again

PATIENCE_S = 60.0

# Text, because the driver's classes are generic for type checkers only.
Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Ask = Callable[[str, str, Any], Awaitable[Any]]
"""Method, path and body of what somebody who may do everything asks for; the `data`."""

_OPEN_ACCOUNT = """
with account as (
    insert into users (id, email, email_key, email_verified, password_hash, role, created_at)
    values ($1::uuid, $3, $3, true, 'none', $2, now())
)
insert into sessions (id, user_id, created_at, expires_at)
values ($1::uuid, $1, now(), now() + interval '1 day')"""
_SOMEBODY_WAITS = """
select exists (
    select from pg_locks where relation = $1::regclass and not granted
        and database = (select oid from pg_database where datname = current_database())
)"""


class Badges:
    """Tokens of people who have an account and have never logged in."""

    def __init__(self) -> None:
        self._tokens = TokenIssuer(SigningKeys([SECRET.encode()]), ttl_s=3600, clock=time.time)

    def header(self, person: uuid.UUID, role: str) -> dict[str, str]:
        """What somebody's request carries."""
        token = self._tokens.issue(user_id=person.bytes, role=role, session_id=person.bytes).text
        return {"Authorization": f"Bearer {token}"}


async def open_account(database: Database, person: uuid.UUID, role: str, email: str) -> None:
    """An account with a session, for a badge."""
    await database.execute(_OPEN_ACCOUNT, person, role, email)


async def build_showtimes(ask: Ask, *days: int, rows: int = 4, columns: int = 8) -> list[str]:
    """A cinema in which a film runs in so many days each, on one screen; cinema and showtimes."""
    cinema = {"name": "Kino", "city": "Berlin", "country": "DE", "currency": "EUR"}
    cinema["time_zone"] = "Europe/Berlin"
    cinema_id = (await ask("POST", "cinemas", cinema))["id"]
    grid = {"rows": rows, "columns": columns}
    hall = {"cinema_id": cinema_id, "name": "One", "grid": grid}
    film = {"title": "Stalker", "runtime_minutes": 161}
    showtime: dict[str, Any] = {
        "movie_id": (await ask("POST", "movies", film))["id"],
        "screen_id": (await ask("POST", "screens", hall))["id"],
        "base_price": {"amount": 1000, "currency": "EUR"},
        "language": "ru",
        "rules": {"protect_orphans": False},
    }
    made = [cinema_id]
    for ahead in days:
        starts = (datetime.now(UTC) + timedelta(days=ahead)).isoformat()
        made.append((await ask("POST", "showtimes", {**showtime, "starts_at": starts}))["id"])
    return made


class StaffedHouse:
    """A cinema with somebody of each role, who asks its servers."""

    def __init__(
        self, urls: Callable[[], list[str]], session: aiohttp.ClientSession, database: Database
    ) -> None:
        self.database = database
        self._urls = urls
        self._session = session
        self._badges = Badges()
        self._people: dict[str, uuid.UUID] = {}
        self.cinema_id = ""
        self.showtimes: list[str] = []

    async def ask(self, role: str, method: str, path: str, body: Any = None, node: int = 0) -> Any:
        """What a node answers to somebody; it must be a success."""
        address = f"{self._urls()[node]}/api/v1/{path}"
        headers = self._badges.header(self._people[role], role)
        async with self._session.request(method, address, json=body, headers=headers) as reply:
            answer = await reply.json()
            assert answer["success"], answer
            return answer["data"]

    async def held(self, role: str, showtime_id: str, *seats: str, node: int = 0) -> str:
        """The id of a new hold."""
        path = f"showtimes/{showtime_id}/holds"
        hold = await self.ask(role, "POST", path, {"seats": list(seats)}, node)
        return str(hold["hold_id"])

    async def build(self, *days: int) -> None:
        """A showtime in so many days each, a customer and an admin."""
        for role in ("customer", "admin"):
            person = self._people[role] = uuid.uuid4()
            await open_account(self.database, person, role, f"{role}@example.org")

        async def ask(method: str, path: str, body: Any) -> Any:
            return await self.ask("admin", method, path, body)

        self.cinema_id, *self.showtimes = await build_showtimes(ask, *days)

    async def open_till(self) -> None:
        """The admin takes money."""
        change = {"amount": 0, "currency": "EUR"}
        till = {"cinema_id": self.cinema_id, "till": "Till 1", "opening": change}
        await self.ask("admin", "POST", "cash-sessions", till)

    async def until(self, question: str, *values: Any) -> None:
        """Wait for what the database must say."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.database.fetchval(question, *values):
                await look_again()

    async def until_somebody_waits_for(self, table: str) -> None:
        """Wait for somebody who waits for a lock on a table."""
        await self.until(_SOMEBODY_WAITS, table)
