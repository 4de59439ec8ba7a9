"""What documents name exists: files, methods, decisions; and the layout names all folders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FOLDERS = {"cinema", "tests", "docs", "deploy", "bin", "benchmarks"}

NAMED = re.compile(r"`([\w./-]+)`")
METHOD = re.compile(r"`([A-Z]\w+)\.(\w+)`")
DECISION = re.compile(r"\[([^]\[]*)\]\([\w./-]*?(\d{3})-[\w-]+\.md\)")
LINKING = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    assert [name for name in named(page) if not exists(name)] == []


def test_the_layout_of_the_code_names_every_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    (layout,) = re.findall(
        r"^## Layout of the code\n\n```\n(.+?)```", page, re.MULTILINE | re.DOTALL
    )
    for folder, indent in ((ROOT / "cinema", 2), (ROOT / "cinema" / "features", 4)):
        listed = re.findall(rf"^ {{{indent}}}(\w+)/", layout, re.MULTILINE)
        assert sorted(listed) == sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def test_methods_that_the_architecture_names_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    found = METHOD.findall(page)
    assert len(found) > 30
    bodies = dict(bodies_of_classes())
    unknown = [
        f"{owner}.{member}"
        for owner, member in found
        if owner in bodies and not re.search(rf"\b{member}\b", bodies[owner])
    ]
    assert unknown == []


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_decisions_show_their_numbers(page: Path) -> None:
    shown = [
        (text, number)
        for text, number in DECISION.findall(page.read_text())
        if re.findall(r"\b\d{3}\b", text) not in ([], [number])
    ]
    assert shown == []


def bodies_of_classes() -> Iterator[tuple[str, str]]:
    """Each class of the house with its text; of several with one name all texts."""
    bodies: dict[str, str] = {}
    for path in sorted((ROOT / "cinema").rglob("*.py")):
        text = path.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                body = "\n".join(text.splitlines()[node.lineno : node.end_lineno])
                bodies[node.name] = bodies.get(node.name, "") + body
    yield from bodies.items()


def named(page: Path) -> Iterator[str]:
    """Modules by their names, and paths that begin with one of our folders."""
    for name in NAMED.findall(page.read_text()):
        first, slash, _ = name.partition("/")
        if name.endswith((".py", ".sql", ".lua")) or (slash and first in FOLDERS):
            yield name


def exists(name: str) -> bool:
    """As a path from the root or from `cinema`, or as the end of one of a module there."""
    if "NNN" in name:
        return True  # stands for the next number
    if any((folder / name).exists() for folder in (ROOT, ROOT / "cinema")):
        return True
    return any(str(path).endswith(f"/{name}") for path in FILES)


FILES = [
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.*")
    if path.suffix in {".py", ".sql", ".lua"}
]
