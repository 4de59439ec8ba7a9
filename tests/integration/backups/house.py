"""A Postgres with data and backups of it, for tests of both."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from cinema.backups import restore
from cinema.backups.base import take_base
from cinema.backups.errors import BackupError
from cinema.backups.folder import BackupFolder, Base
from cinema.backups.follow import ArchiveFollower, BackupSchedule
from cinema.backups.plan import plan_restore
from cinema.backups.programs import Source
from cinema.backups.restore import Restored, RestorePlaces
from cinema.local.embedded_postgres import EmbeddedPostgres, running_address
from cinema.local.postgres_home import PostgresHome, clean_environment

WAIT_S = 30.0
POLL_S = 0.02
NEVER = timedelta(days=1)


class House:
    """One data folder, one folder of backups; times are the server's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data_dir = root / "data"
        self.data = self.data_dir / "postgres"
        self.uploads = self.data_dir / "uploads"
        self.folder = BackupFolder(root / "backups")
        self.postgres = EmbeddedPostgres(self.data_dir, durable=False)

    async def start(self) -> str:
        return await asyncio.to_thread(self.postgres.start)

    async def stop(self) -> None:
        await asyncio.to_thread(self.postgres.stop)

    @property
    def source(self) -> Source:
        address = running_address(self.data_dir)
        if address is None:
            raise BackupError("the server does not run")
        return Source(address)

    async def ask(self, statement: str, *values: object) -> Any:
        connection = await asyncpg.connect(self.source.dsn)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    async def write(self, name: str) -> datetime:
        """Commit something; a moment just after."""
        await self.ask("insert into kept (name) values ($1)", name)
        moment: datetime = await self.ask("select clock_timestamp()")
        return moment

    async def kept(self) -> list[str]:
        connection = await asyncpg.connect(self.source.dsn)
        try:
            return [row[0] for row in await connection.fetch("select name from kept order by n")]
        finally:
            await connection.close()

    async def take(self) -> Base:
        return await take_base(self.source, self.folder, self.uploads)

    @asynccontextmanager
    async def following(self, *, keep: int = 9) -> AsyncIterator[None]:
        """Archive while the body runs, to the end of what was written in it."""
        stopping = asyncio.Event()
        follower = ArchiveFollower(
            lambda: self.source, self.folder, self.uploads, BackupSchedule(every=NEVER, keep=keep)
        )
        task = asyncio.create_task(follower.run(stopping))
        try:
            yield
            await self.archived()
        finally:
            stopping.set()
            await asyncio.wait_for(task, WAIT_S)

    async def archived(self) -> None:
        """Wait for a base backup on this timeline, and for the archive to reach now."""
        now = await self.ask("select clock_timestamp()")
        timeline = int((await self.ask("select pg_walfile_name(pg_current_wal_lsn())"))[:8], 16)

        async def there() -> bool:
            streams = self.folder.streams() if self.folder.wal.exists() else []
            return any(base.timeline == timeline for base in self.folder.bases()) and any(
                stream.status is not None and stream.status.reached_at > now for stream in streams
            )

        await until(there)

    async def restore(
        self, to_time: datetime | None = None, *, old: str = "old", **chosen: Any
    ) -> Restored:
        """Restore over the stopped server, and start it."""
        plan = plan_restore(self.folder, to_time=to_time, **chosen)
        places = RestorePlaces(data=self.data, uploads=self.uploads, old=self.root / old)
        done = await asyncio.to_thread(restore.restore, self.folder, plan, places)
        await self.start()
        return done


async def until(there: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            if await there():
                return
            await asyncio.sleep(POLL_S)


def make_data(data_dir: Path) -> None:
    """Data whose segments of log are small, so that they are quickly made and flushed."""
    data_dir.mkdir(parents=True)
    home = PostgresHome(data_dir)
    home.data.mkdir(mode=0o700)
    shutil.chown(home.data, home.identity.uid, home.identity.gid)
    initdb = [
        *home.identity.prefix, home.binaries / "initdb", "-D", home.data, "--username=cinema",
        "--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync", "--wal-segsize=1",
    ]  # fmt: skip
    subprocess.run(initdb, check=True, env=clean_environment(), cwd="/", stdout=subprocess.DEVNULL)
    single = [*home.identity.prefix, home.binaries / "postgres", "--single", "-D", home.data]
    subprocess.run(
        [*single, "postgres"], input=b"create database cinema\n", check=True, cwd="/",
        env=clean_environment(), stdout=subprocess.DEVNULL,
    )  # fmt: skip
