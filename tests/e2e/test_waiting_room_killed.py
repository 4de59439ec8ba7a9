"""A node that is killed in the middle of a round: nobody loses a place, or gets one twice."""

from __future__ import annotations

import asyncio
import signal
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from cinema.features.waitingroom.rules import shuffled
from tests.support.server_process import ServerProcess, running
from tests.support.staffed_house import Badges, build_showtimes, open_account
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 180.0
"""It never comes to that when all is well; the server starts twice."""

CLIENTS = 40

_ROUND_WAITS = """
select exists (
    select from pg_stat_activity
    where wait_event_type = 'Lock' and query like '%update waiting_places place set number%'
)"""
_PLACES = "select id, number, state from waiting_places order by number nulls last, arrival"


class Clients:
    """Whoever asks the server."""

    def __init__(self, server: ServerProcess, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self._badges = Badges()
        self.admin = uuid.uuid4()
        self.showtime_id = ""

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        return await self._send(method, path, body, self._badges.header(self.admin, "admin"))

    async def queue(self, method: str, body: Any = None) -> Any:
        """The waiting room, to somebody nobody knows."""
        return await self._send(method, f"showtimes/{self.showtime_id}/queue", body, {})

    async def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        address = f"{self._server.url}/api/v1/{path}"
        async with self._session.request(method, address, json=body, headers=headers) as reply:
            answer = await reply.json()
            assert answer["success"], answer
            return answer["data"]

    async def build(self, database: asyncpg.Connection[asyncpg.Record]) -> None:
        await open_account(database, self.admin, "admin", "admin@example.org")
        _, self.showtime_id = await build_showtimes(self.ask, 3)


async def until(database: asyncpg.Connection[asyncpg.Record], question: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await database.fetchval(question):
            await look_again()


async def test_a_node_killed_in_the_middle_of_a_round_loses_no_place(
    tmp_path: Path, database: str
) -> None:
    """The shuffle waits for a lock when its node dies; the next node does it by the same seed."""
    server = ServerProcess(
        tmp_path / "data", DATABASE_URL=database, DEMO_DATA="false", ENCRYPTION_KEYS="ab" * 32
    )
    async with running(server), aiohttp.ClientSession() as session:
        clients = Clients(server, session)
        watching, locking = await asyncpg.connect(database), await asyncpg.connect(database)
        try:
            await clients.build(watching)
            start = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            room = {"mode": "on", "starts_at": start, "shoppers": 10}
            opened = await clients.ask("PUT", f"showtimes/{clients.showtime_id}/queue", room)
            bodies = [{"device_secret": f"{number:022}"} for number in range(CLIENTS)]
            joined = await asyncio.gather(*(clients.queue("POST", body) for body in bodies))
            places = [uuid.UUID(one["place"]["id"]) for one in joined]
            async with locking.transaction():
                await locking.execute("select from waiting_places for update")
                await watching.execute("update waiting_rooms set starts_at = now()")
                await until(watching, _ROUND_WAITS)
                server.send(signal.SIGKILL)
                await server.ended()
            assert await watching.fetchval("select count(*) = $1 from waiting_places", CLIENTS)
            await server.start()
            await until(
                watching, "select count(*) = 10 from waiting_places where state = 'admitted'"
            )
            rows = await watching.fetch(_PLACES)
            async with asyncio.timeout(PATIENCE_S):
                # The node shows what it has done once it knows that it is stored.
                while (seen := await clients.queue("GET"))["seed"] is None:
                    pass
            assert seen["commitment"] == opened["commitment"]
            assert [row["id"] for row in rows] == shuffled(bytes.fromhex(seen["seed"]), places)
            assert [row["number"] for row in rows] == list(range(1, CLIENTS + 1))
            assert [row["state"] for row in rows] == ["admitted"] * 10 + ["waiting"] * 30
            again = await clients.queue("POST", bodies[0])
            assert again["place"]["id"] == joined[0]["place"]["id"]
        finally:
            await watching.close()
            await locking.close()
