"""A server with a replica: over HTTP, whoever wrote sees it, and the replica takes the reads."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.replica import Pair, ask, caught_up, pause
from tests.support.server_process import POLL_S, START_TIMEOUT_S, ServerProcess, running
from tests.support.stage import staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

ADMIN = {"email": "admin@cinema.example", "password": "demo-admin"}
MOVIE = {"title": "Paused", "runtime_minutes": 90, "genres": ["test"]}


class Api:
    def __init__(self, session: aiohttp.ClientSession, server: ServerProcess) -> None:
        self._session = session
        self._server = server
        self._headers: dict[str, str] = {}

    async def sign_in(self) -> None:
        token = (await self.send("POST", "/auth/login", ADMIN))["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    async def send(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self._server.url}/api/v1{path}"
        async with self._session.request(method, url, json=body, headers=self._headers) as reply:
            answer = await reply.json()
            assert answer["success"], answer
            return answer["data"]

    async def reads(self) -> dict[str, int]:
        async with self._session.get(f"{self._server.url}/metrics") as reply:
            text = await reply.text()
        found = re.findall(r'cinema_replica_reads_total\{outcome="(\w+)"\} ([0-9.]+)', text)
        return {outcome: int(float(count)) for outcome, count in found}


async def test_the_catalogue_is_read_from_the_replica_and_shows_what_was_just_written(
    tmp_path: Path,
) -> None:
    pair = await asyncio.to_thread(Pair, tmp_path)
    server = ServerProcess(
        tmp_path / "data", DATABASE_URL=pair.dsn, DATABASE_READ_URL=pair.read_dsn
    )
    try:
        async with running(server), aiohttp.ClientSession() as session:
            api = Api(session, server)
            await api.sign_in()
            await caught_up(pair)
            assert await api.send("GET", "/movies")
            served = (await api.reads())["replica"]
            assert served > 0
            await pause(pair)
            movie = await api.send("POST", "/movies", MOVIE)
            assert (await api.send("GET", f"/movies/{movie['id']}"))["title"] == "Paused"
            assert [one["id"] for one in await api.send("GET", "/movies?genre=test")] == [
                movie["id"]
            ]
            reads = await api.reads()
            assert (reads["replica"], reads["behind"] > 0) == (served, True)
            await ask(pair.read_dsn, "select pg_wal_replay_resume()")
            # The kernel does without it: selling goes on, and each booking is seen at once.
            async with staged([server], seed=8) as stage:
                async with stage.load():
                    await stage.history.until(acknowledged=100)
                    await asyncio.to_thread(pair.replica.stop)
                    await stage.history.until(acknowledged=200)
                await stage.verify(pair.dsn)
            async with asyncio.timeout(START_TIMEOUT_S):
                while not (await api.reads())["unreachable"]:
                    assert await api.send("GET", "/movies")
                    await asyncio.sleep(POLL_S)
            assert "Traceback" not in server.log()
    finally:
        await asyncio.to_thread(pair.stop)
