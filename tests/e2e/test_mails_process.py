"""Mails of a real server: one that is killed while it sends, and one without a mail server."""

from __future__ import annotations

import asyncio
import signal
from email import message_from_bytes, policy
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.support.mail_server import HOST, mail_server
from tests.support.server_process import ServerProcess
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 30.0


async def _register(server: ServerProcess) -> None:
    account = {"email": "Ada@example.com", "password": "correct horse battery"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/api/v1/auth/register", json=account) as answer,
    ):
        assert answer.status == 201, await answer.text()


async def _sent(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    while await connection.fetchval("select status from messages") != "sent":
        await look_again()


async def test_a_mail_that_was_being_sent_at_a_kill_is_sent_again_as_the_same(
    tmp_path: Path, database: str
) -> None:
    """Takes 10 s: two starts of a node, which cannot be killed in any other way."""
    async with mail_server() as post:
        server = ServerProcess(
            tmp_path / "data",
            DATABASE_URL=database,
            DEMO_DATA="false",
            SMTP_URL=f"smtp://{HOST}:{post.port}",
        )
        connection = await asyncpg.connect(database)
        try:
            await server.start()
            killed = asyncio.Event()

            async def kill() -> str:
                """The mail is taken, and whoever sent it never hears of it."""
                if not killed.is_set():
                    server.send(signal.SIGKILL)
                    killed.set()
                return "250 taken"

            post.data = kill
            await _register(server)
            async with asyncio.timeout(PATIENCE_S):
                await post.arrived.wait()
            assert await connection.fetchval("select status from messages") == "waiting"
            post.arrived.clear()
            await server.ended()
            await server.start()
            # The claim of the process that died ends in two minutes.
            await connection.execute("update messages set next_try_at = now()")
            async with asyncio.timeout(PATIENCE_S):
                await post.arrived.wait()
                await _sent(connection)
            first, second = post.mails
            assert first["Message-ID"] == second["Message-ID"]
            assert first["To"].addresses[0].addr_spec.lower() == "ada@example.com"
        finally:
            await connection.close()
            await server.stop()


async def test_without_a_mail_server_mails_are_files(tmp_path: Path, database: str) -> None:
    data = tmp_path / "data"
    server = ServerProcess(data, DATABASE_URL=database, DEMO_DATA="false")
    connection = await asyncpg.connect(database)
    try:
        await server.start()
        await _register(server)
        async with asyncio.timeout(PATIENCE_S):
            await _sent(connection)
        (file,) = (data / "mailbox").iterdir()
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert mail["Subject"] == "Confirm your e-mail address"
        body = mail.get_body(("plain",))
        assert body is not None
        assert server.url in body.get_content()
    finally:
        await connection.close()
        await server.stop()
