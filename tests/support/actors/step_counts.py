"""How much of a work each step of the event loop does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support import inspection


class StepCounts:
    """Counts pieces of work by the step of the loop in which they are done."""

    def __init__(self) -> None:
        self._step = 0
        self.work: Counter[int] = Counter()
        # The loop looks for events once in each step.
        selector: Any = inspection.selector_of(asyncio.get_running_loop())
        self._select = selector.select
        selector.select = self._next

    def _next(self, timeout: float | None = None) -> Any:
        self._step += 1
        return self._select(timeout)

    def note(self) -> None:
        self.work[self._step] += 1

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.note()
            return function(*arguments, **options)

        return call

    @property
    def most(self) -> int:
        """The most pieces of work that one step did."""
        return max(self.work.values(), default=0)

    @property
    def total(self) -> int:
        return self.work.total()
