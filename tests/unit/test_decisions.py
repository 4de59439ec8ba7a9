"""The records of decisions: one number each, in the name and in the heading, in one form."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("*.md"))
_NAME = re.compile(r"(\d{3})-[a-z0-9-]+\.md")
_NAMED = re.compile(r"adr/(\d{3}-[a-z0-9-]+\.md)")
_LINK = re.compile(r"\[(?:ADR )?0*(\d+)\]\((?:[a-z./]*/)?(\d{3})-[a-z0-9-]+\.md\)")
_HEAD = re.compile(r"# (\d+)\. \S.*\n\n\d{4}-\d\d-\d\d\. Accepted\.")


def test_no_number_is_given_twice_or_left_out() -> None:
    numbers = Counter(int(path.name[:3]) for path in RECORDS)
    assert numbers == Counter(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_every_record_has_the_form(path: Path) -> None:
    name, text = _NAME.fullmatch(path.name), path.read_text()
    head = _HEAD.match(text)
    assert name
    assert head
    assert int(name[1]) == int(head[1])
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections[:2] == ["Context", "Decision"]
    assert "Consequences" in sections


def test_records_are_named_by_their_file_and_its_number() -> None:
    readers = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for suffix in ("py", "sql"):
        readers += (ROOT / "cinema").rglob(f"*.{suffix}")
    there = {path.name for path in RECORDS}
    wrong: list[tuple[str, str]] = []
    for path in readers:
        text = path.read_text()
        wrong += [(path.name, name) for name in _NAMED.findall(text) if name not in there]
        links = _LINK.findall(text)
        wrong += [(path.name, number) for number, file in links if int(number) != int(file)]
    assert wrong == []
