"""One idiom of refusing: values in domain and actors, raised by services, at one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cinema
from cinema.domain.rejections import Refused, Rejection
from cinema.features.refusals import found, granted

HOUSE = Path(cinema.__file__).parent
MODULES = sorted((HOUSE / "features").rglob("*.py"))
RAISED_HERE = HOUSE / "features" / "refusals.py"


def test_an_answer_passes_and_a_refusal_is_raised() -> None:
    refusal = Rejection(code="SALES_CLOSED", details={"opens_at": "tomorrow"})
    assert granted(7) == 7
    assert granted(None) is None
    with pytest.raises(Refused) as refused:
        granted(refusal)
    assert refused.value.rejection is refusal


def test_what_is_not_there_is_not_found() -> None:
    assert found("") == ""
    with pytest.raises(Refused) as refused:
        found(None)
    assert refused.value.rejection == Rejection(code="NOT_FOUND")


def named(node: ast.AST | None) -> set[str]:
    """The names in an expression."""
    if node is None:
        return set()
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_refusal_given_as_a_value_is_raised_at_one_place(path: Path) -> None:
    raised = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and "Refused" in named(node.func)
    ]
    assert (raised == []) == (path != RAISED_HERE)


def awaited_methods() -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    """All coroutines of features, each with where it stands."""
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.AsyncFunctionDef):
                yield f"{path.relative_to(HOUSE)}:{node.name}", node


def test_no_use_case_answers_a_refusal() -> None:
    methods = dict(awaited_methods())
    assert len(methods) > 100
    refusing = {where for where, method in methods.items() if "Rejection" in named(method.returns)}
    assert refusing == set()


@pytest.mark.parametrize("room", ["domain", "actors"])
def test_domain_and_actors_raise_no_refusal(room: str) -> None:
    for path in sorted((HOUSE / room).rglob("*.py")):
        if path.name != "rejections.py":
            assert {"refuse", "Refused"}.isdisjoint(named(tree_of(path))), path
