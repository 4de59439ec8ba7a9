"""`docs/telemetry.md` lists every log event and every metric, and nothing else."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import cinema

PACKAGE = Path(cinema.__file__).parent
DOCUMENT = (PACKAGE.parent / "docs" / "telemetry.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}


@cache
def sources() -> tuple[tuple[Path, ast.Module], ...]:
    return tuple((path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py")))


@cache
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


def is_log(called: ast.expr) -> bool:
    match called:
        case ast.Attribute(value=ast.Name("log" | "_log" | "logger"), attr=level):
            return level in LEVELS
    return False


@cache
def logged_events() -> dict[str, Path]:
    known = constants()
    events: dict[str, Path] = {}
    for path, tree in sources():
        for node in ast.walk(tree):
            # A limit logs for whoever gives it the method: `limit.write(log.warning, EVENT)`.
            if not isinstance(node, ast.Call) or not any(map(is_log, (node.func, *node.args))):
                continue
            name = next(
                (arg for arg in node.args if isinstance(arg, (ast.Name, ast.Constant))), None
            )
            if isinstance(name, ast.Name):
                events[known[name.id]] = path
            elif isinstance(name, ast.Constant):
                events[str(name.value)] = path
    return events


def limited_events() -> dict[str, bool]:
    """Events that a limit logs somewhere, and whether none is logged past it but with a bug."""
    known = constants()
    limited: set[str] = set()
    unlimited: set[str] = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="write") | ast.Name("Rounds"),
                    args=[called, ast.Name(name), *_],
                ):
                    if is_log(called):
                        limited.add(known[name])
                case ast.Call(func=ast.Attribute(attr=level) as called, args=[ast.Name(name), *_]):
                    if is_log(called) and level != "exception":
                        unlimited.add(known[name])
    return {event: event not in unlimited for event in limited}


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


def test_what_comes_in_loops_is_limited_everywhere_and_says_how_many_were_left_out() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|.*`suppressed`", DOCUMENT, re.MULTILINE)
    assert limited_events() == dict.fromkeys(rows, True)
    assert {
        "link_refused", "views_unreachable", "restore_failed", "forwarded_answer_failed",
        "commit_aborted", "commit_unknown", "revocations_unread",
    } <= set(rows)  # fmt: skip
