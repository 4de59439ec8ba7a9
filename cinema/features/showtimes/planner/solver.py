"""The best schedule that can be found in a given time, with a bound of what any could be worth.

Days are independent, so each is a program of its own. Its relaxation gives the bound, and hints for
a first schedule: greedy fills up what the relaxation has most of. Then the schedule is improved a
few screens at a time. The shows of all others stay, and the program for these few is solved, which
takes a few hundredths of a second (fix-and-optimise: Helber and Sahling, "A fix-and-optimize
approach for the multi-level capacitated lot sizing problem", International Journal of Production
Economics 123, 2010; the larger idea is Shaw's large neighbourhood search, 1998). Only columns take
part that the relaxation uses, or that come next by their reduced costs (kernel search: Angelelli,
Mansini and Speranza, Computers & Operations Research 37, 2010). When no few screens help any more,
it is more screens and more columns, in the end all.

First all days get a short time. The rest goes to the worst days.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cinema.features.showtimes.planner.day_model import DayModel
from cinema.features.showtimes.planner.greedy import completed
from cinema.features.showtimes.planner.highs import Program, Relaxed
from cinema.features.showtimes.planner.problem import Problem, Show
from cinema.features.showtimes.planner.task import PlanProgress
from cinema.features.showtimes.planner.worth import worth_of_day

SHORT_SHARE: Final = 0.6
"""How much of the time after the relaxations the first round over all days may take."""

SLICE_S: Final = 0.5
"""How long a later round works on a day before it chooses the worst day again."""

NEAR: Final = 1e-3
"""A program is solved when it is this near to its best, as a share; and so is a day."""

FEW_SCREENS: Final = 4
MORE_SCREENS: Final = 2
"""How many screens are looked at together at first, and how many more when that no longer helps."""

MORE_COLUMNS: Final = 100
"""Columns in addition to those that the relaxation uses; doubled when they no longer help."""

FEW_S: Final = 2.0
"""Longest time for a few screens: where it takes longer, others are more worth looking at."""

USED: Final = 1e-7
"""A column with a smaller value counts as unused, because sums of fractions are not exact."""

STRIDES: Final = (37, 41, 43, 47)
"""Primes: at least one of them does not divide the number of groups."""

BETTER: Final = 1e-6
"""A schedule is better by more than this, for the same reason."""


class _DaySearch:
    """One day: its program, the best schedule found, and how hard was looked."""

    def __init__(self, problem: Problem, day: int) -> None:
        self._problem = problem
        self._day = day
        self._model = DayModel(problem, day)
        self._program = Program(self._model)
        self._kind = np.array([one.kind for one in self._model.columns], dtype=int)
        self._relaxed: Relaxed | None = None
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._screens = FEW_SCREENS
        self._more = MORE_COLUMNS
        self._ahead: list[tuple[int, ...]] = []
        self._is_over = self._has_helped = False
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
        """Find the bound, and what greedy makes of the relaxation."""
        relaxed = self._relaxed = self._program.relax()
        self._order = np.argsort(relaxed.reduced[: self._program.integers], kind="stable")
        self._take(
            completed(self._problem, self._day, self._model.ranked(relaxed.columns.tolist()))
        )
        self._ahead = self._groups()

    def improve(self, until: float, ends: float, clock: Callable[[], float]) -> None:
        """Look at groups of screens until a moment, or until looking on is in vain.

        What was begun before may go on, but not beyond `ends`.
        """
        while self.open and clock() < until:
            if not self._ahead:
                self._widen()
            self._look_at(self._ahead.pop(), ends - clock())

    def _groups(self) -> list[tuple[int, ...]]:
        """Kinds of screens to look at together, as many as there may be, in a mixed order."""
        sizes = [len(one.screens) for one in self._model.kinds]
        if sum(sizes) <= self._screens:
            return [tuple(range(len(sizes)))]
        found = [
            group
            for count in range(1, self._screens + 1)
            for group in combinations(range(len(sizes)), count)
            if self._screens - min(sizes) < sum(sizes[kind] for kind in group) <= self._screens
        ] or [(kind,) for kind in range(len(sizes))]
        # Neighbours in the list have most of their screens in common.
        stride = next(step for step in STRIDES if len(found) % step)
        return [found[place * stride % len(found)] for place in range(len(found))]

    def _widen(self) -> None:
        """All groups were looked at: again if that helped, else with more screens and columns."""
        if not self._has_helped:
            self._screens += MORE_SCREENS
            self._more *= 2
        self._has_helped = False
        self._ahead = self._groups()

    def _look_at(self, group: tuple[int, ...], seconds: float) -> None:
        """Have the best found for a few screens, or for all, and leave the others as they are."""
        relaxed = self._relaxed
        if relaxed is None:
            return
        integers = self._program.integers
        counts = np.array(self._model.counts(self.shows), dtype=float)
        near = (relaxed.columns[:integers] > USED) | (counts > 0)
        near[self._order[: np.count_nonzero(near) + self._more]] = True
        free = near & np.isin(self._kind, group)
        is_whole = len(group) == len(self._model.kinds)
        limit = seconds if is_whole else min(FEW_S, seconds)
        found = self._program.solve(free, counts, seconds=limit, gap=NEAR)
        before = self.value
        if found.columns is not None:
            self._take(self._model.shows(found.columns[:integers].tolist()))
        # What was not looked at to the end has not been in vain.
        self._has_helped |= self.value > before or not found.is_best
        self._is_over = is_whole and found.is_best and bool(near.all())

    def _take(self, shows: list[Show]) -> None:
        value = worth_of_day(self._problem, shows, self._day)
        if value > self.value + BETTER:
            self.shows, self.value = shows, value


def solve(
    problem: Problem,
    *,
    seconds: float,
    clock: Callable[[], float],
    report: Callable[[PlanProgress], None],
) -> PlanProgress:
    """The best schedule found in about `seconds` by `clock`; never one that greedy would beat."""
    ends = clock() + seconds
    days = [_DaySearch(problem, day) for day in range(len(problem.days))]

    def state(done: float) -> PlanProgress:
        bounds = [one.bound for one in days]
        known = [bound for bound in bounds if bound is not None]
        return PlanProgress(
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
    first_s = (ends - clock()) * SHORT_SHARE / len(days)
    for one in days:
        one.improve(clock() + first_s, ends, clock)
        report(state(passed()))
    while clock() < ends:
        worst = max(days, key=lambda one: one.open)
        if not worst.open:
            break
        worst.improve(min(ends, clock() + SLICE_S), ends, clock)
        report(state(passed()))
    return state(1.0)
