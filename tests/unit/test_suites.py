"""What suites share stands in `tests/support`: none imports from another, nor from its tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_a_suite_imports_only_its_own_helpers_and_those_of_support() -> None:
    strays = {
        f"{path.relative_to(TESTS)} imports {module}"
        for path in TESTS.rglob("*.py")
        for module in imports(path)
        if not may_import(path, module.split(".")[1:])
    }
    assert strays == set()


def may_import(path: Path, module: list[str]) -> bool:
    suite, name = module[0], module[-1]
    is_test = name == "conftest" or name.startswith("test_")
    return suite in {"support", path.relative_to(TESTS).parts[0]} and not is_test


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.startswith("tests."))
