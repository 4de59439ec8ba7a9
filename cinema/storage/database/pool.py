"""Connections to Postgres."""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from cinema.domain.limits_catalog import DATABASE_WAIT_S
from cinema.storage.database.address import DatabaseAddress, address_of
from cinema.storage.database.durability import COMMITS
from cinema.storage.database.standby import WARNS

# Text, because the driver's classes are generic for type checkers only.
AnyConnection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
)

_CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 3.0

TRANSACTION_TIMEOUT_MS: Final = 4000
"""How long a transaction of a request may last, or idle."""

POOL_CUT_OFF = "pool_cut_off"

log = structlog.get_logger(__name__)


def session_settings(
    synchronous_commit: str, transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS
) -> dict[str, str]:
    """What a session of ours has, by the names and in the units of `pg_settings`."""
    timeout = str(transaction_timeout_ms)
    return {
        **WARNS,
        "jit": "off",
        "synchronous_commit": synchronous_commit,
        "idle_in_transaction_session_timeout": timeout,
        "transaction_timeout": timeout,
    }


async def open_pool(
    dsn: str | DatabaseAddress,
    *,
    size: int,
    application_name: str = "cinema",
    command_timeout_s: float = DATABASE_WAIT_S,
    transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS,
    synchronous_commit: str = COMMITS,
    behind_pooler: bool = False,
) -> asyncpg.Pool[asyncpg.Record]:
    """A pool of at most `size` connections, two of them open from the start.

    A transaction that lasts, or idles, longer than `transaction_timeout_ms` is ended by Postgres,
    so that a frozen process cannot keep its successor from the rows. A Postgres that
    is frozen itself, or cut off, is waited for `command_timeout_s` for each statement. What a use
    of a connection leaves in its session stays there: see `whole_session`. `behind_pooler` the
    sessions have their settings from the pooler: see `require_pooler`.
    """
    settings = {"application_name": application_name, "timezone": "UTC"}
    if not behind_pooler:
        settings |= session_settings(synchronous_commit, transaction_timeout_ms)
    address = address_of(dsn)
    pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
        address.dsn,
        connect=address.connect,
        min_size=min(2, size),
        max_size=size,
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=command_timeout_s,
        reset=keep_session,
        server_settings=settings,
    )
    return pool


async def keep_session(_connection: object) -> None:
    """Used instead of asyncpg's reset query, a round trip, where no use changes a session."""


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


async def connections_limit(dsn: str) -> int:
    """How many connections this Postgres allows, including those for superusers."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        limit: int = await connection.fetchval("select current_setting('max_connections')::int")
    finally:
        await connection.close()
    return limit
