"""The planner in a process of its own: seats are served meanwhile, and it can be killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from cinema.features.showtimes.planner.problem import Problem
from cinema.features.showtimes.planner.task import PlanProgress, PlanTask

COMMAND: Final = (sys.executable, "-m", "cinema.features.showtimes.planner")

LINE_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Longest line of the process: all shows of two weeks of the largest house take a tenth."""

OVERTIME_FACTOR: Final = 3.0
OVERTIME_S: Final = 120.0
"""How long the process may take beyond its time, on a busy machine or for a relaxation that
cannot be interrupted; then it is killed, and the best that it has told counts."""


class SolverEnded(Exception):
    """The process ended without its last word."""


async def solved(
    problem: Problem,
    seconds: float,
    tell: Callable[[PlanProgress], Awaitable[None]],
    *,
    command: Sequence[str] = COMMAND,
    limit: asyncio.Timeout | None = None,
) -> PlanProgress:
    """The best schedule that the process finds; `tell` is awaited for each better one.

    The process ends with this call, however that ends. It has its time and overtime, or as long as
    `limit` says. Raises `SolverEnded`.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LINE_LIMIT_BYTES,
    )
    last: PlanProgress | None = None
    try:
        if process.stdin is None or process.stdout is None:
            raise SolverEnded("it has no pipes")
        # The pipe stays open: its end is what ends the process.
        process.stdin.write(msgspec.json.encode(PlanTask(problem=problem, seconds=seconds)) + b"\n")
        with suppress(TimeoutError):
            async with limit or asyncio.timeout(OVERTIME_FACTOR * seconds + OVERTIME_S):
                with suppress(BrokenPipeError, ConnectionResetError):
                    await process.stdin.drain()
                while line := await process.stdout.readline():
                    last = msgspec.json.decode(line, type=PlanProgress)
                    if last.is_last:
                        return last
                    await tell(last)
                raise SolverEnded(f"exit code {await process.wait()}")
        if last is None:
            raise SolverEnded("it found nothing in time")
        return msgspec.structs.replace(last, done=1.0, is_last=True)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
