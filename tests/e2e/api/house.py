"""A whole node on a real Postgres, with one small screen and one person per role."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest
import structlog

from cinema.app import Node, running_node
from cinema.domain.ids import parse_id
from cinema.logging import LogSink
from cinema.services.tokens import TokenIssuer
from cinema.settings import Secret, Settings
from cinema.storage.clock import DatabaseClock

KEY = "0123456789abcdef" * 2
ORIGIN = "https://tickets.example"
PATIENCE_S = 10.0
"""How long a test waits for what must come; it never comes to that when all is well."""

UNKNOWN_ID = "019a0c1e-7000-7000-8000-0000000000ff"

PEOPLE = {
    "ada": ("customer", "019a0c1e-7000-7000-8000-000000000001"),
    "bob": ("customer", "019a0c1e-7000-7000-8000-000000000002"),
    "staff": ("staff", "019a0c1e-7000-7000-8000-000000000003"),
    "manager": ("manager", "019a0c1e-7000-7000-8000-000000000004"),
    "admin": ("admin", "019a0c1e-7000-7000-8000-000000000005"),
}
"""Name to role and id; the manager is of the house's only cinema."""


def _row(label: str, category: str, count: int = 8) -> dict[str, Any]:
    seats = [{"number": number, "category": category} for number in range(1, count + 1)]
    return {"label": label, "seats": seats}


LAYOUT = {
    "rows": [
        _row("A", "regular"),
        _row("B", "premium"),
        {
            "label": "C",
            "seats": [
                {"number": 1, "category": "regular", "companion": True},
                {"number": 2, "category": "regular", "accessible": True},
                *_row("C", "regular")["seats"][2:],
            ],
        },
    ]
}
LABELS = [f"{row}{number}" for row in "ABC" for number in range(1, 9)]
BASE_PRICE = {"amount": 1000, "currency": "EUR"}


class Answer(msgspec.Struct):
    """One reply, its envelope checked."""

    status: int
    headers: Mapping[str, str]
    envelope: Any

    @property
    def data(self) -> Any:
        assert self.envelope["success"] is True, self.envelope
        return self.envelope["data"]

    @property
    def error(self) -> tuple[int, str]:
        """Status and code."""
        assert set(self.envelope) == {"success", "error", "request_id"}
        assert set(self.envelope["error"]) == {"code", "message", "details"}
        assert self.envelope["success"] is False
        assert self.envelope["request_id"] == self.headers["X-Request-ID"]
        return self.status, self.envelope["error"]["code"]

    @property
    def details(self) -> Any:
        return self.envelope["error"]["details"]


class Clocks:
    """Both clocks of a node, moved by hand: Postgres time and the time of tokens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0.0
        now_us = DatabaseClock.now_us
        monkeypatch.setattr(
            DatabaseClock, "now_us", lambda clock: now_us(clock) + int(self.ahead_s * 1e6)
        )
        monkeypatch.setattr(
            "cinema.app.time", SimpleNamespace(time=lambda: time.time() + self.ahead_s)
        )

    def now_s(self) -> float:
        """Unix time as tokens see it."""
        return time.time() + self.ahead_s


class House:
    """The node under test, as its clients see it."""

    def __init__(
        self, node: Node, port: int, client: aiohttp.ClientSession, database: asyncpg.Connection
    ) -> None:
        self.node = node
        self.port = port
        self.client = client
        self.database = database
        self.cinema_id = self.movie_id = self.screen_id = ""
        self._tokens = TokenIssuer([KEY.encode()], ttl_s=3600, clock=time.time)
        self._days = itertools.count(1)

    def token(self, person: str, *, role: str | None = None, at_s: float | None = None) -> str:
        """An access token of one of the people."""
        usual_role, user_id = PEOPLE[person]
        raw = parse_id(user_id)
        assert raw is not None
        return self._tokens.issue(
            user_id=raw, role=role or usual_role, session_id=raw, at_s=at_s
        ).text

    async def ask(
        self,
        person: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """A request of one of the people (None: nobody known) below `/api/v1/`."""
        sent = dict(headers or {})
        if person is not None:
            sent["Authorization"] = f"Bearer {self.token(person)}"
        if key is not None:
            sent["Idempotency-Key"] = key
        async with self.client.request(method, path, json=body, headers=sent) as reply:
            raw = await reply.read()
            return Answer(reply.status, reply.headers, msgspec.json.decode(raw) if raw else None)

    async def build(self) -> None:
        """People, a cinema, a film and a screen."""
        await self.database.executemany(
            "insert into users (id, email, email_key, password_hash, role, created_at)"
            " values ($1, $2, $2, 'none', $3, now())",
            [(user_id, f"{name}@example.com", role) for name, (role, user_id) in PEOPLE.items()],
        )
        cinema = {
            "name": "House",
            "city": "Berlin",
            "country": "DE",
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
        }
        film = {"title": "Film", "runtime_minutes": 90}
        self.cinema_id = (await self.ask("admin", "POST", "cinemas", cinema)).data["id"]
        self.movie_id = (await self.ask("admin", "POST", "movies", film)).data["id"]
        self.screen_id = await self.screen(layout=LAYOUT)
        await self.database.execute(
            "insert into cinema_managers (user_id, cinema_id) values ($1, $2)",
            PEOPLE["manager"][1],
            self.cinema_id,
        )

    async def screen(self, **plan: Any) -> str:
        """The id of a new screen with a `layout` or a `grid`."""
        name = f"Screen {next(self._days)}"
        body = {"cinema_id": self.cinema_id, "name": name, **plan}
        return str((await self.ask("admin", "POST", "screens", body)).data["id"])

    async def showtime(
        self,
        *,
        screen_id: str | None = None,
        sales: dict[str, str] | None = None,
        **rules: Any,
    ) -> str:
        """The id of a new showtime; orphans are allowed unless `rules` say otherwise."""
        starts_at = datetime.now(UTC) + timedelta(days=next(self._days))
        body = {
            "movie_id": self.movie_id,
            "screen_id": screen_id or self.screen_id,
            "starts_at": starts_at.isoformat(),
            "base_price": BASE_PRICE,
            "language": "en",
            "rules": {"protect_orphans": False, **rules},
            "sales": sales or {},
        }
        return str((await self.ask("admin", "POST", "showtimes", body)).data["id"])

    async def move(self, showtime_id: str, *, starts_in: timedelta) -> None:
        """Let a showtime nobody has used yet start at another time, and sell until its end."""
        starts_at = datetime.now(UTC) + starts_in
        await self.database.execute(
            "update showtimes set starts_at = $2, ends_at = $3, sales_closes_at = $3,"
            " sales_opens_at = $4, clear_at = $3 where id = $1",
            showtime_id,
            starts_at,
            starts_at + timedelta(hours=2),
            starts_at - timedelta(days=30),
        )

    async def hold(
        self, person: str, showtime_id: str, *seats: str, key: str | None = None
    ) -> Answer:
        """An attempt to hold the named seats."""
        return await self.ask(
            person, "POST", f"showtimes/{showtime_id}/holds", {"seats": list(seats)}, key=key
        )

    async def held(self, person: str, showtime_id: str, *seats: str) -> str:
        """The id of a hold that must succeed."""
        return str((await self.hold(person, showtime_id, *seats)).data["hold_id"])

    async def book(
        self,
        person: str,
        showtime_id: str,
        hold_id: str,
        *,
        method: str = "demo",
        key: str | None = None,
    ) -> Answer:
        """An attempt to book a hold."""
        body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": {"method": method}}
        return await self.ask(person, "POST", "bookings", body, key=key)

    async def booked(self, person: str, showtime_id: str, *seats: str) -> str:
        """The id of a booking that must succeed."""
        hold_id = await self.held(person, showtime_id, *seats)
        return str((await self.book(person, showtime_id, hold_id)).data["id"])

    async def statuses(self, showtime_id: str, person: str | None = None) -> dict[str, str]:
        """What is not available, as the seat map says."""
        seats = (await self.ask(person, "GET", f"showtimes/{showtime_id}/seats")).data["seats"]
        return {one["label"]: one["status"] for one in seats if one["status"] != "available"}

    def narrow(self) -> None:
        """Let connections from here on keep little in the system's buffers on our side."""
        for listener in self.node.edge._listeners:
            listener.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Ask the server for something simple until something else holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.ask(None, "GET", "movies?limit=1")


@asynccontextmanager
async def open_house(
    database: str, *, like: House | None = None, **settings: Any
) -> AsyncIterator[House]:
    """A node with `settings`; nothing may have gone wrong inside.

    Its database is empty, or the one of `like`.
    """
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder, _nothing_wrong():
        sink = LogSink(log.fileno())
        chosen = Settings(
            **{
                "database_url": Secret(database),
                "data_dir": Path(folder),
                "jwt_secret_key": Secret(KEY),
                "bcrypt_cost": 10,
                "demo_data": False,
                "allowed_origins": (ORIGIN,),
                "watch_coalesce_ms": 5,
                **settings,
            }
        )
        connection = await asyncpg.connect(database)
        try:
            async with running_node(chosen, sink) as node:
                port = await node.edge.start("127.0.0.1", 0)
                async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/api/v1/") as client:
                    house = House(node, port, client, connection)
                    if like is None:
                        await house.build()
                    yield house
                async with asyncio.timeout(PATIENCE_S):
                    await node.stop(1.0)
        finally:
            sink.close()
            await connection.close()


@contextmanager
def _nothing_wrong() -> Iterator[None]:
    """Fail at the end if anything was logged as an error, by us or by a library."""
    troubles: list[Any] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = troubles.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        with structlog.testing.capture_logs() as events:
            yield
    finally:
        logging.getLogger().removeHandler(handler)
    troubles += [event for event in events if event["log_level"] in {"error", "critical"}]
    assert not troubles, "\n".join(str(trouble) for trouble in troubles)
