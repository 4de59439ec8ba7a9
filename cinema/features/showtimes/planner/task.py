"""What passes between a server and the process that solves for it: one line of JSON each."""

from __future__ import annotations

import msgspec

from cinema.features.showtimes.planner.problem import Problem, Show


class PlanTask(msgspec.Struct, frozen=True, kw_only=True):
    """Solve this in about so many seconds."""

    problem: Problem
    seconds: float


class PlanProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The best so far: `done` goes from 0 to 1, and `is_last` comes with the last one.

    `bound` is None until all relaxations are solved, and without a solver.
    """

    done: float
    shows: tuple[Show, ...]
    value: float
    bound: float | None = None
    is_last: bool = False
