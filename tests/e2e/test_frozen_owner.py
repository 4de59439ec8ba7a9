"""Two servers on one database: the one that owned a showtime is frozen, and thaws too late."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.durable_postgres import DurablePostgres
from tests.support.history import Attempt, Request
from tests.support.load import HttpCaller
from tests.support.server_process import ServerProcess
from tests.support.stage import Stage, staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

TRIES = 5


class Pair:
    """Two servers and what their clients were told."""

    def __init__(self, servers: list[ServerProcess], stage: Stage, dsn: str) -> None:
        self.servers = servers
        self.stage = stage
        self.dsn = dsn


@pytest.fixture
async def pair(
    tmp_path: Path, durable_postgres: DurablePostgres, seeded: str
) -> AsyncIterator[Pair]:
    """Two servers that know nothing of each other; at the end the books are checked."""
    dsn = durable_postgres.dsn(seeded)
    servers = [
        ServerProcess(tmp_path / name, DATABASE_URL=dsn, DEMO_DATA="false")
        for name in ("old", "new")
    ]
    async with AsyncExitStack() as exits:
        for server in servers:
            exits.push_async_callback(server.stop)
            await server.start()
        stage = await exits.enter_async_context(staged(servers, seed=4, showtimes=4))
        yield Pair(servers, stage, dsn)
        for server in servers:
            server.send(signal.SIGCONT)
        stage.send_all_to(servers[0])
        await stage.verify(dsn)


async def insist(caller: HttpCaller, request: Request, server: str) -> Attempt:
    """Repeat it while the server only learns that it owns the showtime no longer."""
    for _ in range(TRIES):
        attempt = await caller.send(request, server)
        if attempt.code != "RETRY":
            break
    assert attempt.acknowledged, attempt
    return attempt


async def test_frozen_owner_contradicts_nothing_once_it_thaws(pair: Pair) -> None:
    stage = pair.stage
    old, new = pair.servers
    caller, client = stage.client()
    other, other_client = stage.client()
    showtime = stage.showtimes[0]
    for turn in range(3):
        labels = showtime.labels[turn * 4 : turn * 4 + 4]
        own = await insist(caller, client.request("hold", showtime.id, seats=labels[:2]), old.url)
        await old.freeze()
        # These reach the frozen owner's sockets, and are read when it thaws.
        asked = [
            asyncio.create_task(caller.send(request, old.url))
            for request in (
                client.request("seats", showtime.id),
                client.request("see_hold", showtime.id, own.data["hold_id"]),
                client.request("hold", showtime.id, seats=labels[2:]),
                client.request("extend", showtime.id, own.data["hold_id"]),
            )
        ]
        await insist(other, other_client.request("hold", showtime.id, seats=labels[2:]), new.url)
        released = await insist(
            caller, client.request("release", showtime.id, own.data["hold_id"]), new.url
        )
        assert released.data["epoch"] > own.data["epoch"]
        late = caller.send(client.request("seats", showtime.id), old.url)
        asked.append(asyncio.create_task(late))
        old.send(signal.SIGCONT)
        answers = await asyncio.gather(*asked)
        assert answers[2].code in {"SEAT_UNAVAILABLE", "RETRY"}
        assert not answers[3].acknowledged


async def test_frozen_and_thawed_under_load_two_owners_never_disagree(pair: Pair) -> None:
    stage = pair.stage
    old, new = pair.servers
    stage.send_all_to(old)
    async with stage.load(http=6, sockets=0):
        for _ in range(3):
            await stage.history.until(acknowledged=stage.history.acknowledged + 40)
            await old.freeze()
            stage.send_all_to(new)
            async with stage.load(http=6, sockets=0):
                await stage.history.until(acknowledged=stage.history.acknowledged + 40)
                old.send(signal.SIGCONT)
                await stage.history.until(acknowledged=stage.history.acknowledged + 40)
            old, new = new, old
