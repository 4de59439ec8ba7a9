"""Showtimes on two Postgres servers, with the kernel as it is: what docs/scale.md says was seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import asyncpg
import pytest

from cinema.local.embedded_postgres import EmbeddedPostgres
from tests.support.history import check
from tests.support.ledger import read_ledger
from tests.support.server_process import POLL_S, ServerProcess, running
from tests.support.stage import Stage, staged
from tests.support.two_primaries import place_of

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres]

PATIENCE_S = 60.0
SHOWTIMES_MAX = 30
SOLD = "select count(*) from bookings where showtime_id = any($1::uuid[])"


class _Server(ServerProcess):
    module: ClassVar[str] = "tests.support.two_primaries"


@pytest.fixture
async def primaries(tmp_path: Path) -> AsyncIterator[list[EmbeddedPostgres]]:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    both = [EmbeddedPostgres(folder) for folder in folders]
    try:
        yield both
    finally:
        for one in both:
            await asyncio.to_thread(one.stop)


def _place(showtime_id: str) -> int:
    return place_of(UUID(showtime_id).bytes)


def _done(stage: Stage, place: int, kind: str = "") -> int:
    """What was acknowledged of the showtimes of one server; of one kind, or at all."""
    done = [one.request for one in stage.history.attempts if one.acknowledged]
    return sum(
        _place(one.showtime_id) == place and kind in {"", one.kind}
        for one in done
        if one.showtime_id
    )


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if true():
                return
            await asyncio.sleep(POLL_S)


async def _more(stage: Stage, place: int, count: int) -> None:
    """Wait until so much more was acknowledged of the showtimes of one server."""
    before = _done(stage, place)
    await _until(lambda: _done(stage, place) >= before + count)


async def _sold(dsn: str, stage: Stage) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(SOLD, [UUID(one.id) for one in stage.showtimes]))
    finally:
        await connection.close()


async def test_each_sells_its_showtimes_once_and_one_goes_on_without_the_other(
    primaries: list[EmbeddedPostgres], tmp_path: Path
) -> None:
    dsns = [await asyncio.to_thread(one.start) for one in primaries]
    server = _Server(
        tmp_path / "data",
        DATABASE_URL=dsns[0],
        SECOND_DATABASE_URL=dsns[1],
        COMMIT_LANES="2",
    )
    used: set[str] = set()
    async with running(server), staged([server], seed=17, showtimes=4, used=used) as stage:
        while len({_place(one.id) for one in stage.showtimes}) < 2:
            assert len(stage.showtimes) < SHOWTIMES_MAX
            await stage.choose_showtimes(len(stage.showtimes) + 1, used)
        async with stage.load(sockets=0):
            for place in (0, 1):
                await _more(stage, place, 20)
                await _until(lambda place=place: _done(stage, place, "book") > 0)
            await asyncio.to_thread(primaries[1].stop)
            await _more(stage, 0, 20)
            assert await asyncio.to_thread(primaries[1].start) == dsns[1]
            await _more(stage, 1, 10)
        await stage.settle()
        ledgers = []
        for one in stage.showtimes:
            connection = await asyncpg.connect(dsns[_place(one.id)])
            ledgers.append(await read_ledger(connection, one.id, one.labels))
            await connection.close()
        faults = check(stage.history, ledgers)
        # Bookings are looked up on the first server: this is what has yet to be built.
        assert [one for one in faults if "NOT_FOUND" not in one] == []
        # A report reads both, and adds.
        sold = [await _sold(dsn, stage) for dsn in dsns]
        assert min(sold) > 0
        assert sum(sold) == sum(len(one.bookings) for one in ledgers)
