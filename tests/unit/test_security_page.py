"""`docs/security.md` names tests that show what it says: they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+)`", PAGE)))
EXISTING = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
}
ROWS = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d", line)]


@pytest.mark.parametrize("name", NAMED)
def test_named_test_exists(name: str) -> None:
    assert name in EXISTING


def test_each_requirement_stands_there_once() -> None:
    numbers = [row[0].removeprefix("| ") for row in ROWS]
    assert len(numbers) == len(set(numbers))
    assert len(numbers) > 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].removeprefix("| "))
def test_each_row_has_a_way_and_a_column_for_its_test(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row[:3])
