"""Sets the stage through the API: customers, a screen of any size, showtimes to fill."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

import asyncpg
import msgspec

from benchmarks.load.batch import send_all, send_one
from benchmarks.load.http import format_request
from benchmarks.postgres import Postgres
from benchmarks.server import HOST

PASSWORD = "a stage for benchmarks"

SLOT = timedelta(minutes=45)
"""A film of one minute with its advertisements and the cleaning fits into this."""

REGISTRATIONS_AT_ONCE = 8

RULES = {
    # Limits that a benchmark's few customers would hit at once.
    "live_holds_per_customer": 50_000,
    "hold_ttl_s": 3600,
    "hold_max_s": 3600,
    # A generator takes seats in any order.
    "protect_orphans": False,
}

PROMOTE = "UPDATE users SET role = 'admin' WHERE email = $1"


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
        """Register an admin and customers, and open a cinema with one film."""
        house = cls(server)
        await house._post("/auth/register", _account("admin@example.org"))
        connection = await asyncpg.connect(server.postgres.dsn)
        try:
            await connection.execute(PROMOTE, "admin@example.org")
        finally:
            await connection.close()
        house._admin = (await house._post("/auth/login", _account("admin@example.org")))[
            "access_token"
        ]
        house.tokens = await house._register(customers)
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

    async def _register(self, customers: int) -> list[str]:
        requests = (
            self._request("POST", "/auth/register", _account(f"customer{number}@example.org"))
            for number in range(customers)
        )
        answers = await send_all(
            HOST, self._port, requests, connections=min(REGISTRATIONS_AT_ONCE, customers)
        )
        return [_data(answer)["access_token"] for answer in answers]

    async def _post(self, path: str, body: object) -> dict[str, Any]:
        return _data(await send_one(HOST, self._port, self._request("POST", path, body)))

    async def _get(self, path: str) -> dict[str, Any]:
        return _data(await send_one(HOST, self._port, self._request("GET", path)))

    def _request(self, method: str, path: str, body: object = None) -> bytes:
        return format_request(
            method,
            f"/api/v1{path}",
            host=f"{HOST}:{self._port}",
            token=self._admin or None,
            body=b"" if body is None else msgspec.json.encode(body),
        )


def _account(email: str) -> dict[str, str]:
    return {"email": email, "password": PASSWORD}


def _data(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=_Envelope).data
