import asyncio
from pathlib import Path

import asyncpg
import pytest

from cinema.storage.database.migrate import MIGRATIONS, MigrationError, Patience, migrate

pytestmark = pytest.mark.postgres


async def fetch(dsn: str, sql: str) -> list[object]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def write(directory: Path, **files: str) -> Path:
    for name, sql in files.items():
        (directory / f"{name[1:]}.sql").write_text(sql)
    return directory


async def test_empty_database_gets_every_revision(empty_database: str) -> None:
    await migrate(empty_database)
    newest = max(path.name[:4] for path in MIGRATIONS.glob("*.sql"))
    assert await fetch(empty_database, "select version_num from alembic_version") == [newest]
    assert await fetch(empty_database, "select count(*) from users") == [0]


async def test_dropping_a_file_in_is_all_a_new_revision_takes(
    empty_database: str, tmp_path: Path
) -> None:
    write(tmp_path, _0001_one="create table one (x int); create table more (x int);")
    await migrate(empty_database, directory=tmp_path)
    write(tmp_path, _0002_two="create table two (x int); insert into one values (1);")
    await migrate(empty_database, directory=tmp_path)
    await migrate(empty_database, directory=tmp_path)
    assert await fetch(empty_database, "select x from one") == [1]
    assert await fetch(empty_database, "select version_num from alembic_version") == ["0002"]


async def test_runners_at_once_apply_each_revision_once(
    empty_database: str, tmp_path: Path
) -> None:
    write(
        tmp_path,
        _0001_one="create table one (x int)",
        _0002_two="select pg_sleep(0.05); insert into one values (1);",
    )
    await asyncio.gather(*(migrate(empty_database, directory=tmp_path) for _ in range(5)))
    assert await fetch(empty_database, "select x from one") == [1]


async def test_failing_revision_leaves_nothing_of_the_run(
    empty_database: str, tmp_path: Path
) -> None:
    write(tmp_path, _0001_one="create table one (x int)", _0002_two="create table broken (")
    with pytest.raises(Exception, match="syntax error"):
        await migrate(empty_database, directory=tmp_path)
    assert await fetch(empty_database, "select to_regclass('one')::text") == [None]


async def test_database_that_alembic_has_made_goes_on_from_there(
    empty_database: str, tmp_path: Path
) -> None:
    made = """
    create table one (x int);
    create table alembic_version (
        version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
    );
    insert into alembic_version values ('0001')
    """
    connection = await asyncpg.connect(empty_database)
    await connection.execute(made)
    await connection.close()
    write(tmp_path, _0001_one="create table one (x int)", _0002_two="create table two (y int)")
    assert await migrate(empty_database, directory=tmp_path) == "0002"
    assert await migrate(empty_database, directory=tmp_path) is None
    assert await fetch(empty_database, "select version_num from alembic_version") == ["0002"]
    assert await fetch(empty_database, "select count(*) from two") == [0]


async def test_a_lost_connection_leaves_nothing_of_the_run(
    empty_database: str, tmp_path: Path
) -> None:
    write(
        tmp_path,
        _0001_one="create table one (x int)",
        _0002_two="select pg_terminate_backend(pg_backend_pid())",
    )
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await migrate(empty_database, directory=tmp_path)
    assert await fetch(empty_database, "select to_regclass('one')::text") == [None]


def build(folder: Path, **files: str) -> Path:
    """The migrations of one version, in a folder of its own."""
    directory = folder / str(len(files))
    directory.mkdir()
    return write(directory, **files)


ONE = {"_0001_one": "create table one (x int)"}
TWO = ONE | {"_0002_two": "alter table one add column y int"}
THREE = TWO | {"_0003_three": "-- contract: 0002\nalter table one drop column x"}


async def test_a_build_serves_what_a_newer_one_has_only_added_to(
    empty_database: str, tmp_path: Path
) -> None:
    older, newer = build(tmp_path, **ONE), build(tmp_path, **TWO)
    await migrate(empty_database, directory=older)
    await migrate(empty_database, directory=newer)
    await migrate(empty_database, directory=older)
    assert await fetch(empty_database, "select version_num from alembic_version") == ["0002"]


async def test_a_build_is_refused_once_what_it_uses_is_gone(
    empty_database: str, tmp_path: Path
) -> None:
    oldest, older, newest = (build(tmp_path, **files) for files in (ONE, TWO, THREE))
    await migrate(empty_database, directory=newest)
    await migrate(empty_database, directory=older)
    with pytest.raises(MigrationError, match="0003, which this build does not know"):
        await migrate(empty_database, directory=oldest)


async def test_what_was_removed_stays_known_when_more_is_added(
    empty_database: str, tmp_path: Path
) -> None:
    oldest, newest = build(tmp_path, **ONE), build(tmp_path, **THREE)
    more = build(tmp_path, **THREE, _0004_more="create table more (x int)")
    await migrate(empty_database, directory=newest)
    await migrate(empty_database, directory=more)
    await migrate(empty_database, directory=newest)
    with pytest.raises(MigrationError, match="0004, which this build does not know"):
        await migrate(empty_database, directory=oldest)


async def test_a_database_that_tells_nothing_of_older_builds_is_refused(
    empty_database: str, tmp_path: Path
) -> None:
    older, newer = build(tmp_path, **ONE), build(tmp_path, **TWO)
    await migrate(empty_database, directory=newer)
    await fetch(empty_database, "drop table schema_support")
    with pytest.raises(MigrationError, match="0002, which this build does not know"):
        await migrate(empty_database, directory=older)


async def test_builds_of_two_versions_may_start_at_once(
    empty_database: str, tmp_path: Path
) -> None:
    slow = TWO | {"_0002_two": "select pg_sleep(0.1); alter table one add column y int"}
    older, newer = build(tmp_path, **ONE), build(tmp_path, **slow)
    runners = [migrate(empty_database, directory=one) for one in (newer, older) * 3]
    await asyncio.gather(*runners)
    assert await fetch(empty_database, "select version_num from alembic_version") == ["0002"]


async def test_a_migration_gives_way_rather_than_hold_everybody_up(
    empty_database: str, tmp_path: Path
) -> None:
    patience = Patience(wait_ms=100, pause_s=0.1)
    await migrate(empty_database, directory=build(tmp_path, **ONE))
    newer = build(tmp_path, **TWO)
    dump = await asyncpg.connect(empty_database)
    try:
        async with dump.transaction():
            await dump.execute("lock table one in access share mode")
            migrating = asyncio.ensure_future(
                migrate(empty_database, directory=newer, patience=patience)
            )
            async with asyncio.timeout(10):
                await waits_for_table(empty_database)
                await fetch(empty_database, "select x from one")
            assert not migrating.done()
        async with asyncio.timeout(10):
            await migrating
    finally:
        await dump.close()
    assert await fetch(empty_database, "select y from one") == []


async def waits_for_table(dsn: str) -> None:
    waiting = "select count(*) from pg_locks where relation = 'one'::regclass and not granted"
    while await fetch(dsn, waiting) == [0]:
        pass


async def test_a_migration_that_finds_no_time_says_so(empty_database: str, tmp_path: Path) -> None:
    patience = Patience(wait_ms=10, attempts=3, pause_s=0.0)
    await migrate(empty_database, directory=build(tmp_path, **ONE))
    dump = await asyncpg.connect(empty_database)
    try:
        async with dump.transaction():
            await dump.execute("lock table one in access share mode")
            with pytest.raises(MigrationError, match="long transactions"):
                await migrate(empty_database, directory=build(tmp_path, **TWO), patience=patience)
    finally:
        await dump.close()


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["0001_one", "0001_two"], "0001 exists twice"),
        (["1_one"], "named NNNN_name.sql"),
        (["0001_one", "0003_three"], "there is no revision 0002"),
        ([], "no migrations"),
    ],
)
async def test_unclear_directory_is_refused_before_connecting(
    tmp_path: Path, names: list[str], complaint: str
) -> None:
    write(tmp_path, **{f"_{name}": "select 1" for name in names})
    with pytest.raises(MigrationError, match=complaint):
        await migrate("postgresql://nobody@nowhere.invalid/none", directory=tmp_path)
