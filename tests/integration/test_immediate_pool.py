"""Connections change hands at once, whole, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from cinema.storage.database.immediate_pool import open_immediate_pool
from cinema.storage.database.transactions import Pool
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres


SLEEP = "select pg_sleep(60)"
ASLEEP = "select count(*) from pg_stat_activity where state = 'active' and query = $1"


async def _under_way(database: str) -> None:
    """Wait until Postgres has begun: it takes no notice of a cancellation that comes before."""
    watching = await asyncpg.connect(database)
    while not await watching.fetchval(ASLEEP, SLEEP):
        await look_again()
    await watching.close()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = await open_immediate_pool(
        database, size=1, timeout_s=5.0, server_settings={"application_name": "immediate"}
    )
    yield pool
    pool.terminate()


def _at_once(pool: Pool, connection: object) -> None:
    """Give a connection back in this very step; whatever waits fails."""
    with pytest.raises(StopIteration):
        pool.release(connection).send(None)


async def test_a_connection_comes_and_goes_without_a_step_of_the_loop(pool: Pool) -> None:
    first = await pool.acquire()
    assert await first.fetchval("select 1") == 1
    pid = first.get_server_pid()
    _at_once(pool, first)
    assert pool.get_idle_size() == 1
    with pytest.raises(StopIteration) as taken:
        pool.acquire().__await__().send(None)
    second = taken.value.value
    assert second.get_server_pid() == pid
    _at_once(pool, second)


async def test_a_connection_given_back_twice_is_given_back_once(pool: Pool) -> None:
    connection = await pool.acquire()
    _at_once(pool, connection)
    _at_once(pool, connection)
    assert await pool.fetchval("select 1") == 1


async def test_who_waits_has_the_connection_that_is_given_back(pool: Pool) -> None:
    connection = await pool.acquire()
    waiting = asyncio.ensure_future(pool.fetchval("select 2"))
    await asyncio.sleep(0)
    _at_once(pool, connection)
    assert await waiting == 2


async def test_a_connection_that_is_lost_is_replaced(pool: Pool) -> None:
    connection = await pool.acquire()
    pid = connection.get_server_pid()
    connection.terminate()
    await pool.release(connection)
    async with pool.acquire() as another:
        assert another.get_server_pid() != pid


async def test_a_transaction_that_was_left_is_rolled_back(pool: Pool) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    connection = await pool.acquire()
    await connection.execute("begin; select set_config('test.left', 'behind', true)")
    await pool.release(connection)
    assert not await pool.fetchval("select current_setting('test.left', true)")


async def test_who_is_cancelled_in_a_statement_leaves_the_connection_to_the_next(
    pool: Pool, database: str
) -> None:
    async def ask() -> None:
        async with pool.acquire() as connection:
            await connection.execute(SLEEP)

    asking = asyncio.ensure_future(ask())
    await _under_way(database)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await pool.fetchval("select 3", timeout=30) == 3


async def test_who_is_cancelled_twice_closes_the_connection_and_keeps_no_place(
    pool: Pool, database: str
) -> None:
    async def ask() -> None:
        async with pool.acquire() as connection:
            await connection.execute(SLEEP)

    asking = asyncio.ensure_future(ask())
    await _under_way(database)
    # The second comes while the first has Postgres asked to stop the statement.
    asking.cancel()
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await pool.fetchval("select 4", timeout=30) == 4
