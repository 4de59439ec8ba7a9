"""Killed servers leave files behind that are no measurement: they must not spoil the others."""

from __future__ import annotations

import warnings
from pathlib import Path

import coverage
import pytest
from coverage.exceptions import CoverageWarning, NoDataError

from tests.support.coverage_files import drop_broken_files


def measured(path: Path, lines: dict[str, list[int]]) -> None:
    data = coverage.CoverageData(str(path))
    data.add_lines(lines)
    data.write()
    data.close()


def summed_up(folder: Path) -> coverage.Coverage:
    done = coverage.Coverage(data_file=str(folder / ".coverage"), config_file=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CoverageWarning)
        done.combine(data_paths=[str(folder)], strict=True)
    return done


def test_what_was_left_half_written_is_dropped_and_the_rest_is_summed_up(tmp_path: Path) -> None:
    measured(tmp_path / ".coverage.one", {"/a.py": [1, 2]})
    measured(tmp_path / ".coverage.two", {"/a.py": [3]})
    (tmp_path / ".coverage.empty").touch()
    (tmp_path / ".coverage.junk").write_bytes(b"SQLite format 3\0" + b"\0" * 400)
    (tmp_path / ".coverage.one-journal").touch()
    with pytest.raises((CoverageWarning, NoDataError)):
        summed_up(tmp_path)
    assert drop_broken_files(tmp_path) == [".coverage.empty", ".coverage.junk"]
    data = summed_up(tmp_path).get_data()
    assert sorted(data.lines("/a.py") or ()) == [1, 2, 3]
