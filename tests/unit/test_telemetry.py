"""`docs/telemetry.md` lists every log event and every metric, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cinema

PACKAGE = Path(cinema.__file__).parent
DOCUMENT = (PACKAGE.parent / "docs" / "telemetry.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def constants() -> dict[str, str]:
    """Module-level names that stand for a text, of all modules: event names are imported."""
    found: dict[str, str] = {}
    for _, tree in sources():
        for node in tree.body:
            match node:
                case ast.AnnAssign(target=ast.Name(name), value=ast.Constant(str(text))):
                    found[name] = text
                case ast.Assign(targets=[ast.Name(name)], value=ast.Constant(str(text))):
                    found[name] = text
    return found


def logged_events() -> dict[str, Path]:
    known = constants()
    events: dict[str, Path] = {}
    for path, tree in sources():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            is_logger = isinstance(owner, ast.Name) and owner.id in {"log", "_log", "logger"}
            if not is_logger or node.func.attr not in LEVELS:
                continue
            name = next(
                (arg for arg in node.args if isinstance(arg, (ast.Name, ast.Constant))), None
            )
            if isinstance(name, ast.Name):
                events[known[name.id]] = path
            elif isinstance(name, ast.Constant):
                events[str(name.value)] = path
    return events


def metric_names() -> set[str]:
    """Texts that can only be names of metrics; a counter gets its `_total` when exported."""
    return {
        node.value.removesuffix("_total")
        for path, tree in sources()
        if path.name.endswith("metrics.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"cinema_[a-z_]+", node.value)
    }


def listed(section: str) -> set[str]:
    part = DOCUMENT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", part, re.MULTILINE))


def test_every_log_event_is_listed() -> None:
    events = {*logged_events(), "request_finished"}
    assert listed("Log events") == events


def test_event_names_are_noun_verbed() -> None:
    for event, path in logged_events().items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", event), (event, path)


def test_every_metric_is_listed() -> None:
    assert {name.removesuffix("_total") for name in listed("Metrics")} == metric_names()
