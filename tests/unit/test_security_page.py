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


LEVEL_2 = (
    "2.1:12 2.2:3 2.3:3 2.4:5 2.5:7 2.6:3 2.7:6 2.8:7 2.9:3 2.10:4"
    " 3.1:1 3.2:4 3.3:4 3.4:5 3.5:3 3.7:1 4.1:5 4.2:2 4.3:3 7.1:4 7.2:2 7.3:4 7.4:3"
)
"""How many requirements each section of ASVS 4.0.3 has up to level 2, with those withdrawn."""

WITHDRAWN = {"4.1.4", "7.3.2"}


def numbers() -> list[str]:
    """Those of the page, with `2.7.1–2.7.6` and `2.6.2, 2.6.3` written out."""
    found = []
    for row in ROWS:
        for part in row[0].removeprefix("| ").split(", "):
            first, _, last = part.partition("–")
            section, _, begin = first.rpartition(".")
            end = (last or first).rpartition(".")[2]
            found += [f"{section}.{number}" for number in range(int(begin), int(end) + 1)]
    return found


def test_each_requirement_of_level_2_stands_there_once() -> None:
    wanted = {
        f"{section}.{number}"
        for section, count in (one.split(":") for one in LEVEL_2.split())
        for number in range(1, int(count) + 1)
    }
    assert sorted(numbers()) == sorted(wanted - WITHDRAWN)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].removeprefix("| "))
def test_each_row_has_a_way_and_a_column_for_its_test(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row[:3])
