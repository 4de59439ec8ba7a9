"""A Postgres of the test's own with cinema's tables, and a folder to back it up into."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinema.backups import follow
from cinema.storage.database.migrate import migrate
from tests.integration.backups.house import House, make_data


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped server's data folder with cinema's tables, for copies."""
    house = House(tmp_path_factory.mktemp("prepared"))
    make_data(house.data_dir)

    async def prepare() -> None:
        await migrate(house.postgres.start())
        await house.ask("create table kept (n serial primary key, name text)")
        await house.ask(
            "insert into showtime_heads (showtime_id, epoch) "
            "select gen_random_uuid(), n from generate_series(0, 9) as n"
        )
        house.postgres.stop()

    with asyncio.Runner() as runner:
        runner.run(prepare())
    return house.data


@pytest.fixture
def stopped_house(tmp_path: Path, prepared_data: Path) -> Iterator[House]:
    """A house whose server is still to be started, and is stopped in the end."""
    house = House(tmp_path)
    house.data_dir.mkdir()
    shutil.copytree(prepared_data, house.data, symlinks=True)
    owner = prepared_data.stat()
    for path in (house.data, *house.data.rglob("*")):
        shutil.chown(path, owner.st_uid, owner.st_gid)
    yield house
    house.postgres.stop()
    # Each leaves a hundred megabytes or two.
    shutil.rmtree(house.root, ignore_errors=True)


@pytest.fixture
async def house(stopped_house: House) -> House:
    """A house whose server runs."""
    await stopped_house.start()
    return stopped_house


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than needed."""
    monkeypatch.setattr(follow, "BEAT_S", 0.05)
    monkeypatch.setattr(follow, "RETRY_S", (0.05, 0.2))
    monkeypatch.setattr(follow, "DUE_CHECK_S", 0.1)
    monkeypatch.setattr(follow, "UPLOADS_EVERY_S", 0.1)
