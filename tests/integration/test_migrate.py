import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest

from cinema.storage.migrate import MIGRATIONS, MigrationError, migrate

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


async def test_current_database_does_not_import_alembic(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in {"alembic", "sqlalchemy"}]:
        monkeypatch.delitem(sys.modules, name)
    await migrate(database)
    assert "alembic" not in sys.modules
    assert "sqlalchemy" not in sys.modules


async def test_database_of_a_newer_build_is_refused(empty_database: str, tmp_path: Path) -> None:
    newer, older = tmp_path / "newer", tmp_path / "older"
    newer.mkdir()
    older.mkdir()
    write(newer, _0001_one="create table one (x int)", _0002_two="create table two (x int)")
    write(older, _0001_one="create table one (x int)")
    await migrate(empty_database, directory=newer)
    with pytest.raises(MigrationError, match="0002, which this build does not know"):
        await migrate(empty_database, directory=older)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["0001_one", "0001_two"], "0001 exists twice"),
        (["1_one"], "named NNNN_name.sql"),
        ([], "no migrations"),
    ],
)
async def test_unclear_directory_is_refused_before_connecting(
    tmp_path: Path, names: list[str], complaint: str
) -> None:
    write(tmp_path, **{f"_{name}": "select 1" for name in names})
    with pytest.raises(MigrationError, match=complaint):
        await migrate("postgresql://nobody@nowhere.invalid/none", directory=tmp_path)
