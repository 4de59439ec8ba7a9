"""Webhooks of a real server that is killed: before an event is told, and while it is sent."""

from __future__ import annotations

import asyncio
import base64
import signal
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from aiohttp import web

from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.webhooks.rules import shown_secret
from cinema.features.webhooks.shapes import Webhook
from cinema.features.webhooks.store import WebhooksRepository
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.encryption import Cipher
from tests.support.receivers import Received, receiver
from tests.support.server_process import ServerProcess
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 30.0
KEY, SECRET = b"k" * 32, b"s" * 32
BOOKING = UUID(int=7)


async def add_webhook(database: str, url: str) -> None:
    """As an admin does it."""
    pool = await open_pool(database, size=1)
    now = datetime.now(UTC)
    webhook = Webhook(
        id=uuid4(),
        url=url,
        description="",
        types=[],
        cinema_id=None,
        enabled=True,
        disabled_at=None,
        disabled_reason=None,
        failing_since=None,
        last_error=None,
        last_delivered_at=None,
        previous_secret_until=None,
        created_at=now,
    )
    act = Act(by=None, at=now, client=Client("", "", ""), entry_id=uuid4())
    await WebhooksRepository(pool, Cipher([KEY])).add(webhook, SECRET, act, None)
    await close_pool(pool)


async def confirm(connection: asyncpg.Connection[asyncpg.Record], seq: int) -> None:
    """What the event of a booking writes."""
    payload = {"booking_id": str(BOOKING), "seats": ["A1"], "total_minor": 1, "currency": "EUR"}
    await connection.execute(
        "insert into outbox (showtime_id, seq, kind, payload)"
        " values ($1, $2, 'booking.confirmed', $3)",
        *(UUID(int=1), seq, msgspec.json.encode(payload).decode()),
    )


async def test_what_was_not_told_or_not_acknowledged_at_a_kill_comes_in_order(
    tmp_path: Path, database: str
) -> None:
    """Takes 10 s: two starts of a node, which cannot be killed in any other way."""
    async with receiver() as partner:
        server = ServerProcess(
            tmp_path / "data",
            DATABASE_URL=database,
            DEMO_DATA="false",
            ENCRYPTION_KEYS=base64.b64encode(KEY).decode(),
            WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
        )
        connection = await asyncpg.connect(database)
        try:
            await server.start()
            await add_webhook(database, partner.url)

            def kill(_received: Received) -> web.Response:
                """The event is taken, and whoever sent it never hears of it."""
                server.send(signal.SIGKILL)
                return web.Response(status=204)

            partner.answer = kill
            await confirm(connection, 1)
            await partner.until(1, PATIENCE_S)
            await server.ended()
            delivery = "select status, attempts from webhook_deliveries"
            assert tuple(await connection.fetchrow(delivery) or ()) == ("waiting", 1)
            # What happens while nobody is there to tell it waits in the outbox.
            await confirm(connection, 2)
            partner.answer = lambda _: web.Response(status=204)
            await server.start()
            # The claim of the process that died ends in a minute.
            await connection.execute(
                "update webhook_deliveries set next_try_at = now(), claimed_until = now()"
            )
            first, second, third = await partner.until(3, PATIENCE_S)
            async with asyncio.timeout(PATIENCE_S):
                while await connection.fetchval(
                    "select exists (select from webhook_deliveries where status <> 'delivered')"
                ):
                    await look_again()
        finally:
            await connection.close()
            await server.stop()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    events = [one.verified(shown_secret(SECRET)) for one in (first, second, third)]
    assert [one["sequence"] for one in events] == [1, 1, 2]
    assert len(partner.received) == 3
