"""A Postgres that keeps what it acknowledged, for tests that kill it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import pytest

from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.local.postmaster import find_postmaster
from tests.support.server_process import ROOT, SETTINGS

SEED_TIMEOUT_S = 60.0
_numbers = itertools.count(1)


class DurablePostgres:
    """A Postgres with fsync on that can be stopped, crashed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedPostgres(folder)
        self.address = self._server.start()

    @property
    def socket_folder(self) -> Path:
        """Where its unix socket is."""
        return Path(parse_qs(urlsplit(self.address).query)["host"][0])

    def dsn(self, database: str) -> str:
        """The address of one of its databases."""
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{database}"))

    async def crash(self, how: signal.Signals) -> None:
        """SIGQUIT is `pg_ctl stop -m immediate`, SIGINT `-m fast`; waits for its end."""
        postmaster = find_postmaster(self._folder / "postgres")
        assert postmaster is not None
        postmaster.send(how)
        assert await asyncio.to_thread(postmaster.wait_gone, 30.0)

    async def restart(self) -> None:
        """Bring it up again after `crash`."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.start)

    def stop(self) -> None:
        """Stop it for good."""
        self._server.stop()


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[DurablePostgres]:
    """One such Postgres for all tests, with a seeded database to clone."""
    with tempfile.TemporaryDirectory(prefix="cinema-durable-") as folder:
        postgres = DurablePostgres(Path(folder))
        try:
            asyncio.run(_execute(postgres.address, "create database seeded"))
            subprocess.run(
                [sys.executable, "-P", "-m", "cinema", "seed", "--data-dir", f"{folder}/seed"],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT),
                    **SETTINGS,
                    "DATABASE_URL": postgres.dsn("seeded"),
                },
                check=True,
                timeout=SEED_TIMEOUT_S,
                stderr=subprocess.DEVNULL,
            )
            yield postgres
        finally:
            postgres.stop()


@pytest.fixture
async def seeded(durable_postgres: DurablePostgres) -> AsyncIterator[str]:
    """The name of a database of the test's own with the demo's data."""
    name = f"layer_five_{next(_numbers)}"
    await _execute(durable_postgres.address, f"create database {name} template seeded")
    yield name
    await _execute(durable_postgres.address, f"drop database {name} with (force)")


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
