"""The clocks of one simulated machine, and Postgres time as a process on it estimates it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from cinema.storage.journal.clock import DatabaseClock

if TYPE_CHECKING:
    from tests.simulation.scheduler import Scheduler

START_US = 1_800_000_000_000_000
"""The true time at which every run begins, microseconds since 1970."""

_MILLION = 1_000_000


class Machine:
    """Clocks that drift, and stop as real ones do.

    `boot_ns` (CLOCK_BOOTTIME) always goes on; `monotonic_ns`, which event loops go by, stands still
    while the machine is suspended. `wall_error_us` is how wrong its calendar clock is.
    """

    def __init__(self, scheduler: Scheduler, *, drift_ppm: int, wall_error_us: int) -> None:
        self._scheduler = scheduler
        self._rate = _MILLION + drift_ppm
        self._suspended_ns = 0
        self._suspended_at: int | None = None
        self.wall_error_us = wall_error_us

    def boot_ns(self) -> int:
        """Time since the machine was started, some hours ago."""
        return self._scheduler.now_ns * self._rate // _MILLION + 7_000_000_000

    def monotonic_ns(self) -> int:
        """The same without the time it was suspended."""
        if self._suspended_at is not None:
            return self._suspended_at - self._suspended_ns
        boot_ns = self._scheduler.now_ns * self._rate // _MILLION + 7_000_000_000
        return boot_ns - self._suspended_ns

    def when_monotonic(self, due_ns: int) -> int:
        """The true time at which `monotonic_ns` reaches a value, if nothing intervenes."""
        boot_ns = due_ns + self._suspended_ns - 7_000_000_000
        return -(-boot_ns * _MILLION // self._rate)

    def suspend(self) -> None:
        """The whole machine sleeps."""
        if self._suspended_at is None:
            self._suspended_at = self.boot_ns()

    def resume(self) -> None:
        """It wakes up, and does not know for how long it slept."""
        if self._suspended_at is not None:
            self._suspended_ns += self.boot_ns() - self._suspended_at
            self._suspended_at = None


class SimulatedClock(DatabaseClock):
    """The server's own estimate of Postgres time, on the clocks of a simulated machine."""

    def __init__(self, machine: Machine, true_us: Callable[[], int]) -> None:
        super().__init__(
            boot_ns=machine.boot_ns,
            wall_ns=lambda: (true_us() + machine.wall_error_us) * 1000,
        )
        self._machine = machine
        self.awake_ns = machine.monotonic_ns

    def now_us(self) -> int:
        return self._machine.boot_ns() // 1000 + self._offset_us


class ClockPool:
    """What `DatabaseClock.synchronise` asks for the time."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        yield self

    async def fetchval(self, _query: str) -> int:
        return await self._ask()
