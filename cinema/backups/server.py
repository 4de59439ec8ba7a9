"""What a backup asks the server that it copies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from cinema.backups.errors import BackupError
from cinema.backups.programs import Source
from cinema.storage.database.durability import OLDEST_MAJOR_VERSION
from cinema.storage.database.pool import AnyConnection

_CONNECT_TIMEOUT_S: Final = 10.0
_STATEMENT_TIMEOUT_S: Final = 60.0

_FACTS: Final = """
select system_identifier::text,
    current_setting('server_version_num')::int / 10000 as major,
    pg_size_bytes(current_setting('wal_segment_size'))::int as segment_bytes,
    pg_is_in_recovery() as standby,
    (select count(*) from pg_tablespace where spcname not in ('pg_default', 'pg_global'))
        as tablespaces
from pg_control_system()
"""
_REVISION: Final = "select version_num from alembic_version"
_NOW: Final = "select clock_timestamp()"

UNREACHABLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Errors of a connection when its server is away or refuses it."""


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a server that decide how it is backed up."""

    system_identifier: str
    major: int
    segment_bytes: int


@asynccontextmanager
async def connected(source: Source) -> AsyncIterator[AnyConnection]:
    """A separate connection; raises `BackupError` if there is none."""
    try:
        connection = await asyncpg.connect(
            source.dsn,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_STATEMENT_TIMEOUT_S,
            server_settings={
                "application_name": "cinema backup",
                "timezone": "UTC",
                # A beat is on this disk when its commit returns, whatever the server's setting is.
                "synchronous_commit": "local",
            },
        )
    except UNREACHABLE as error:
        raise BackupError(f"cannot connect to Postgres: {error}") from error
    try:
        yield connection
    finally:
        connection.terminate()


async def read_facts(connection: AnyConnection) -> ServerFacts:
    """Inspect the server; refuses one that cannot be backed up in this way."""
    row = await connection.fetchrow(_FACTS)
    assert row is not None, "the control file has one row"
    if row["major"] < OLDEST_MAJOR_VERSION:
        raise BackupError(f"Postgres {row['major']} is too old to be backed up by this build")
    if row["standby"]:
        raise BackupError("this Postgres is a standby; back its primary up")
    if row["tablespaces"]:
        raise BackupError("this Postgres has tablespaces, which these backups do not carry")
    return ServerFacts(
        system_identifier=row["system_identifier"],
        major=row["major"],
        segment_bytes=row["segment_bytes"],
    )


async def read_revision(connection: AnyConnection) -> str:
    """The schema's revision; refuses a database that is not cinema's."""
    try:
        return str(await connection.fetchval(_REVISION))
    except asyncpg.UndefinedTableError as error:
        raise BackupError("this database has no tables of cinema") from error


async def read_now(connection: AnyConnection) -> datetime:
    """The server's clock."""
    now: datetime = await connection.fetchval(_NOW)
    return now
