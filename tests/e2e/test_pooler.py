"""A pooler of transactions in front of Postgres: what goes through it, and what is not accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from cinema.settings.connections import FOR_QUESTIONS, FOR_SESSIONS
from cinema.storage.database.pooler import UnfitPooler, require_pooler
from tests.support.pooler import CONNECT_QUERY, POOL_SIZE, Pooled, needs_pgbouncer
from tests.support.server_process import ServerProcess, running
from tests.support.stage import staged

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.postgres, needs_pgbouncer]

SESSIONS = "select count(*) from pg_stat_activity where application_name = 'cinema'"


@pytest.fixture
async def pooled(tmp_path: Path) -> AsyncIterator[Pooled]:
    made = await asyncio.to_thread(Pooled, tmp_path)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


async def _refused(pooled: Pooled, reason: str) -> None:
    with pytest.raises(UnfitPooler, match=reason):
        await require_pooler(pooled.pooler_dsn, pooled.dsn, synchronous_commit="on")


async def test_what_cannot_take_our_transactions_is_refused(pooled: Pooled) -> None:
    await _refused(pooled, "cannot be used")
    await pooled.start()
    await require_pooler(pooled.pooler_dsn, pooled.dsn, synchronous_commit="on")
    with pytest.raises(UnfitPooler, match="set synchronous_commit = 'remote_apply'"):
        await require_pooler(pooled.pooler_dsn, pooled.dsn, synchronous_commit="remote_apply")
    pooled.stop()
    await pooled.start(connect_query=CONNECT_QUERY.replace("'on'", "'off'"))
    await _refused(pooled, "set synchronous_commit = 'on'$")
    pooled.stop()
    await pooled.start(connect_query="select 1")
    await _refused(pooled, "transaction_timeout = '4000'")
    pooled.stop()
    await pooled.start(prepared_statements=0)
    await _refused(pooled, "prepared statements")
    pooled.stop()
    await pooled.start(database="postgres")
    await _refused(pooled, "another database")


async def test_everything_is_sold_once_through_a_pooler_that_dies_meanwhile(
    pooled: Pooled, tmp_path: Path
) -> None:
    await pooled.start()
    server = ServerProcess(
        tmp_path / "data", DATABASE_URL=pooled.dsn, DATABASE_POOLER_URL=pooled.pooler_dsn
    )
    async with running(server), staged([server], seed=16) as stage:
        async with stage.load():
            await stage.history.until(acknowledged=100)
            watching = await asyncpg.connect(pooled.dsn)
            sessions = await watching.fetchval(SESSIONS)
            await watching.close()
            # Twelve for requests and jobs share the pooler's; the others come past it.
            assert 0 < sessions <= POOL_SIZE + FOR_QUESTIONS + FOR_SESSIONS
            await asyncio.to_thread(pooled.stop)
            # What is not booked needs no request to Postgres but the lane's.
            await stage.history.until(acknowledged=150)
            await pooled.start()
            await stage.history.until(acknowledged=300)
        await stage.verify(pooled.dsn)
