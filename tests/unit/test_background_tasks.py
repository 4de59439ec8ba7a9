"""Nothing in the background ends unheard: one wrapper starts tasks, and keeps loops going."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import cinema
from cinema.actors.tasks import Tasks
from cinema.jobs import housekeeping
from cinema.jobs.housekeeping import Housekeeping
from tests.support.actors.virtual_time import in_virtual_time

PACKAGE = Path(cinema.__file__).parent

PERIOD_S = 60.0

STARTERS = {"create_task", "ensure_future", "run_coroutine_threadsafe"}

AWAITED = {
    "app/serve.py",  # what `_unless` and `_until_stopped` wait for themselves
    "actors/tasks.py",  # the wrapper
    "local/cluster/supervisor.py",  # a group that ends with its first failure, and says why
    "backups/follow.py",  # the same
    "integrations/stripe/double/deliveries.py",  # of no server: `close` and `settled` wait
}
"""Where tasks may start without the wrapper, because somebody waits for each of them."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text())


def called(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the last part of the function's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Attribute(attr=name) | ast.Name(id=name):
                    yield name, node


def runs_for_ever(function: ast.AsyncFunctionDef) -> bool:
    """Whether it has a loop that only a failure or a cancellation ends."""
    return any(
        isinstance(node, ast.While)
        and isinstance(node.test, ast.Constant)
        and not any(isinstance(inner, ast.Return | ast.Break) for inner in ast.walk(node))
        for node in ast.walk(function)
    )


def test_tasks_start_only_through_the_wrapper() -> None:
    found = {path for path, tree in sources() for name, _ in called(tree) if name in STARTERS}
    assert found == AWAITED


def test_every_loop_that_is_to_run_for_ever_is_kept() -> None:
    loops, kept, started = set(), set(), set()
    for _, tree in sources():
        loops |= {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.AsyncFunctionDef) and runs_for_ever(node)
        }
        for name, call in called(tree):
            if name == "keep" and len(call.args) == 2:
                kept |= {
                    part.attr if isinstance(part, ast.Attribute) else part.id
                    for part in ast.walk(call.args[1])
                    if isinstance(part, ast.Attribute | ast.Name)
                }
            if name == "start" and len(call.args) >= 2:
                started |= {inner for inner, _ in called(call.args[1])}
    assert {"_run_ticks", "_keep_clock", "_run_interest"} <= loops & kept
    assert not loops & started


@pytest.mark.parametrize("error", [asyncpg.DiskFullError("full"), ZeroDivisionError("a bug")])
@in_virtual_time
async def test_housekeeping_survives_an_error_that_nobody_foresaw(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "PERIOD_S", PERIOD_S)
    rounds: list[float] = []

    class Rounds(Housekeeping):
        def __init__(self) -> None:
            """Without a database: only when rounds take place is of interest."""

        async def round(self) -> None:
            rounds.append(asyncio.get_running_loop().time())
            if len(rounds) == 1:
                raise error

    tasks: Any = Tasks()
    tasks.keep("housekeeping", Rounds().run)
    await asyncio.sleep(1.5 * PERIOD_S)
    assert len(rounds) == 1
    assert tasks.failures == {"housekeeping": 1}
    await asyncio.sleep(PERIOD_S)
    assert len(rounds) == 2
    await tasks.cancel()
