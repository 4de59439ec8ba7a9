"""A pooler of transactions in front of Postgres, for what needs no session of its own.

Each transaction may come to another session. So nobody leaves anything in one, and what our own
sessions set while they connect, those of the pooler have to set themselves: a pooler drops or
refuses what a client asks for. All that is checked before the start, since commits that do not wait
for the disk, or statements that are another session's, would be found too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from cinema.storage.database.failures import UNREACHABLE
from cinema.storage.database.pool import session_settings

CHECK_S: Final = 10.0
"""Longer than a busy pooler takes for a handful of statements."""

_IDENTITY: Final = """
select system_identifier::text, current_database() as database from pg_control_system()
"""

_SETTINGS: Final = "select name, setting from pg_settings where name = any($1::text[])"

_WHO: Final = "select pg_backend_pid()"


class UnfitPooler(Exception):
    """What DATABASE_POOLER_URL leads to cannot take our transactions."""


async def require_pooler(dsn: str, primary_dsn: str, *, synchronous_commit: str) -> None:
    """The look before a start. Raises `UnfitPooler`."""
    try:
        async with asyncio.timeout(CHECK_S):
            await _compare(dsn, primary_dsn)
            await _check_settings(dsn, session_settings(synchronous_commit))
            await _check_statements(dsn)
    except (asyncpg.PostgresError, *UNREACHABLE) as error:
        reason = str(error) or "it does not answer in time"
        raise UnfitPooler(f"DATABASE_POOLER_URL cannot be used: {reason}") from error


async def _compare(dsn: str, primary_dsn: str) -> None:
    """On two databases at a time a booking could not be found by those who have made it."""
    if await _identity(dsn) != await _identity(primary_dsn):
        raise UnfitPooler("DATABASE_POOLER_URL leads to another database than DATABASE_URL")


async def _identity(dsn: str) -> tuple[str, str]:
    async with _connected(dsn) as connection:
        row = await connection.fetchrow(_IDENTITY)
    assert row is not None, "the control file has one row"
    return row["system_identifier"], row["database"]


async def _check_settings(dsn: str, wanted: dict[str, str]) -> None:
    async with _connected(dsn) as connection:
        rows = await connection.fetch(_SETTINGS, list(wanted))
    found = {row["name"]: row["setting"] for row in rows}
    missing = [f"set {name} = '{value}'" for name, value in wanted.items() if found[name] != value]
    if missing:
        raise UnfitPooler(
            "sessions of DATABASE_POOLER_URL have other settings than ours; let the pooler send "
            f"this when it connects: {'; '.join(missing)}"
        )


async def _check_statements(dsn: str) -> None:
    """The driver prepares each statement once, and its session may be another one by then."""
    async with _connected(dsn) as first, _connected(dsn) as second:
        prepared = await first.prepare(_WHO)
        await prepared.fetchval()
        # It takes the session away in which that was prepared.
        async with second.transaction():
            await second.fetchval(_WHO)
            try:
                await prepared.fetchval()
            except asyncpg.InvalidSQLStatementNameError as error:
                raise UnfitPooler(
                    "what DATABASE_POOLER_URL leads to does not keep prepared statements "
                    "(pgbouncer does from 1.21 on, with max_prepared_statements)"
                ) from error


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(dsn, timeout=CHECK_S, command_timeout=CHECK_S)
    try:
        yield connection
    finally:
        connection.terminate()
