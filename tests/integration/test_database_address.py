"""User and password of the database change while connections are open, on a real Postgres."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.durability import DurabilityWatch
from cinema.storage.database.immediate_pool import open_immediate_pool
from cinema.storage.database.pool import open_pool
from cinema.storage.database.read_replica import open_replica_pool
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.postgres import PostgresJournal

pytestmark = pytest.mark.postgres


def as_user(dsn: str, who: str) -> str:
    """The same database, for somebody else."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{who}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def clerk(database: str) -> AsyncIterator[str]:
    """The address of the database for a user who is there for this test."""
    name = f"clerk_{os.getpid()}"
    server = await asyncpg.connect(database)
    await server.execute(f"create role {name} superuser login password 'a long password'")
    yield as_user(database, f"{name}:a%20long%20password")
    await server.execute(f"drop role {name}")
    await server.close()


async def user_of(pool: Pool) -> str:
    await pool.expire_connections()
    return str(await pool.fetchval("select current_user"))


@pytest.mark.parametrize("kind", ["pool", "immediate", "replica"])
async def test_new_connections_of_a_pool_sign_in_as_the_new_user(
    database: str, clerk: str, kind: str
) -> None:
    address = DatabaseAddress(database)
    if kind == "pool":
        pool = await open_pool(address, size=2)
    elif kind == "immediate":
        pool = await open_immediate_pool(address, size=1, timeout_s=5.0, server_settings={})
    else:
        pool = await open_replica_pool(address, size=1)
    before = await user_of(pool)
    address.replace(clerk)
    # What is open goes on.
    assert await pool.fetchval("select current_user") == before
    assert await user_of(pool) == urlsplit(clerk).username
    pool.terminate()


async def test_lanes_and_the_look_at_durability_sign_in_as_the_new_user(
    database: str, clerk: str
) -> None:
    address = DatabaseAddress(as_user(database, "nobody_of_this_name"))
    watch = DurabilityWatch(address, production=False)
    await watch.look()
    assert watch.failures == 1
    address = DatabaseAddress(database)
    journal = await PostgresJournal.open(
        address, connections=1, statement_timeout_s=5.0, lock_timeout_s=1.0
    )
    watching = await asyncpg.connect(database)
    lane = journal.lane()
    watch = DurabilityWatch(address, production=False)
    address.replace(clerk)
    await lane.confirm([])
    await watch.look()
    assert watch.failures == 0
    user = await watching.fetchval(
        "select usename from pg_stat_activity where application_name = 'cinema-lane'"
        " and datname = current_database()"
    )
    assert user == urlsplit(clerk).username
    await lane.close()
    await journal.close()
    await watching.close()


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://ann:new@db:5432/other",
        "postgresql://ann:new@db2:5432/cinema",
        "postgresql://ann:new@db:5433/cinema",
        "postgresql://ann:new@db:5432/cinema?sslmode=disable",
        "postgresql://ann:new@db:5432/cinema?host=/tmp",
        "",
    ],
)
def test_address_of_another_database_is_refused(other: str) -> None:
    before = "postgresql://ann:old@db:5432/cinema"
    address = DatabaseAddress(before)
    with pytest.raises(ValueError, match="only user and password may change"):
        address.replace(other)
    assert address.dsn == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("postgresql://ann:old@db/cinema", "postgresql://bob:n%40w@db/cinema"),
        ("postgresql://db/cinema?user=ann&password=old", "postgresql://db/cinema?user=bob"),
        ("postgresql://ann@/cinema?host=/tmp", "postgresql:///cinema?host=/tmp&user=bob"),
    ],
)
def test_another_user_and_password_count(before: str, after: str) -> None:
    address = DatabaseAddress(before)
    address.replace(after)
    assert address.dsn == after


async def test_connections_are_opened_a_few_at_a_time() -> None:
    """More at once would all be late on a busy machine, and be asked for again without an end."""
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(writer)

    async with await asyncio.start_server(accept, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        address = DatabaseAddress(f"postgresql://cinema@127.0.0.1:{port}/cinema", at_once=3)
        waiting = [asyncio.create_task(address.connect(ssl=False)) for _ in range(9)]
        for _ in range(3):
            open_now = [await accepted.get() for _ in range(3)]
            # Time for a fourth, if one were on its way.
            await asyncio.sleep(0.1)
            assert accepted.empty()
            for writer in open_now:
                writer.transport.abort()
        assert all(await asyncio.gather(*waiting, return_exceptions=True))
