"""Postgres time, estimated from a local clock that never steps.

Source: Cristian, "Probabilistic clock synchronization", 1989: the server read its clock between
our two readings, so the middle is off by at most half the round trip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import asyncpg

from cinema.domain.limits import CLOCK_DRIFT_PPM

_SAMPLES = 3
_QUERY = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"


boot_s: Final[Callable[[], float]] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""A local clock that never steps and goes on while the machine sleeps, seconds."""


class Clock(Protocol):
    """Time as the kernel needs it."""

    def now_us(self) -> int:
        """The best estimate of Postgres time, microseconds since the Unix epoch."""

    def uncertainty_us(self) -> int:
        """How far `now_us` may be off, either way."""

    def boot_ns(self) -> int:
        """A local clock that never steps and goes on while the machine sleeps, nanoseconds."""


class DatabaseClock:
    """A `Clock` set by `synchronise`; before the first success it follows the system's clock."""

    def __init__(
        self,
        *,
        boot_ns: Callable[[], int] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        # Asked several times a command: a call into C without a frame of Python.
        self.boot_ns = boot_ns or partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
        self._offset_us = wall_ns() // 1000 - self.boot_ns() // 1000
        self._error_us = 1_000_000
        self._set_at_us = self.boot_ns() // 1000

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + self._offset_us

    def uncertainty_us(self) -> int:
        """See `Clock.uncertainty_us`: grows with the time since the last comparison."""
        age_us = self.boot_ns() // 1000 - self._set_at_us
        return self._error_us + age_us * CLOCK_DRIFT_PPM // 1_000_000

    async def synchronise(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        """Compare with Postgres and keep the sample with the shortest round trip.

        A worse sample than the present estimate is kept only once that has aged past it.
        """
        best: tuple[int, int, int] | None = None
        async with pool.acquire() as connection:
            for _ in range(_SAMPLES):
                sent_us = self.boot_ns() // 1000
                database_us = int(await connection.fetchval(_QUERY))
                received_us = self.boot_ns() // 1000
                error_us = (received_us - sent_us) // 2 + 1
                if best is None or error_us < best[0]:
                    best = (error_us, database_us - (sent_us + received_us) // 2, received_us)
        if best is not None and best[0] <= self.uncertainty_us():
            self._error_us, self._offset_us, self._set_at_us = best
