"""Sets the stage: customers, and through the API a screen of any size and showtimes to fill."""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

import asyncpg
import msgspec

from benchmarks.load.batch import send_all, send_one
from benchmarks.load.http import format_request
from benchmarks.postgres import Postgres
from benchmarks.server import HOST
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer

SLOT = timedelta(minutes=45)
"""A film of one minute with its advertisements and the cleaning fits into this."""

TOKENS_LIVE_S = 36_000
"""Longer than any run."""

RULES = {
    # Limits that a benchmark's few customers would hit at once.
    "live_holds_per_customer": 50_000,
    "hold_ttl_s": 3600,
    "hold_max_s": 3600,
    # A generator takes seats in any order.
    "protect_orphans": False,
}

# Registration takes a password's hash each, and one address may open only a few accounts.
OPEN_ACCOUNTS = """
WITH account AS (
    INSERT INTO users (id, email, email_key, password_hash, role, created_at)
    SELECT id, id || '@example.org', id || '@example.org', 'none', $2, now()
    FROM unnest($1::uuid[]) AS one (id)
)
INSERT INTO sessions (id, user_id, created_at, expires_at)
SELECT id, id, now(), now() + make_interval(secs => $3) FROM unnest($1::uuid[]) AS one (id)
"""


class _Envelope(msgspec.Struct):
    data: dict[str, Any]


class Screen(msgspec.Struct, kw_only=True):
    """A screen, its seats, and when its next showtime may start."""

    id: str
    labels: list[str]
    next_start: datetime


class Premises(Protocol):
    """What a house needs of a server or a cluster."""

    @property
    def port(self) -> int:
        """Where to send requests."""

    @property
    def postgres(self) -> Postgres:
        """Its database."""

    @property
    def jwt_secret(self) -> str:
        """What it signs tokens with."""


class House:
    """A cinema of the server under test."""

    def __init__(self, server: Premises) -> None:
        self._port = server.port
        self._admin = ""
        self._cinema = ""
        self._movie = ""
        self.tokens: list[str] = []

    @classmethod
    async def open(cls, server: Premises, customers: int) -> Self:
        """Open accounts of an admin and of customers, and a cinema with one film."""
        house = cls(server)
        connection = await asyncpg.connect(server.postgres.dsn)
        try:
            (house._admin,) = await _open_accounts(connection, server.jwt_secret, "admin", 1)
            house.tokens = await _open_accounts(
                connection, server.jwt_secret, "customer", customers
            )
        finally:
            await connection.close()
        house._cinema = (
            await house._post(
                "/cinemas",
                {
                    "name": "Benchmark",
                    "city": "Berlin",
                    "country": "DE",
                    "time_zone": "Europe/Berlin",
                    "currency": "EUR",
                },
            )
        )["id"]
        house._movie = (
            await house._post("/movies", {"title": "L'Arroseur arrosé", "runtime_minutes": 1})
        )["id"]
        return house

    async def screen(self, name: str, rows: int, columns: int) -> Screen:
        """A new screen with rows times columns seats."""
        body = {
            "cinema_id": self._cinema,
            "name": name,
            "grid": {"rows": rows, "columns": columns},
        }
        screen_id = (await self._post("/screens", body))["id"]
        data = await self._get(f"/screens/{screen_id}/layout")
        labels = [
            f"{row['label']}{seat['number']}"
            for row in data["layout"]["rows"]
            for seat in row["seats"]
        ]
        tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        return Screen(id=screen_id, labels=labels, next_start=tomorrow)

    async def showtimes(
        self, screen: Screen, count: int, rules: Mapping[str, Any] = RULES
    ) -> list[str]:
        """That many new showtimes on a screen, on sale already."""
        opens_at = datetime.now(UTC) - timedelta(days=1)
        bodies = []
        for _ in range(count):
            bodies.append(
                {
                    "movie_id": self._movie,
                    "screen_id": screen.id,
                    "starts_at": screen.next_start,
                    "base_price": {"amount": 1250, "currency": "EUR"},
                    "language": "fr",
                    "sales": {"opens_at": opens_at},
                    "rules": rules,
                }
            )
            screen.next_start += SLOT
        answers = await send_all(
            HOST,
            self._port,
            (self._request("POST", "/showtimes", body) for body in bodies),
            connections=min(8, count),
        )
        return [_data(answer)["id"] for answer in answers]

    async def promo(self, code: str, uses: int) -> None:
        """A new promo code that takes one euro off so many bookings."""
        body = {
            "code": code,
            "discount": {"kind": "amount", "value": 100},
            "currency": "EUR",
            "max_uses": uses,
        }
        await self._post("/pricing/promocodes", body)

    async def waiting_room(self, showtime: str, room: Mapping[str, Any]) -> dict[str, Any]:
        """Open the waiting room of a showtime."""
        request = self._request("PUT", f"/showtimes/{showtime}/queue", room)
        return _data(await send_one(HOST, self._port, request))

    async def scanner(self, name: str) -> str:
        """The token of a new scanner."""
        made = await self._post(f"/cinemas/{self._cinema}/scanners", {"name": name})
        return str(made["token"])

    async def change(self, showtime: str, price_minor: int) -> None:
        """Another price for a showtime; everything else stays."""
        path = f"/showtimes/{showtime}"
        before = await self._get(path)
        body = {
            "movie_id": before["movie_id"],
            "screen_id": before["screen_id"],
            "starts_at": before["starts_at"],
            "base_price": {"amount": price_minor, "currency": "EUR"},
            "language": before["language"],
            "sales": {"opens_at": before["sales"]["opens_at"]},
            "rules": before["rules"],
        }
        headers = {"If-Match": f'"{before["version"]}"'}
        await send_one(HOST, self._port, self._request("PUT", path, body, headers))

    def reading(self, path: str) -> bytes:
        """A request of the admin for what is at a path."""
        return self._request("GET", path)

    async def _post(self, path: str, body: object) -> dict[str, Any]:
        return _data(await send_one(HOST, self._port, self._request("POST", path, body)))

    async def _get(self, path: str) -> dict[str, Any]:
        return _data(await send_one(HOST, self._port, self._request("GET", path)))

    def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        return format_request(
            method,
            f"/api/v1{path}",
            host=f"{HOST}:{self._port}",
            token=self._admin or None,
            body=b"" if body is None else msgspec.json.encode(body),
            headers=headers,
        )


async def _open_accounts(
    connection: asyncpg.Connection, secret: str, role: str, number: int
) -> list[str]:
    """Access tokens of as many new accounts."""
    people = [uuid.uuid4() for _ in range(number)]
    await connection.execute(OPEN_ACCOUNTS, people, role, TOKENS_LIVE_S)
    issuer = TokenIssuer(SigningKeys([secret.encode()]), ttl_s=TOKENS_LIVE_S, clock=time.time)
    return [issuer.issue(user_id=one.bytes, role=role, session_id=one.bytes).text for one in people]


def _data(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=_Envelope).data
