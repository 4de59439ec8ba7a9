"""HiGHS (Huangfu and Hall, Mathematical Programming Computation 10, 2018), by way of scipy.

scipy is an extra: only this module imports it, and only the process that solves imports this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

from cinema.features.showtimes.planner.day_model import DayModel

Vector = NDArray[np.float64]

# As its documentation has it: the stubs know neither sparse matrices nor all of what comes back.
_relaxed: Final[Callable[..., Any]] = linprog
_solved: Final[Callable[..., Any]] = milp


class Relaxed(NamedTuple):
    """The optimum of the relaxation: its value, its columns and their reduced costs."""

    value: float
    columns: Vector
    reduced: Vector


class Found(NamedTuple):
    """The best solution that was found, and whether it is surely the best of the open columns."""

    columns: Vector | None
    is_best: bool


class Program:
    """One day's program as matrices."""

    def __init__(self, model: DayModel) -> None:
        shape = (len(model.low), len(model.cost))
        self.integers = len(model.columns)
        self._matrix = csr_array(coo_array((model.value, (model.row, model.column)), shape=shape))
        self._cost = np.array(model.cost)
        self._upper = np.array(model.upper)
        self._low = np.array(model.low)
        self._high = np.array(model.high)

    def relax(self) -> Relaxed:
        """Solve it without asking for integers.

        By the interior point method: on these programs, where most starts are worth the same, the
        dual simplex method takes five to eight times as long.
        """
        if not self._cost.size:
            return Relaxed(0.0, self._cost, self._cost)
        equal = self._low == self._high
        above = ~equal & (self._high < np.inf)
        below = ~equal & (self._low > -np.inf)
        found = _relaxed(
            self._cost,
            A_ub=_stack(self._matrix[above], -self._matrix[below]),
            b_ub=np.concatenate([self._high[above], -self._low[below]]),
            A_eq=self._matrix[equal],
            b_eq=self._high[equal],
            bounds=np.column_stack([np.zeros_like(self._upper), self._upper]),
            method="highs-ipm",
        )
        if found.x is None:
            raise ArithmeticError(f"the relaxation has no solution: {found.message}")
        reduced = found.lower.marginals + found.upper.marginals
        return Relaxed(float(found.fun), found.x, reduced)

    def solve(
        self, free: NDArray[np.bool_], counts: Vector, *, seconds: float, gap: float
    ) -> Found:
        """The best found in `seconds` with the `free` shows; of all others `counts` are there.

        It may stop when the best of these is at most `gap` better, as a share.
        """
        chosen = np.ones(len(self._cost), dtype=bool)
        chosen[: self.integers] = free
        kept = np.zeros(len(self._cost))
        kept[: self.integers] = np.where(free, 0.0, counts)
        upper = self._upper[chosen]
        if not upper.size:
            return Found(kept, is_best=True)
        there = self._matrix @ kept
        integral = np.zeros(len(self._cost))
        integral[: self.integers] = 1
        found = _solved(
            self._cost[chosen],
            integrality=integral[chosen],
            bounds=Bounds(np.zeros_like(upper), upper),
            constraints=LinearConstraint(
                self._matrix[:, chosen], self._low - there, self._high - there
            ),
            options={"time_limit": seconds, "mip_rel_gap": gap},
        )
        if found.x is None:
            return Found(None, is_best=False)
        kept[chosen] = found.x
        return Found(kept, is_best=found.status == 0)


def _stack(upper: csr_array, lower: csr_array) -> csr_array:
    from scipy.sparse import vstack

    return csr_array(vstack([upper, lower]))
