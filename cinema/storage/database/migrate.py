"""Brings a database to this build's schema: numbered SQL files, applied in order."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from cinema.domain.progress import Report, unheard
from cinema.storage.database.schema_support import (
    CREATE_SUPPORT,
    RECORD_SUPPORT,
    oldest_supported,
    supports,
)
from cinema.storage.journal.months import NotPartitioned, make_months

MIGRATIONS = Path(__file__).with_name("migrations")

# Any constant that nothing else in the database uses for a lock.
_ADVISORY_LOCK = 0x63696E656D61


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a migration tries to lock a table.

    While it waits for the table, every later statement on the table waits too, also commits. So
    each wait is short (`wait_ms`), and the whole run starts again after a pause. That makes two
    minutes in all. A dump may hold its locks that long; if it takes longer, a person has to look.
    """

    wait_ms: int = 1000
    attempts: int = 60
    pause_s: float = 1.0


PATIENCE: Final = Patience()

# The table is Alembic's, which once ran these files; its name and form stay.
_CREATE_VERSION: Final = """
create table if not exists alembic_version (
    version_num varchar(32) not null constraint alembic_version_pkc primary key
)
"""
_VERSION: Final = "select version_num from alembic_version"

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The migrations cannot be read, or the database was migrated by a newer build."""


async def migrate(
    dsn: str,
    *,
    directory: Path = MIGRATIONS,
    report: Report = unheard,
    patience: Patience = PATIENCE,
) -> str | None:
    """Apply every `NNNN_name.sql` the database has not seen, all in one transaction.

    Returns the revision that the database was brought to, None if there was nothing to do.

    One runner at a time: others wait on an advisory lock and then find nothing to do. When the
    schema is current this costs two connections and a few queries, which make the coming months of
    the journal. A database that a newer build has migrated is left alone, or refused if we cannot
    serve it.
    `report` is told when there is something to do, in words for a person who waits.
    """
    files = _migration_files(directory)
    newest = list(files)[-1]
    before = await _current_revision(dsn, files)
    if before == newest:
        await _make_months(dsn)
        return None
    if before is None:
        report("making the tables")
    else:
        report(f"bringing the database from revision {before} to {newest}")
    for attempt in range(1, patience.attempts + 1):
        try:
            await _upgrade(dsn, files, patience.wait_ms)
        except asyncpg.LockNotAvailableError as error:
            if attempt == patience.attempts:
                raise MigrationError(
                    f"could not lock what a migration changes: {error}; "
                    "look for long transactions, such as a dump"
                ) from error
            await asyncio.sleep(patience.pause_s)
        else:
            break
    await _current_revision(dsn, files)
    await _make_months(dsn)
    return newest


def _migration_files(directory: Path) -> dict[str, Path]:
    """Revision number to file, in order."""
    files: dict[str, Path] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named NNNN_name.sql")
        if match[1] in files:
            raise MigrationError(f"{path.name}: revision {match[1]} exists twice")
        # A database beyond a gap would never get the file that fills it later.
        if int(match[1]) != len(files) + 1:
            raise MigrationError(f"{path.name}: there is no revision {len(files) + 1:04}")
        files[match[1]] = path
    if not files:
        raise MigrationError(f"no migrations in {directory}")
    return files


async def _current_revision(dsn: str, files: dict[str, Path]) -> str | None:
    """The database's revision; the newest of `files` if it is beyond that and can be served.

    Raises `MigrationError` if it cannot.
    """
    newest = list(files)[-1]
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchval(_VERSION)
        revision = None if found is None else str(found)
        if revision is None or revision in files:
            return revision
        if revision > newest and await supports(connection, newest):
            return newest
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    raise MigrationError(
        f"the database is at revision {revision}, which this build does not know; "
        "run the build that migrated it, or a newer one"
    )


async def _make_months(dsn: str) -> None:
    """The tables that the coming months need."""
    connection = await asyncpg.connect(dsn)
    try:
        await make_months(connection)
    except NotPartitioned as error:
        raise MigrationError(f"{error}; start with a new one") from error
    finally:
        await connection.close()


async def _upgrade(dsn: str, files: dict[str, Path], wait_ms: int) -> None:
    """Lock, then apply what is missing inside the same transaction."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
            await connection.execute(f"set local lock_timeout = {wait_ms}")
            await connection.execute(_CREATE_VERSION)
            current = await connection.fetchval(_VERSION) or ""
            if current >= max(files):
                return  # another process was faster, maybe a newer build
            for revision, path in files.items():
                if revision > current:
                    # Without arguments the driver takes a whole script.
                    await connection.execute(path.read_text(encoding="utf-8"))
            await connection.execute("delete from alembic_version")
            await connection.execute("insert into alembic_version values ($1)", max(files))
            await connection.execute(CREATE_SUPPORT)
            await connection.execute(RECORD_SUPPORT, oldest_supported(files))
    finally:
        await connection.close()
