"""What Postgres is handed from the archive, and when it is told to stop instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cinema.backups import wal_fetch
from cinema.backups.wal_fetch import BROKEN, NOT_THERE, main

SIZE = 64
NAME = "000000010000000000000003"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    for folder in ("wal/old", "wal/new", "timelines"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def fetch(backups: Path, name: str = NAME, ends: str = "") -> tuple[int, bytes | None]:
    target = backups / "target"
    code = main([str(backups), str(SIZE), ends, name, str(target)])
    return code, target.read_bytes() if target.exists() else None


def filled(text: bytes) -> bytes:
    return text.ljust(SIZE, b"\0")


def test_what_is_not_there_is_the_end_of_the_log(backups: Path) -> None:
    assert fetch(backups) == (NOT_THERE, None)
    assert fetch(backups, "00000002.history") == (NOT_THERE, None)


def test_a_whole_segment_comes_before_a_partial_one(backups: Path) -> None:
    (backups / "wal/new" / f"{NAME}.partial").write_bytes(filled(b"longer than that"))
    assert fetch(backups) == (0, filled(b"longer than that"))
    (backups / "wal/old" / NAME).write_bytes(filled(b"whole"))
    assert fetch(backups) == (0, filled(b"whole"))


def test_of_two_partial_segments_the_one_with_more_log_is_taken(backups: Path) -> None:
    (backups / "wal/old" / f"{NAME}.partial").write_bytes(filled(b"some log"))
    (backups / "wal/new" / f"{NAME}.partial").write_bytes(filled(b"some"))
    assert fetch(backups) == (0, filled(b"some log"))


def test_a_segment_that_was_only_being_prepared_is_none(backups: Path) -> None:
    (backups / "wal/new" / f"{NAME}.partial").write_bytes(bytes(SIZE // 2))
    assert fetch(backups) == (NOT_THERE, None)


def test_half_a_segment_does_not_pass_for_the_end(
    backups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (backups / "wal/old" / NAME).write_bytes(b"half")
    assert fetch(backups) == (BROKEN, None)
    assert "has 4 bytes and not 64" in capsys.readouterr().err


def test_a_segment_that_cannot_be_read_does_not_pass_for_the_end(backups: Path) -> None:
    (backups / "wal/old" / NAME).write_bytes(filled(b"whole"))
    assert main([str(backups), str(SIZE), "", NAME, str(backups / "no" / "target")]) == BROKEN


def test_timelines_are_found_wherever_they_are(backups: Path) -> None:
    (backups / "timelines" / "00000002.history").write_text("1 0/1 why")
    assert fetch(backups, "00000002.history") == (0, b"1 0/1 why")
    (backups / "wal/new" / "00000003.history").write_text("2 0/2 why")
    assert fetch(backups, "00000003.history") == (0, b"2 0/2 why")


def test_a_branch_that_was_left_ends_where_it_was_left(backups: Path) -> None:
    for timeline in (1, 2):
        for number in (2, 3, 4):
            name = f"{timeline:08X}{0:08X}{number:08X}"
            (backups / "wal/old" / name).write_bytes(filled(name.encode()))
    ends = "00000001:3,00000005:1"
    assert fetch(backups, "000000010000000000000002", ends)[0] == 0
    for name in ("000000010000000000000003", "000000010000000000000004"):
        assert fetch(backups, name, ends)[0] == NOT_THERE
    for name in ("000000020000000000000003", "000000020000000000000004"):
        assert fetch(backups, name, ends)[0] == 0


def test_it_runs_without_the_package(backups: Path) -> None:
    (backups / "wal/old" / NAME).write_bytes(filled(b"whole"))
    target = backups / "target"
    command = [sys.executable, "-I", "-S", wal_fetch.__file__, backups, str(SIZE), "", NAME, target]
    assert subprocess.run(command, check=False, env={}).returncode == 0
    assert target.read_bytes() == filled(b"whole")
