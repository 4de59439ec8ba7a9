"""A Postgres that keeps what it acknowledged, for tests that kill it."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.durable_postgres import DurablePostgres
from tests.support.server_process import ROOT, SETTINGS

SEED_TIMEOUT_S = 60.0
_numbers = itertools.count(1)


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
