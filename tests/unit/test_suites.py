"""What suites share, and whatever sees private parts of cinema, stands in `tests/support`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
HOUSE = TESTS.parent / "cinema"
INSPECTING = ("tests/support/inspection.py", "tests/simulation/*.py", "tests/e2e/http/*.py")
"""Those that `pyproject.toml` lets look at what is private to a class."""


def test_a_suite_imports_only_its_own_helpers_and_those_of_support() -> None:
    strays = {
        f"{path.relative_to(TESTS)} imports {module}"
        for path in TESTS.rglob("*.py")
        for module in imports(path)
        if not may_import(path, module.split(".")[1:])
    }
    assert strays == set()


def test_what_is_private_to_a_class_is_patched_only_by_inspection() -> None:
    """Ruff sees `one._name`, but not a name that is given to `setattr` as a text."""
    private = {name for path in HOUSE.rglob("*.py") for name in private_members(path)}
    assert len(private) > 500
    strays = {
        f"{path.relative_to(TESTS)}:{line} patches {name}"
        for path in TESTS.rglob("*.py")
        if not any(path.match(one) for one in INSPECTING)
        for name, line in patched(path)
        if name in private
    }
    assert strays == set()


def test_what_is_private_to_a_module_is_not_imported_or_patched() -> None:
    strays = {
        f"{path.relative_to(TESTS)}:{line} uses {name}"
        for path in TESTS.rglob("*.py")
        if not any(path.match(one) for one in INSPECTING)
        for name, line in [*patched(path), *imported_from_the_house(path)]
        if is_private(name)
    }
    assert strays == set()


def imported_from_the_house(path: Path) -> Iterator[tuple[str, int]]:
    """The names that a module imports from `cinema`, and where."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cinema."):
            yield from ((one.name, node.lineno) for one in node.names)


def test_nothing_is_patched_by_a_dotted_path() -> None:
    """`docs/development.md` says what may be patched; a path as a text is found by no tool."""
    strays = {
        f"{path.relative_to(TESTS)}:{line} patches {target}"
        for path in TESTS.rglob("*.py")
        for target, line in patched_by_path(parsed(path))
    }
    assert strays == set()


@pytest.mark.parametrize(
    "patch",
    [
        'monkeypatch.setattr("cinema.actors.actor.evolve", broken)',
        'monkeypatch.delattr("getpass.getpass")',
        'mock.patch("cinema.cli.main.run")',
        'patch("cinema.cli.main.run")',
    ],
)
def test_a_patch_by_a_dotted_path_is_found(patch: str) -> None:
    assert list(patched_by_path(ast.parse(patch)))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def patched_by_path(module: ast.Module) -> Iterator[tuple[str, int]]:
    """The dotted paths, as texts, that something is patched by, and where."""
    for node in ast.walk(module):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="setattr" | "delattr" | "patch") | ast.Name(id="patch"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield target, node.lineno


def private_members(path: Path) -> Iterator[str]:
    """Methods and attributes of the classes of a module that begin with one underscore."""
    for owner in ast.walk(parsed(path)):
        if isinstance(owner, ast.ClassDef):
            for node in ast.walk(owner):
                match node:
                    case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                        yield from [name] if is_private(name) else []
                    case ast.Attribute(value=ast.Name(id="self"), attr=name):
                        yield from [name] if is_private(name) else []


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def patched(path: Path) -> Iterator[tuple[str, int]]:
    """The names that a module gives to `setattr` or `delattr`, and where."""
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="setattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ):
                yield name, node.lineno


def may_import(path: Path, module: list[str]) -> bool:
    suite, name = module[0], module[-1]
    is_test = name == "conftest" or name.startswith("test_")
    return suite in {"support", path.relative_to(TESTS).parts[0]} and not is_test


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.startswith("tests."))
