"""A rush on one showtime, while nodes of three are killed: each seat is sold once, in the order."""

from __future__ import annotations

import asyncio
import secrets
import signal
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from cinema.features.waitingroom.rules import shuffled
from tests.support.local_cluster import LocalCluster
from tests.support.server_process import POLL_S, embedded_dsn
from tests.support.staffed_house import Badges, build_showtimes, open_account

pytestmark = [pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 240.0
"""It never comes to that when all is well; nodes start again twice."""

CLIENTS, ROWS, COLUMNS, SHOPPERS = 40, 3, 8, 6
SEATS = ROWS * COLUMNS
KILLED_AT = (SEATS // 4, SEATS // 2)
"""With so many bookings a node is killed."""

_PLACES = "select id, number, state from waiting_places order by number"


class Rush:
    """Clients of one showtime, who ask again whatever happens to the node that they have asked."""

    def __init__(self, cluster: LocalCluster, session: aiohttp.ClientSession) -> None:
        self._cluster = cluster
        self._session = session
        self._badges = Badges()
        self.admin = uuid.uuid4()
        self.people = [uuid.uuid4() for _ in range(CLIENTS)]
        self.showtime_id = ""
        self.places: list[uuid.UUID] = []
        self.booked: dict[uuid.UUID, str] = {}
        self.most_inside = 0
        self.sold = asyncio.Event()
        self.reached = {count: asyncio.Event() for count in KILLED_AT}

    async def ask(
        self, person: uuid.UUID, method: str, path: str, body: Any = None
    ) -> tuple[int, Any]:
        """An answer of any node, under one key however often it takes."""
        role = "admin" if person == self.admin else "customer"
        key = {"Idempotency-Key": secrets.token_hex(8)}
        headers = {**self._badges.header(person, role), **key}
        address = f"{self._cluster.url}/api/v1/{path}"
        while True:
            try:
                async with self._session.request(
                    method, address, json=body, headers=headers
                ) as reply:
                    answer = await reply.json()
                    if reply.status < 500 and reply.status != 429:
                        return reply.status, answer.get("data") or answer.get("error")
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                pass
            await asyncio.sleep(POLL_S)

    async def build(self, database: asyncpg.Connection[asyncpg.Record]) -> None:
        for number, person in enumerate([self.admin, *self.people]):
            role = "customer" if number else "admin"
            await open_account(database, person, role, f"{number}@example.org")

        async def ask(method: str, path: str, body: Any) -> Any:
            _, made = await self.ask(self.admin, method, path, body)
            return made

        _, self.showtime_id = await build_showtimes(ask, 3, rows=ROWS, columns=COLUMNS)

    async def queue(self, person: uuid.UUID, path: str, body: Any) -> tuple[int, Any]:
        """An answer of a node that knows the room: others than the one that opened it do later."""
        while True:
            status, room = await self.ask(
                person, "POST", f"showtimes/{self.showtime_id}/queue{path}", body
            )
            if status != 409 or room["code"] != "QUEUE_CLOSED":
                return status, room

    async def join(self, person: uuid.UUID) -> str:
        status, room = await self.queue(person, "", {})
        assert status == 201, room
        self.places.append(uuid.UUID(room["place"]["id"]))
        return str(room["place"]["token"])

    async def buy(self, person: uuid.UUID, token: str) -> None:
        """Wait for the turn, go in, hold a seat and book it."""
        path = f"showtimes/{self.showtime_id}"
        while True:
            _, room = await self.ask(person, "GET", f"{path}/queue?token={token}")
            self.most_inside = max(self.most_inside, room["shopping"])
            # Another node than the one that opened the room knows it a second later.
            if room["place"] is not None and room["place"]["status"] != "waiting":
                break
            if self.sold.is_set():
                return
        status, inside = await self.queue(person, "/entry", {"token": token})
        assert status == 200, inside
        wish = {"best_available": {"quantity": 1}}
        status, held = await self.ask(person, "POST", f"{path}/holds", wish)
        assert status == 201, held
        body = {"showtime_id": self.showtime_id, "hold_id": held["hold_id"]}
        body["payment"] = {"method": "demo"}
        status, booking = await self.ask(person, "POST", "bookings", body)
        assert status == 201, booking
        self.booked[person] = booking["seats"][0]["label"]
        for count, reached in self.reached.items():
            if len(self.booked) >= count:
                reached.set()
        if len(self.booked) == SEATS:
            self.sold.set()

    async def kill_nodes(self) -> None:
        """One after the other, each when so much is sold."""
        for reached in self.reached.values():
            await reached.wait()
            victim = self._cluster.nodes()[0]
            victim.send_signal(signal.SIGKILL)
            await asyncio.to_thread(victim.wait)


async def test_all_seats_are_sold_once_and_in_the_order_of_the_seed(tmp_path: Path) -> None:
    settings = {"DEMO_DATA": "false", "ENCRYPTION_KEYS": "ab" * 32}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        LocalCluster(tmp_path / "data", nodes=3, **settings) as three,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        rush = Rush(three, session)
        watching = await asyncpg.connect(embedded_dsn(three.folder))
        try:
            await rush.build(watching)
            start = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            room = {"mode": "on", "starts_at": start, "shoppers": SHOPPERS}
            room |= {"entry_seconds": 900, "shopping_seconds": 3600, "places_per_address": 1000}
            path = f"showtimes/{rush.showtime_id}/queue"
            _, opened = await rush.ask(rush.admin, "PUT", path, room)
            async with asyncio.timeout(PATIENCE_S):
                tokens = await asyncio.gather(*(rush.join(person) for person in rush.people))
            await watching.execute("update waiting_rooms set starts_at = now()")
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(
                    rush.kill_nodes(),
                    *(rush.buy(*one) for one in zip(rush.people, tokens, strict=True)),
                )
            seats = await watching.fetch("select seat from booking_seats where live")
            assert sorted(rush.booked.values()) == sorted(row[0] for row in seats)
            assert len(set(rush.booked.values())) == SEATS
            buyers = await watching.fetchval("select count(distinct user_id) from bookings")
            assert buyers == await watching.fetchval("select count(*) from bookings") == SEATS
            assert rush.most_inside <= SHOPPERS
            _, seen = await rush.ask(rush.admin, "GET", path)
            assert seen["commitment"] == opened["commitment"]
            rows = await watching.fetch(_PLACES)
            order = shuffled(bytes.fromhex(seen["seed"]), rush.places)
            assert [row["id"] for row in rows] == order
            # Nobody was called before somebody in front of them.
            waiting = [row["number"] for row in rows if row["state"] == "waiting"]
            called = [row["number"] for row in rows if row["state"] != "waiting"]
            assert not waiting or max(called) < min(waiting)
        finally:
            await watching.close()
