"""The best schedule that can be found in a given time, with a bound of what any could be worth.

Days are independent, so each is a program of its own. The relaxation of each gives the bound. Its
integer version is then solved on the columns that the relaxation uses and on those that come next
by their reduced costs (kernel search: Angelelli, Mansini and Speranza, "Kernel search: a general
heuristic for the multi-dimensional knapsack problem", Computers & Operations Research 37, 2010).
First all days get a short time. The rest goes to the worst days, each time with more columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from cinema.features.showtimes.planner.day_model import DayModel
from cinema.features.showtimes.planner.greedy import completed
from cinema.features.showtimes.planner.highs import Program, Relaxed
from cinema.features.showtimes.planner.problem import Problem, Show
from cinema.features.showtimes.planner.task import Progress
from cinema.features.showtimes.planner.worth import worth_of_day

SHORT_SHARE: Final = 0.75
"""How much of the time after the relaxations the first round over all days may take: a solver that
is stopped before its first good schedule has done nothing."""

GOOD: Final = 0.01
"""In the first round a day that is this near to its best is left, as a share of that."""

NEAR: Final = 1e-3
"""And this near in later rounds; nor is a day looked at again that is so near to its bound."""

MORE_COLUMNS: Final = 150
"""Columns of the second round beside those that the relaxation uses; later rounds double them."""

USED: Final = 1e-7
"""A relaxation uses a column of which it takes more than this: sums of fractions are not exact."""

LEAST_S: Final = 0.2
"""Less time than this is not worth another attempt."""


class _Day:
    """One day: its program, the best schedule found, and how hard was looked."""

    def __init__(self, problem: Problem, day: int) -> None:
        self._problem = problem
        self._day = day
        self._more = 0
        self._is_over = False
        self._model = DayModel(problem, day)
        self._program = Program(self._model)
        self._relaxed: Relaxed | None = None
        self.shows: list[Show] = []
        self.value = worth_of_day(problem, [], day)
        self._take(completed(problem, day, []))

    @property
    def bound(self) -> float | None:
        """No schedule of the day is worth more; None as long as that is not known."""
        return None if self._relaxed is None else -self._relaxed.value

    @property
    def open(self) -> float:
        """How much better a schedule could be, as far as is known; 0 if looking on is in vain."""
        if self._is_over or self.bound is None:
            return 0.0
        gap = self.bound - self.value
        return gap if gap > NEAR * abs(self.bound) else 0.0

    def relax(self) -> None:
        """Find the bound, and what the relaxation makes of greedy."""
        relaxed = self._relaxed = self._program.relax()
        self._take(
            completed(self._problem, self._day, self._model.ranked(relaxed.columns.tolist()))
        )

    def improve(self, seconds: float, gap: float) -> None:
        """Look for a better schedule, among more columns each time, if there may be one."""
        relaxed = self._relaxed
        if relaxed is None or not self.open:
            return
        integers = self._program.integers
        used = relaxed.columns[:integers] > USED
        if self._more:
            order = np.argsort(relaxed.reduced[:integers], kind="stable")
            used[order[: np.count_nonzero(used) + self._more]] = True
        used |= np.array(self._model.counts(self.shows), dtype=bool)
        found = self._program.solve(used, seconds=seconds, gap=gap)
        if found.columns is not None:
            self._take(self._model.shows(found.columns[:integers].tolist()))
        self._is_over = found.is_best and gap <= NEAR and bool(used.all())
        self._more = max(MORE_COLUMNS, 2 * self._more)

    def _take(self, shows: list[Show]) -> None:
        value = worth_of_day(self._problem, shows, self._day)
        if value > self.value:
            self.shows, self.value = shows, value


def solve(
    problem: Problem,
    *,
    seconds: float,
    clock: Callable[[], float],
    report: Callable[[Progress], None],
) -> Progress:
    """The best schedule found in about `seconds` by `clock`; never one that greedy would beat."""
    ends = clock() + seconds
    days = [_Day(problem, day) for day in range(len(problem.days))]

    def state(done: float) -> Progress:
        bounds = [one.bound for one in days]
        known = [bound for bound in bounds if bound is not None]
        return Progress(
            done=done,
            shows=tuple(sorted(show for one in days for show in one.shows)),
            value=sum(one.value for one in days),
            bound=sum(known) if len(known) == len(bounds) else None,
        )

    def passed() -> float:
        return min(1.0, max(0.0, 1 - (ends - clock()) / seconds))

    report(state(0.0))
    for one in days:
        one.relax()
        report(state(passed()))
    first_s = max(LEAST_S, (ends - clock()) * SHORT_SHARE / len(days))
    for one in days:
        one.improve(first_s, GOOD)
        report(state(passed()))
    while ends - clock() > LEAST_S:
        worst = max(days, key=lambda one: one.open)
        if not worst.open:
            break
        worst.improve(max(LEAST_S, (ends - clock()) / 2), NEAR)
        report(state(passed()))
    return state(1.0)
