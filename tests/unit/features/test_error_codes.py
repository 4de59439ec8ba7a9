"""Each code is declared once, by the feature that refuses with it, and documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cinema
from cinema.app.features import ERRORS, FEATURES
from cinema.http.errors import OF_NOW, OF_REQUESTS, ErrorKind, error_table

PACKAGE = Path(cinema.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "errors.md"
OF_HTTP = {**OF_REQUESTS, **OF_NOW}


def test_every_code_in_the_source_is_in_the_table() -> None:
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "refuse" and node.args:
                    used |= _text(node.args[0])
                elif node.func.id == "Rejection":
                    used |= {c for k in node.keywords if k.arg == "code" for c in _text(k.value)}
    assert len(used) > 20
    assert used <= set(ERRORS)


def _text(node: ast.expr) -> set[str]:
    return {str(node.value)} if isinstance(node, ast.Constant) else set()


def test_document_lists_the_table_in_its_order() -> None:
    row = re.compile(r"^\| `(\w+)` \| (\d+) \| (\d* ?s?) \| (.+) \|$", re.MULTILINE)
    rows = row.findall(DOCUMENT.read_text())
    assert rows == [
        (
            code,
            str(kind.status),
            f"{kind.retry_after_s} s" if kind.retry_after_s else "",
            kind.message,
        )
        for code, kind in ERRORS.items()
    ]


def test_a_code_cannot_be_declared_twice() -> None:
    again = {"SEAT_UNAVAILABLE": ErrorKind(409, "Gone.")}
    with pytest.raises(ValueError, match="SEAT_UNAVAILABLE"):
        error_table([again, again])
    with pytest.raises(ValueError, match="NOT_FOUND"):
        error_table([{"NOT_FOUND": ErrorKind(404, "Not here.")}])


def texts(path: Path) -> Iterator[str]:
    """All strings in a file, or in those of a folder but for its declarations of codes."""
    files = [path] if path.suffix else path.rglob("*.py")
    for file in files:
        if file.name != "errors.py":
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_every_feature_uses_the_codes_that_it_declares() -> None:
    for name, listed in FEATURES.items():
        unused = listed.errors.keys() - set(texts(PACKAGE / "features" / name))
        assert not unused, f"{name} declares {unused}"


def test_a_feature_that_has_codes_lists_them() -> None:
    declaring = {path.parent.name for path in PACKAGE.glob("features/*/errors.py")}
    assert declaring == {name for name, listed in FEATURES.items() if listed.errors}


def test_http_declares_what_it_refuses_or_several_features_do() -> None:
    in_http = set(texts(PACKAGE / "http"))
    of_features = {name: set(texts(PACKAGE / "features" / name)) for name in FEATURES}
    for code in OF_HTTP:
        users = [name for name, used in of_features.items() if code in used]
        assert code in in_http or len(users) > 1, f"{code} belongs to {users}"


def test_http_names_no_code_of_a_feature() -> None:
    of_features = ERRORS.keys() - OF_HTTP.keys()
    assert of_features.isdisjoint(texts(PACKAGE / "http"))
