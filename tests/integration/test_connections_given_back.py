"""What a use of a connection leaves behind when it ends in the wrong moment, or badly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from cinema.storage.database.transactions import Pool, connection, transaction, whole_session

pytestmark = pytest.mark.postgres


class Interrupted(asyncpg.Connection):  # type: ignore[type-arg]
    """Cancels its caller once: before it sends `before`, or after the server has done `after`."""

    before = after = ""

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if query == Interrupted.before:
            Interrupted.before = ""
            raise asyncio.CancelledError
        done = await super().execute(query, *args, **options)
        if query == Interrupted.after:
            Interrupted.after = ""
            raise asyncio.CancelledError
        return done


@pytest.fixture
async def one_connection(database: str) -> AsyncIterator[Pool]:
    Interrupted.before = Interrupted.after = ""
    async with asyncpg.create_pool(
        database, min_size=1, max_size=1, connection_class=Interrupted
    ) as pool:
        await pool.execute("create table kept (n int)")
        yield pool


@pytest.mark.parametrize(
    ("moment", "query", "kept"),
    [
        ("before", "BEGIN;", []),
        ("after", "BEGIN;", []),
        ("before", "ROLLBACK;", []),
        ("after", "ROLLBACK;", []),
        ("before", "COMMIT;", []),
        ("after", "COMMIT;", [1]),
    ],
)
async def test_a_cancelled_caller_leaves_no_transaction_open(
    one_connection: Pool,
    caplog: pytest.LogCaptureFixture,
    moment: str,
    query: str,
    kept: list[int],
) -> None:
    setattr(Interrupted, moment, query)
    with pytest.raises(asyncio.CancelledError), caplog.at_level(logging.ERROR):
        await _keep(one_connection, fails=query == "ROLLBACK;")
    assert caplog.records == []
    assert [row["n"] for row in await one_connection.fetch("select n from kept")] == kept
    await _keep(one_connection)
    assert await one_connection.fetchval("select count(*) from kept") == len(kept) + 1


async def _keep(pool: Pool, *, fails: bool = False) -> None:
    async with transaction(pool) as running:
        await running.execute("insert into kept values (1)")
        if fails:
            raise ValueError


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_whole_session_leaves_ends_with_it(pool: Pool, *, fails: bool) -> None:
    with suppress(ValueError):
        async with whole_session(pool) as using:
            assert await using.fetchval("select pg_try_advisory_lock(1)")
            await using.execute("set search_path = nowhere")
            if fails:
                raise ValueError
    async with connection(pool) as using:
        assert await using.fetchval("select current_setting('search_path')") != "nowhere"
        assert (
            await using.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
        )
