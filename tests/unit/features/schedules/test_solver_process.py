"""The process that solves: what it tells, and that it ends with whoever started it."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import pytest

from cinema.features.schedules.solver_process import SolverEnded, solved
from cinema.features.showtimes.planner.task import PlanProgress, PlanTask
from cinema.features.showtimes.planner.worth import violations, worth
from tests.unit.features.showtimes.planner.problems import a_problem

pytestmark = pytest.mark.process

STARTED = msgspec.json.encode(PlanProgress(done=0.5, shows=(), value=7.0)).decode()


def saying(*lines: str, then: str = "") -> list[str]:
    """A process that reads its task, says something, and does something."""
    said = "".join(f"print({line!r}, flush=True);" for line in lines)
    return [sys.executable, "-c", f"import sys; sys.stdin.readline(); {said}{then}"]


PATIENCE_S = 30.0
"""A test waits so long only when something is wrong."""

HANGS = "sys.stdin.read()"


class Told:
    """What a process has told; `limit` ends with the first word if asked to."""

    def __init__(self) -> None:
        self.lines: list[PlanProgress] = []
        self.limit = asyncio.timeout(None)
        self.ends_limit = False

    async def __call__(self, progress: PlanProgress) -> None:
        self.lines.append(progress)
        if self.ends_limit:
            self.limit.reschedule(asyncio.get_running_loop().time())


async def test_the_process_solves() -> None:
    told, one_problem = Told(), a_problem()
    last = await solved(one_problem, 1.0, told)
    assert last.is_last
    assert last.bound is not None
    assert violations(one_problem, last.shows) == []
    assert last.value == pytest.approx(worth(one_problem, last.shows))
    assert told.lines
    assert not any(one.is_last for one in told.lines)


@pytest.mark.parametrize("lines", [(), (STARTED,)])
async def test_a_process_that_ends_early_is_told_of(lines: tuple[str, ...]) -> None:
    told = Told()
    with pytest.raises(SolverEnded, match="exit code 3"):
        await solved(a_problem(), 1.0, told, command=saying(*lines, then="sys.exit(3)"))
    assert len(told.lines) == len(lines)


async def test_a_process_that_does_not_read_is_told_of() -> None:
    with pytest.raises(SolverEnded):
        await solved(a_problem(), 1.0, Told(), command=[sys.executable, "-c", "pass"])


async def test_what_a_process_has_found_in_overtime_counts() -> None:
    told = Told()
    told.ends_limit = True
    last = await solved(
        a_problem(), 1.0, told, command=saying(STARTED, then=HANGS), limit=told.limit
    )
    assert (last.value, last.done, last.is_last) == (7.0, 1.0, True)


async def test_a_process_that_finds_nothing_in_overtime_has_failed() -> None:
    with pytest.raises(SolverEnded, match="nothing in time"):
        await solved(a_problem(), 1.0, Told(), command=saying(then=HANGS), limit=asyncio.timeout(0))


async def test_the_process_ends_when_its_input_does() -> None:
    endless = (
        "import threading; from cinema.features.showtimes.planner import solver;"
        "solver.solve = lambda *_, **__: threading.Event().wait();"
        "from cinema.features.showtimes.planner.__main__ import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", endless), stdin=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        task = PlanTask(problem=a_problem(), seconds=600)
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        process.stdin.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 1
    finally:
        if process.returncode is None:
            process.kill()


async def test_without_a_solver_the_process_is_greedy() -> None:
    hidden = (
        "import sys; sys.modules['scipy'] = None;"
        "import importlib.util as it; it.find_spec = lambda name: None;"
        "from cinema.features.showtimes.planner.__main__ import main; main()"
    )
    last = await solved(a_problem(), 1.0, Told(), command=[sys.executable, "-c", hidden])
    assert last.bound is None
    assert last.shows
