"""`cinema backup` and `cinema restore` as people type them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cinema.cli.main import main
from tests.integration.backups.house import House

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture(autouse=True)
def environment(stopped_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(stopped_house.data_dir))
    monkeypatch.setenv("BACKUP_DIR", str(stopped_house.folder.root))
    monkeypatch.delenv("DATABASE_URL", raising=False)


def spoken(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out + said.err


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_stopped_house_is_backed_up_listed_verified_and_restored(
    stopped_house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, said = spoken(capsys, "backup")
    assert code == 0
    assert "taken and verified" in said
    backup = printed(capsys, "backup", "--list")["backups"][0]["id"]
    listed = spoken(capsys, "backup", "--list")[1]
    assert listed.startswith(f"cinema: {backup}  timeline 1")
    assert re.search(
        r"  only \S+ \S+Z, when it was taken: no log was archived after it$", listed, re.MULTILINE
    )
    assert "any moment" not in listed
    assert spoken(capsys, "backup", "--verify") == (0, "cinema: all backups are sound\n")
    assert printed(capsys, "backup", "--verify") == {"problems": []}
    code, said = spoken(capsys, "restore")
    assert code == 1
    assert "would be overwritten" in said
    code, said = spoken(capsys, "restore", "--move-old-to", str(tmp_path / "old"))
    assert code == 0
    assert f"from base backup {backup}: 10 showtimes" in said


def test_what_is_damaged_is_an_exit_code(
    stopped_house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup"]) == 0
    (base,) = stopped_house.folder.bases()
    (stopped_house.folder.data_of(base) / "PG_VERSION").unlink()
    code, said = spoken(capsys, "backup", "--verify")
    assert code == 1
    assert "PG_VERSION is missing" in said


def test_only_as_many_backups_stay_as_are_wanted(
    stopped_house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = printed(capsys, "backup")["backup"]["id"]
    stopped_house.folder.base.joinpath(first).rename(stopped_house.folder.base / "20200101T000000Z")
    path = stopped_house.folder.base / "20200101T000000Z" / "backup.json"
    path.write_text(path.read_text().replace(first, "20200101T000000Z"))
    code, said = spoken(capsys, "backup", "--backup-keep", "1")
    assert code == 0
    assert "removed 20200101T000000Z" in said
    assert len(stopped_house.folder.bases()) == 1


@pytest.mark.parametrize(
    ("moment", "why"),
    [("yesterday", "is not a moment"), ("2026-11-21T18:30:00", "has no offset")],
)
def test_a_moment_is_given_with_its_offset(
    moment: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = spoken(capsys, "restore", "--to-time", moment)
    assert code == 1
    assert why in said


def test_a_server_of_its_own_is_restored_into_a_folder_only(
    stopped_house: House,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["backup"]) == 0
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/cinema")
    code, said = spoken(capsys, "restore")
    assert code == 1
    assert "restore --into a folder" in said
    target = tmp_path / "elsewhere" / "data"
    assert printed(capsys, "restore", "--into", str(target))["timeline"] == 2
    assert (target / "PG_VERSION").exists()
    assert not (target / "recovery.signal").exists()
    assert stopped_house.data.exists()


def test_a_folder_without_backups_or_a_house_without_data_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    empty = str(tmp_path / "empty")
    for command in (("backup", "--list"), ("restore",)):
        code, said = spoken(capsys, *command)
        assert code == 1
        assert "holds no backups of cinema" in said
    code, said = spoken(capsys, "backup", "--data-dir", empty)
    assert code == 1
    assert "there is no database in" in said
    code, said = spoken(capsys, "backup", "--forget", "--data-dir", empty)
    assert code == 1
    assert "no Postgres runs on" in said


async def test_a_running_house_is_backed_up_as_it_is_and_can_be_forgotten(house: House) -> None:
    import asyncio

    async with house.following():
        await house.archived()
    assert await asyncio.to_thread(main_off_the_main_thread, "backup", "--forget") == 0
    assert await house.ask("select count(*) from pg_replication_slots") == 0


def main_off_the_main_thread(*arguments: str) -> int:
    return main(arguments)
