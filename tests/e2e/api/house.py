"""A whole node on a real Postgres, with one small screen and one person per role."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import aiohttp
import asyncpg
import msgspec
import structlog

from cinema.app.node import Node, running_node
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer
from cinema.settings import Secret, Settings
from cinema.storage.journal.clock import DatabaseClock
from cinema.telemetry.logging import LogSink
from tests.support import inspection
from tests.support.waiting import look_again

KEY = "0123456789abcdef" * 2
ORIGIN = "https://tickets.example"
PATIENCE_S = 10.0
"""How long a test waits for what must come; it never comes to that when all is well."""

TIME_ZONE = "Europe/Berlin"
DAY_BEGINS_AT = 6
"""Where a house is, and the hour at which its business days begin."""

LONGEST_TEST = timedelta(minutes=15)
"""Longer than any test of one house takes."""

UNKNOWN_ID = "019a0c1e-7000-7000-8000-0000000000ff"

ROLES = {
    "ada": "customer",
    "bob": "customer",
    "staff": "staff",
    "manager": "manager",
    "admin": "admin",
    "staff elsewhere": "staff",
    "manager elsewhere": "manager",
    "guest": "guest",
}
"""The people of a house by name; staff and managers are of its only cinema unless `elsewhere`.

All but the guest have accounts.
"""

GUEST_EMAIL = "guest@example.com"


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

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.database = _MovedClock(self)

    def now_s(self) -> float:
        """Unix time as tokens see it."""
        return time.time() + self.ahead_s

    def end_the_day_that_ends_soon(self) -> None:
        """Move on if a business day of a house would end while a test runs."""
        local = datetime.fromtimestamp(self.now_s(), ZoneInfo(TIME_ZONE))
        begins = local.replace(hour=DAY_BEGINS_AT, minute=0, second=0, microsecond=0)
        left = begins - local
        if timedelta(0) < left <= LONGEST_TEST:
            self.ahead_s += left.total_seconds() + 1.0

    def business_day(self) -> date:
        """The day of a house: what happens at night belongs to the evening before."""
        local = datetime.fromtimestamp(self.now_s(), ZoneInfo(TIME_ZONE))
        return (local - timedelta(hours=DAY_BEGINS_AT)).date()


class _MovedClock(DatabaseClock):
    """Postgres time, ahead by what `clocks` say."""

    def __init__(self, clocks: Clocks) -> None:
        super().__init__()
        self._clocks = clocks

    def now_us(self) -> int:
        return super().now_us() + int(self._clocks.ahead_s * 1e6)


class Site(NamedTuple):
    """A running node, and ways to it."""

    node: Node
    port: int
    client: aiohttp.ClientSession
    address: str
    database: asyncpg.Connection
    stopping: asyncio.Event
    clocks: Clocks


class House:
    """Eight people and a cinema with one screen, as clients of a node see it.

    Several houses may stand on one site and know nothing of each other.
    """

    def __init__(self, site: Site) -> None:
        self.node = site.node
        self.port = site.port
        self.clocks = site.clocks
        self.client = site.client
        self.address = site.address
        self.database = site.database
        self.people = {name: str(uuid.uuid4()) for name in ROLES}
        self._tills: set[str] = set()
        self.cinema_id = self.movie_id = self.screen_id = ""
        # By the node's clock: people whose token ends as time goes by sign in again.
        self._tokens = TokenIssuer(SigningKeys([KEY.encode()]), ttl_s=3600, clock=site.clocks.now_s)
        self._days = itertools.count(1)

    def token(self, person: str, *, at_s: float | None = None) -> str:
        """An access token of one of the people."""
        user_id = uuid.UUID(self.people[person]).bytes
        return self._tokens.issue(
            user_id=user_id, role=ROLES[person], session_id=user_id, at_s=at_s
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
            is_json = raw and reply.content_type == "application/json"
            return Answer(
                reply.status, reply.headers, msgspec.json.decode(raw) if is_json else None
            )

    async def build(self) -> None:
        """People, a cinema, a film and a screen."""
        await self.database.executemany(
            "insert into users (id, email, email_key, password_hash, role, created_at)"
            " values ($1, $2, $2, 'none', $3, now())",
            [
                (user_id, f"{user_id}@example.com", ROLES[name])
                for name, user_id in self.people.items()
                if name != "guest"
            ],
        )
        await self.database.execute(
            "insert into guests (id, created_at, expires_at)"
            " values ($1, now(), now() + interval '1 day')",
            self.people["guest"],
        )
        await self.database.execute(
            "insert into sessions (id, user_id, created_at, expires_at)"
            " select id, id, now(), now() + interval '1 day' from users where id = any($1)",
            list(self.people.values()),
        )
        cinema = {
            "name": "House",
            "city": "Berlin",
            "country": "DE",
            "time_zone": TIME_ZONE,
            "currency": "EUR",
        }
        film = {"title": "Film", "runtime_minutes": 90}
        self.cinema_id = (await self.ask("admin", "POST", "cinemas", cinema)).data["id"]
        self.movie_id = (await self.ask("admin", "POST", "movies", film)).data["id"]
        self.screen_id = await self.screen(layout=LAYOUT)
        await self.database.execute(
            "insert into cinema_managers (user_id, cinema_id) values ($1, $3), ($2, $3)",
            self.people["manager"],
            self.people["staff"],
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
        movie_id: str | None = None,
        sales: dict[str, str] | None = None,
        **rules: Any,
    ) -> str:
        """The id of a new showtime; orphans are allowed unless `rules` say otherwise."""
        starts_at = datetime.now(UTC) + timedelta(days=next(self._days))
        body = {
            "movie_id": movie_id or self.movie_id,
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
        **payment: str,
    ) -> Answer:
        """An attempt to book a hold."""
        body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id}
        body["payment"] = {"method": method, **payment}
        if person == "guest":
            body["email"] = GUEST_EMAIL
        return await self.ask(person, "POST", "bookings", body, key=key)

    async def till(self, *people: str) -> None:
        """Let people have an open cash session, if they have none."""
        wanted = [one for one in people if one not in self._tills]
        self._tills |= set(people)
        if not wanted:
            return
        await self.database.executemany(
            "insert into cash_sessions (id, cinema_id, business_date, till, currency,"
            " opening_minor, opened_at, opened_by)"
            " values (gen_random_uuid(), $1, current_date, $2, 'EUR', 0, now(), $3)"
            " on conflict do nothing",
            [(self.cinema_id, f"Till of {one}", self.people[one]) for one in wanted],
        )

    async def booked(self, person: str, showtime_id: str, *seats: str) -> str:
        """The id of a booking that must succeed."""
        hold_id = await self.held(person, showtime_id, *seats)
        return str((await self.book(person, showtime_id, hold_id)).data["id"])

    async def job(self, person: str) -> str:
        """The id of a job of somebody, of a kind that no node knows."""
        job_id = str(uuid.uuid4())
        await self.database.execute(
            "insert into jobs (id, kind, owner_id, due_at, created_at, updated_at)"
            " values ($1, 'unknown', $2, now(), now(), now())",
            job_id,
            self.people[person],
        )
        return job_id

    async def statuses(self, showtime_id: str, person: str | None = None) -> dict[str, str]:
        """What is not available, as the seat map says."""
        seats = (await self.ask(person, "GET", f"showtimes/{showtime_id}/seats")).data["seats"]
        return {one["label"]: one["status"] for one in seats if one["status"] != "available"}

    def narrow(self) -> None:
        """Let connections from here on keep little in the system's buffers on our side."""
        for one in inspection.listening_sockets(self.node.edge):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Ask the server for something simple until something else holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await look_again()


@asynccontextmanager
async def open_house(
    address: str, *, clocks: Clocks | None = None, **settings: Any
) -> AsyncIterator[House]:
    """A house on a site of its own."""
    with nothing_wrong():
        async with open_site(address, clocks=clocks, **settings) as site:
            house = House(site)
            await house.build()
            yield house


@asynccontextmanager
async def open_site(
    address: str, *, clocks: Clocks | None = None, **settings: Any
) -> AsyncIterator[Site]:
    """A node with `settings` on the database at `address`, that goes by `clocks`."""
    clocks = clocks or Clocks()
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        sink = LogSink(log.fileno())
        chosen = Settings(
            **{
                "database_url": Secret(address),
                "data_dir": Path(folder),
                "jwt_secret_key": Secret(KEY),
                "encryption_keys": Secret("ab" * 32),
                "ticket_signing_keys": Secret("cd" * 32),
                "bcrypt_cost": 10,
                "demo_data": False,
                "demo_past": False,
                "allowed_origins": (ORIGIN,),
                "watch_coalesce_ms": 5,
                "registrations_per_hour_per_address": 1000,
                "guests_per_hour_per_address": 1000,
                "guest_bookings_per_hour_per_email": 1000,
                # A machine that is busy with other tests commits slowly at times.
                "overloaded_after_ms": 4000,
                # What is too much has tests of its own; the others hammer with one person.
                "writes_per_minute_per_user": 1_000_000,
                "holds_per_second_per_user": 1_000_000,
                "holds_per_second_per_address": 1_000_000,
                "unpaid_seats_per_unverified": 1_000_000,
                "gift_card_looks_per_minute": 1_000_000,
                "gift_card_orders_per_hour": 1_000_000,
                **settings,
            }
        )
        database = await asyncpg.connect(address)
        try:
            stopping = asyncio.Event()
            async with running_node(
                chosen, sink, stopping, clock=clocks.database, unix_s=clocks.now_s
            ) as node:
                port = await node.edge.start("127.0.0.1", 0)
                async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/api/v1/") as client:
                    yield Site(node, port, client, address, database, stopping, clocks)
                async with asyncio.timeout(PATIENCE_S):
                    await node.stop(1.0)
        finally:
            sink.close()
            await database.close()


@contextmanager
def nothing_wrong() -> Iterator[None]:
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
