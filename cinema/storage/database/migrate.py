"""Brings a database to this build's schema: numbered SQL files, applied in order by Alembic."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import asyncpg

from cinema.domain.progress import Report, unheard
from cinema.storage.database.schema_support import (
    CREATE_SUPPORT,
    RECORD_SUPPORT,
    oldest_supported,
    supports,
)
from cinema.storage.journal.months import NotPartitioned, make_months

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy.engine import Connection

MIGRATIONS = Path(__file__).with_name("migrations")

# Any constant will do that nothing else in the database locks on.
_ADVISORY_LOCK = 0x63696E656D61

LOCK_TIMEOUT_MS: Final = 1000
"""A migration that waits for a table makes every later statement on it wait as well, commits
included. Longer than this nobody shall; the run then starts over."""

LOCK_ATTEMPTS: Final = 60
LOCK_PAUSE_S: Final = 1.0
"""Two minutes in all: a dump may hold its locks that long, and worse needs a person."""

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The migrations cannot be read, or the database was migrated by a newer build."""


async def migrate(
    dsn: str, *, directory: Path = MIGRATIONS, report: Report = unheard
) -> str | None:
    """Apply every `NNNN_name.sql` the database has not seen, all in one transaction.

    Returns the revision that the database was brought to, None if there was nothing to do.

    One runner at a time: others wait on an advisory lock and then find nothing to do. When the
    schema is current this costs two connections and a few queries, which make the coming months of
    the journal; Alembic is not even imported. A
    database that a newer build has migrated is left alone, or refused if we cannot serve it.
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
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            await _upgrade(dsn, files, directory)
        except asyncpg.LockNotAvailableError as error:
            if attempt == LOCK_ATTEMPTS:
                raise MigrationError(
                    f"could not lock what a migration changes: {error}; "
                    "look for long transactions, such as a dump"
                ) from error
            await asyncio.sleep(LOCK_PAUSE_S)
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
        # A database behind a hole would never get what fills it later.
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
        found = await connection.fetchval("select version_num from alembic_version")
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


async def _upgrade(dsn: str, files: dict[str, Path], directory: Path) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    # Its steps are for its developers; ours is `database_migrated`.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run, files, _script_directory(files, directory))
    finally:
        await engine.dispose()


def _run(connection: Connection, files: dict[str, Path], scripts: ScriptDirectory) -> None:
    """Lock, then let Alembic find and apply what is missing inside the same transaction."""
    from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
    from sqlalchemy import text

    def missing(revision: tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        ahead = scripts.iterate_revisions("head", revision or "base")
        steps = [MigrationStep.upgrade_from_script(scripts.revision_map, one) for one in ahead]
        return list(reversed(steps))

    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    connection.execute(text(f"set local lock_timeout = {LOCK_TIMEOUT_MS}"))
    context = MigrationContext.configure(connection, opts={"fn": missing})
    if (context.get_current_revision() or "") >= list(files)[-1]:
        return  # somebody else was faster, maybe a newer build
    context.run_migrations(connection=connection)
    connection.execute(text(CREATE_SUPPORT))
    connection.execute(text(RECORD_SUPPORT), {"oldest": oldest_supported(files)})


def _script_directory(files: dict[str, Path], directory: Path) -> ScriptDirectory:
    """Alembic's view of the SQL files: one line of revisions, each a module made here."""
    from alembic.script import Script, ScriptDirectory
    from alembic.script.revision import RevisionMap

    def revisions() -> list[Script]:
        previous: str | None = None
        scripts = []
        for number, path in files.items():
            scripts.append(Script(_revision_module(number, previous, path), number, path))
            previous = number
        return scripts

    scripts = ScriptDirectory(directory)
    scripts.revision_map = RevisionMap(revisions)
    return scripts


def _revision_module(number: str, previous: str | None, path: Path) -> ModuleType:
    """What a revision file of Alembic would define, for one SQL file."""

    def upgrade(connection: Connection) -> None:
        # The driver's own `execute` takes a whole script; SQLAlchemy's would prepare it.
        driver = connection.connection.dbapi_connection
        if driver is None:
            raise MigrationError("the connection was lost")
        sql = path.read_text(encoding="utf-8")
        driver.run_async(lambda raw: raw.execute(sql))

    module = ModuleType(path.stem)
    module.__dict__.update(revision=number, down_revision=previous, upgrade=upgrade)
    return module
