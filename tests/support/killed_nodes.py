"""Two nodes of which one is killed in the middle of something, and the other ends it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import psutil

from tests.support.local_cluster import LocalCluster
from tests.support.staffed_house import Database, StaffedHouse

WAITS = "select exists (select from bookings where showtime_id = $1 and status = 'pending')"
"""Whether a booking of a showtime waits for its payment."""

NOBODY_WAITS = "select not exists (select from bookings where status = 'pending')"


class Houses(StaffedHouse):
    """Two nodes with some showtimes in one cinema, and people of it."""

    def __init__(
        self, cluster: LocalCluster, dsn: str, session: aiohttp.ClientSession, database: Database
    ) -> None:
        super().__init__(lambda: cluster.node_urls, session, database)
        self.cluster = cluster
        self._dsn = dsn
        self._locks: dict[str, Database] = {}

    async def lock(self, statement: str, *values: Any) -> None:
        """Whoever needs the same rows waits until they are released."""
        connection = self._locks[statement] = await asyncpg.connect(self._dsn)
        await connection.execute("begin")
        await connection.execute(statement, *values)

    async def release(self, statement: str) -> None:
        """Let those who wait go on."""
        if statement in self._locks:
            await self._locks.pop(statement).close()

    async def release_all(self) -> None:
        """Let everybody go on."""
        for statement in list(self._locks):
            await self.release(statement)

    async def kill(self, node: int) -> None:
        """End a node without a word, and wait for its end."""
        victim = self._process_of(node)
        victim.send_signal(signal.SIGKILL)
        victim.wait()

    def _process_of(self, node: int) -> psutil.Process:
        """The process that listens at a node's address."""
        port = urlsplit(self.cluster.node_urls[node]).port
        for process in self.cluster.nodes():
            if any(one.laddr.port == port for one in process.net_connections("tcp") if one.laddr):
                return process
        raise AssertionError(f"nobody listens at {port}")


@asynccontextmanager
async def two_houses(folder: Path, dsn: str, *days: int) -> AsyncIterator[Houses]:
    """Two nodes over a database; see `Houses.build`."""
    async with (
        LocalCluster(folder, nodes=2, DATABASE_URL=dsn, DEMO_DATA="false") as two,
        aiohttp.ClientSession() as session,
    ):
        database = await asyncpg.connect(dsn)
        houses = Houses(two, dsn, session, database)
        try:
            await houses.build(*days)
            yield houses
        finally:
            await houses.release_all()
            await database.close()
