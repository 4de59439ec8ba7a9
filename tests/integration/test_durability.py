"""What Postgres may lose, noticed at a start and later; and what our own sessions do about it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.local import embedded_postgres
from cinema.local.embedded_postgres import EmbeddedPostgres
from cinema.storage.database.durability import (
    DATABASE_SECURED,
    DATABASE_UNSAFE,
    DURABILITY_UNKNOWN,
    DurabilityWatch,
    UnsafeDatabase,
    UnusableDatabase,
    look_at_durability,
    require_durability,
)
from cinema.storage.database.pool import open_pool
from cinema.storage.journal.postgres import PostgresJournal
from tests.support import inspection

pytestmark = pytest.mark.postgres

PATIENCE_S = 10.0


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def set_default(dsn: str, value: str) -> None:
    """What new sessions of the database get."""
    name = urlsplit(dsn).path.removeprefix("/")
    await execute(dsn, f"alter database {name} set synchronous_commit = {value}")


@pytest.fixture(scope="module")
def safe() -> Iterator[str]:
    """A Postgres whose settings come from its files alone, so that they can change."""
    with tempfile.TemporaryDirectory(prefix="cinema-safe-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embedded_postgres, "DURABILITY", ())
            address = server.start()
        try:
            yield address
        finally:
            server.stop()


async def set_for_all(dsn: str, setting: str, value: str) -> None:
    """Change a setting of a running server, and see a new session have it."""
    await execute(dsn, f"alter system set {setting} = {value}", "select pg_reload_conf()")
    shown = None
    async with asyncio.timeout(PATIENCE_S):
        while shown != value:
            connection = await asyncpg.connect(dsn)
            shown = await connection.fetchval(f"show {setting}")
            await connection.close()


@pytest.mark.parametrize("value", ["off", "local"])
async def test_production_refuses_a_database_that_may_lose_commits(
    database: str, value: str
) -> None:
    await set_default(database, value)
    with pytest.raises(UnsafeDatabase, match=f"synchronous_commit is {value}"):
        await require_durability(database, production=True)


@pytest.mark.parametrize(("value", "risky"), [("off", True), ("local", False), ("on", False)])
async def test_development_is_told_of_the_risk_and_goes_on(
    database: str, value: str, risky: bool
) -> None:
    await set_default(database, value)
    with capture_logs() as logs:
        found = await require_durability(database, production=False)
    risk = "synchronous_commit is off"
    assert (risk in found.risks) is risky
    assert ({"event": DATABASE_UNSAFE, "reason": risk, "log_level": "warning"} in logs) is risky


@pytest.mark.parametrize(
    ("default", "ours"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")],
)
async def test_our_sessions_wait_for_the_disk_whatever_the_default_is(
    database: str, default: str, ours: str
) -> None:
    await set_default(database, default)
    commits = (await look_at_durability(database, production=False)).commits
    assert commits == ours
    journal = await PostgresJournal.open(
        database,
        connections=1,
        statement_timeout_s=5.0,
        lock_timeout_s=1.0,
        synchronous_commit=commits,
    )
    lane = journal.lane()
    pool = await open_pool(database, size=1, synchronous_commit=commits)
    show = "show synchronous_commit"
    try:
        for _ in range(2):
            # Twice: giving a connection back resets its session.
            assert await pool.fetchval(show) == ours
            assert await journal.pool.fetchval(show) == ours
        assert await (await inspection.connected(lane)).fetchval(show) == ours
    finally:
        await lane.close()
        await journal.close()
        await pool.close()


async def test_a_lane_that_was_told_nothing_waits_for_the_disk(database: str) -> None:
    await set_default(database, "off")
    journal = await PostgresJournal.open(
        database, connections=1, statement_timeout_s=5.0, lock_timeout_s=1.0
    )
    lane = journal.lane()
    try:
        assert await (await inspection.connected(lane)).fetchval("show synchronous_commit") == "on"
    finally:
        await lane.close()
        await journal.close()


@pytest.mark.parametrize("setting", ["full_page_writes", "fsync", "synchronous_commit"])
async def test_a_setting_that_changes_while_we_run_is_noticed_and_so_is_its_return(
    safe: str, setting: str
) -> None:
    risk = f"{setting} is off"
    watch = DurabilityWatch(safe, production=True)
    with capture_logs() as logs:
        await watch.look()
        assert (watch.risks, watch.changes) == ((), 0)
        await set_for_all(safe, setting, "off")
        await watch.look()
        await watch.look()
    assert (watch.risks, watch.changes) == ((risk,), 1)
    assert logs == [{"event": DATABASE_UNSAFE, "reason": risk, "log_level": "error"}]
    assert await watch.ready() == risk
    with pytest.raises(UnsafeDatabase, match=risk):
        await require_durability(safe, production=True)
    await set_for_all(safe, setting, "on")
    with capture_logs() as logs:
        await watch.look()
    assert [line["event"] for line in logs] == [DATABASE_SECURED]
    assert await watch.ready() is None


@pytest.mark.parametrize("production", [True, False])
async def test_a_role_that_changes_later_is_noticed_and_holds_up_production_alone(
    safe: str, production: bool
) -> None:
    risk = "synchronous_commit is off"
    watch = DurabilityWatch(safe, production=production)
    await execute(safe, "alter role cinema set synchronous_commit = off")
    try:
        await watch.look()
    finally:
        await execute(safe, "alter role cinema reset synchronous_commit")
    assert watch.risks == (risk,)
    assert await watch.ready() == (risk if production else None)
    await watch.look()
    assert (watch.risks, watch.changes) == ((), 1)


async def test_a_server_that_cannot_be_asked_changes_nothing() -> None:
    watch = DurabilityWatch(
        "postgresql://nobody@127.0.0.1:1/nothing", production=True, risks=("x",)
    )
    with capture_logs() as logs:
        await watch.look()
    assert (watch.risks, watch.failures) == (("x",), 1)
    assert [line["event"] for line in logs] == [DURABILITY_UNKNOWN]


async def test_a_start_says_that_it_is_postgres_which_cannot_be_used(database: str) -> None:
    there = urlsplit(database)
    other = there._replace(path=f"{there.path}_not_there").geturl()
    nowhere = "postgresql://cinema@127.0.0.1:1/cinema"
    for dsn, reason in ((nowhere, "(refused|failed)"), (other, "does not exist")):
        with pytest.raises(UnusableDatabase, match=f"DATABASE_URL: .*{reason}"):
            await require_durability(dsn, production=True)
