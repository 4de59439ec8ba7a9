"""The pool and the check of what Postgres may lose."""

from __future__ import annotations

import asyncpg
import pytest

from cinema.storage.pool import UnsafeDatabase, check_durability, open_pool

pytestmark = pytest.mark.postgres


async def _with(connection: asyncpg.Connection[asyncpg.Record], value: str) -> None:
    await connection.execute(f"set synchronous_commit = {value}")


async def test_production_refuses_a_database_that_may_lose_commits(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await _with(connection, "off")
        with pytest.raises(UnsafeDatabase, match="synchronous_commit is off"):
            await check_durability(connection, production=True)
    finally:
        await connection.close()


async def test_development_is_told_of_the_risk_and_goes_on(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await _with(connection, "off")
        assert "synchronous_commit is off" in await check_durability(connection, production=False)
        await _with(connection, "on")
        risks = await check_durability(connection, production=False)
        assert "synchronous_commit is off" not in risks
    finally:
        await connection.close()


async def test_a_transaction_left_open_is_ended_so_that_its_locks_go(database: str) -> None:
    other = await asyncpg.connect(database)
    pool = await open_pool(database, size=2, transaction_timeout_ms=50)
    frozen = await pool.acquire()
    await frozen.execute("begin")
    await frozen.execute("select pg_advisory_xact_lock(7)")
    await other.execute("select pg_advisory_lock(7)", timeout=5)
    pool.terminate()
    await other.close()
