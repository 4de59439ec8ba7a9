"""Words that stood for several things name one each (docs/glossary.md, Names in the code)."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def test_each_name_of_the_glossary_is_given_once() -> None:
    _, _, section = (ROOT / "docs" / "glossary.md").read_text().partition("## Names in the code")
    given = Counter(name for path in (ROOT / "cinema").rglob("*.py") for name in names_in(path))
    listed = ROW.findall(section)
    assert len(listed) > 5
    assert {name: given[name] for name in listed} == dict.fromkeys(listed, 1)
    assert given["Answer"] == 0, "say whose answer it is: see Reply, Outcome and Refused"


def test_every_class_has_a_name_of_its_own() -> None:
    """A name that two modules give to different things has to be looked up each time."""
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "cinema").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                found = places.setdefault(node.name.removeprefix("_"), [])
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(places) > 1000
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def names_in(path: Path) -> Iterator[str]:
    """Classes and aliases of types in a module; private ones without their underscore."""
    for name in own_names_in(path):
        yield name.removeprefix("_")


def own_names_in(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
