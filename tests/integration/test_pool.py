"""The pool, and what Postgres ends for it."""

from __future__ import annotations

import asyncpg
import pytest

from cinema.storage.database.pool import open_pool

pytestmark = pytest.mark.postgres


async def test_a_transaction_left_open_is_ended_so_that_its_locks_go(database: str) -> None:
    other = await asyncpg.connect(database)
    pool = await open_pool(database, size=2, transaction_timeout_ms=50)
    frozen = await pool.acquire()
    await frozen.execute("begin")
    await frozen.execute("select pg_advisory_xact_lock(7)")
    await other.execute("select pg_advisory_lock(7)", timeout=5)
    pool.terminate()
    await other.close()
