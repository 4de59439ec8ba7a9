"""A guest's booking on a real server that is killed before the mail is written."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.e2e.api.guests import mail_to, mails, text_of, token_of
from tests.support.server_process import ServerProcess

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 30.0
EMAIL = "ada@example.com"


async def test_mail_of_a_guest_survives_a_kill_and_its_token_is_in_no_log(
    tmp_path: Path, database: str
) -> None:
    """Takes 10 s: two starts of a node, which cannot be killed in any other way."""
    data = tmp_path / "data"
    server = ServerProcess(data, DATABASE_URL=database, LOG_LEVEL="info")
    connection = await asyncpg.connect(database)
    try:
        await server.start()
        async with connection.transaction():
            # Nobody can put a mail into the post while this lasts.
            await connection.execute("lock table messages in share row exclusive mode")
            booking = await _booked(server)
            server.send(signal.SIGKILL)
            await server.ended()
        assert await connection.fetchval("select count(*) from messages") == 0
        await connection.execute("update guest_orders set next_try_at = now()")
        await server.start()
        async with asyncio.timeout(PATIENCE_S):
            header = token_of(await mail_to(data / "mailbox", EMAIL))
        assert len([one for one in mails(data / "mailbox") if "#token=" in text_of(one)]) == 1
        async with aiohttp.ClientSession(headers=header) as session:
            url = f"{server.url}/api/v1/orders/{booking['id']}"
            async with session.get(url) as answer:
                assert (await answer.json())["data"] == booking
            async with session.delete(url, headers={"Referer": url}) as answer:
                assert (await answer.json())["data"]["status"] == "cancelled"
        await server.stop()
        log = server.log()
        assert "/api/v1/orders/{booking_id}" in log
        assert header["Link-Token"] not in log
        assert EMAIL not in log
    finally:
        await connection.close()
        await server.stop()


async def _booked(server: ServerProcess) -> Any:
    """A booking of a guest."""
    async with aiohttp.ClientSession(f"{server.url}/api/v1/") as session:

        async def ask(method: str, path: str, **body: Any) -> Any:
            async with session.request(method, path, json=body or None) as answer:
                envelope = await answer.json()
                assert answer.status < 300, envelope
                return envelope["data"]

        token = (await ask("POST", "auth/guest"))["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        (showtime,) = await ask("GET", "showtimes?limit=1")
        held = await ask(
            *("POST", f"showtimes/{showtime['id']}/holds"), best_available={"quantity": 2}
        )
        return await ask(
            "POST",
            "bookings",
            showtime_id=showtime["id"],
            hold_id=held["hold_id"],
            payment={"method": "demo"},
            email=EMAIL,
        )
