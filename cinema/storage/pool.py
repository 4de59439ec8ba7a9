"""Connections to Postgres, and whether what it acknowledges is really on disk."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

# Text, because the driver's classes are generic for type checkers only.
AnyConnection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
)

OLDEST_MAJOR_VERSION = 17

_CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 3.0

POOL_CUT_OFF = "pool_cut_off"

log = structlog.get_logger(__name__)

_DURABILITY = """
select current_setting('server_version_num')::int / 10000 as major_version,
       current_setting('fsync') as fsync,
       current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit
"""


class UnsafeDatabase(Exception):
    """This Postgres must not hold what we promise to keep."""


async def open_pool(
    dsn: str,
    *,
    size: int,
    application_name: str = "cinema",
    command_timeout_s: float = 30.0,
    transaction_timeout_ms: int = 4000,
) -> asyncpg.Pool[asyncpg.Record]:
    """A pool of at most `size` connections, two of them open from the start.

    A transaction that lasts, or idles, longer than `transaction_timeout_ms` is ended by Postgres,
    so that a frozen process cannot keep its successor from the rows.
    """
    timeout = str(transaction_timeout_ms)
    pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
        dsn,
        min_size=min(2, size),
        max_size=size,
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=command_timeout_s,
        server_settings={
            "application_name": application_name,
            "timezone": "UTC",
            "jit": "off",
            "idle_in_transaction_session_timeout": timeout,
            "transaction_timeout": timeout,
        },
    )
    return pool


async def close_pool(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """Close a pool; connections that are still in use after `_CLOSE_TIMEOUT_S` are cut.

    The driver waits for them without a bound, and a process that was told to stop must end.
    """
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await pool.close()
    except TimeoutError:
        log.warning(POOL_CUT_OFF, connections=pool.get_size() - pool.get_idle_size())
        pool.terminate()


async def check_durability(connection: AnyConnection, *, production: bool) -> list[str]:
    """What this Postgres may lose in a crash; empty when it keeps what it acknowledges.

    Raises `UnsafeDatabase` for a version that is too old and, in production, for any such risk.
    """
    row = await connection.fetchrow(_DURABILITY)
    assert row is not None, "a select without a from clause has one row"
    if row["major_version"] < OLDEST_MAJOR_VERSION:
        raise UnsafeDatabase(
            f"Postgres {row['major_version']} is too old: {OLDEST_MAJOR_VERSION} or newer is needed"
        )
    names = ("fsync", "full_page_writes", "synchronous_commit")
    risks = [f"{name} is off" for name in names if row[name] == "off"]
    if risks and production:
        raise UnsafeDatabase(
            f"Postgres may lose what it acknowledged ({', '.join(risks)}); turn them on"
        )
    return risks


async def connections_limit(dsn: str) -> int:
    """How many connections this Postgres takes, those it keeps for superusers included."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        limit: int = await connection.fetchval("select current_setting('max_connections')::int")
    finally:
        await connection.close()
    return limit
