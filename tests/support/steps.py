"""A loop whose steps and time are moved on by hand, for what hands out turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Steps:
    """The part of a loop that hands out time and steps, moved on by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.scheduled: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Callable[[], None], /) -> None:
        self.scheduled.append(callback)

    def create_future(self) -> asyncio.Future[bool]:
        return asyncio.get_running_loop().create_future()

    def step(self) -> None:
        """One step; what it schedules is for the next."""
        due, self.scheduled = self.scheduled, []
        assert len(due) <= 1
        for callback in due:
            callback()
