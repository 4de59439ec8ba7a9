"""A primary and a streaming replica of it, both real."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg

from cinema.backups.programs import Source
from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postgres_home import PostgresHome, clean_environment

WAIT_S = 30.0
POLL_S = 0.02


class Pair:
    """A primary and its streaming replica."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.primary = EmbeddedPostgres(root / "primary")
        self.dsn = self.primary.start()
        self.replica = self.clone("replica")
        self.read_dsn = self.replica.start()

    def clone(self, name: str) -> EmbeddedPostgres:
        """Another replica, not started yet."""
        (self.root / name).mkdir()
        home = PostgresHome(self.root / name)
        home.data.mkdir(mode=0o700)
        shutil.chown(home.data, home.identity.uid, home.identity.gid)
        address, environment = Source(self.dsn).for_programs()
        subprocess.run(
            [
                *home.identity.prefix, home.binaries / "pg_basebackup", f"--dbname={address}",
                f"--pgdata={home.data}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            ],
            check=True, env={**clean_environment(), **environment}, cwd="/",
        )  # fmt: skip
        return EmbeddedPostgres(self.root / name)

    def stop(self) -> None:
        self.replica.stop()
        self.primary.stop()


async def ask(dsn: str, statement: str, *values: object) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


async def caught_up(pair: Pair, replica_dsn: str | None = None) -> None:
    """Wait until its replica, or another one, has all that the primary has now."""
    position = await ask(pair.dsn, "select pg_current_wal_flush_lsn()::text")
    async with asyncio.timeout(WAIT_S):
        while True:
            passed = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
            if await ask(replica_dsn or pair.read_dsn, passed, position):
                return
            await asyncio.sleep(POLL_S)


async def pause(pair: Pair) -> None:
    await ask(pair.read_dsn, "select pg_wal_replay_pause()")
    async with asyncio.timeout(WAIT_S):
        while True:
            if await ask(pair.read_dsn, "select pg_get_wal_replay_pause_state()") == "paused":
                return
            await asyncio.sleep(POLL_S)
