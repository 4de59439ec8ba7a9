"""How long the steps of the event loop last; during a step nobody else is served."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from cinema.telemetry.metrics import Families

LOOK_S: Final = 0.02
"""Time between two looks at the loop; shorter steps are not seen.

Each look wakes an idle loop: 200 a second took 2 % of a processor.
"""

WINDOW_S: Final = 60.0
"""For how long the longest step is shown; it does not matter who scrapes, and how often."""

PART_S: Final = 5.0
"""The window moves on in parts."""

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopProbe:
    """A timer that notes how late it comes, which is how long the step lasted.

    A step begins up to `LOOK_S` before the timer is due, so the figure is at most that much too
    short. If the machine is busy with something else, a step lasts long but uses no CPU. The CPU of
    the loop's thread between two looks (`cpu_s`) is the most that the step can have used.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, cpu_s: Callable[[], float] = time.thread_time
    ) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self._loop = loop
        self._cpu_s = cpu_s
        self._used_s = 0.0
        self._lasted: deque[float] = deque(maxlen=int(WINDOW_S / PART_S))
        self._worked: deque[float] = deque(maxlen=int(WINDOW_S / PART_S))
        self._part_ends_s = 0.0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.begin_anew()

    def start(self) -> None:
        """Start the timer."""
        now_s = self._loop.time()
        self._part_ends_s = now_s + PART_S
        self._look_after(now_s)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def begin_anew(self) -> None:
        """Forget the longest step so far."""
        for parts in (self._lasted, self._worked):
            parts.clear()
            parts.append(0.0)

    @property
    def longest_s(self) -> float:
        """The longest step of the last `WINDOW_S`."""
        return max(self._lasted)

    @property
    def longest_cpu_s(self) -> float:
        """The most CPU that a step of the last `WINDOW_S` took."""
        return max(self._worked)

    def _look_after(self, now_s: float) -> None:
        self._due_s = now_s + LOOK_S
        self._used_s = self._cpu_s()
        self._timer = self._loop.call_at(self._due_s, self._look)

    def _look(self) -> None:
        now_s = self._loop.time()
        late_s = max(0.0, now_s - self._due_s)
        self._note(late_s, min(late_s, self._cpu_s() - self._used_s), now_s)
        self._look_after(now_s)

    def _note(self, late_s: float, cpu_s: float, now_s: float) -> None:
        self.counts[bisect_left(BOUNDS_S, late_s)] += 1
        self.total_s += late_s
        while now_s >= self._part_ends_s:
            self._part_ends_s += PART_S
            self._lasted.append(0.0)
            self._worked.append(0.0)
        self._lasted[-1] = max(self._lasted[-1], late_s)
        self._worked[-1] = max(self._worked[-1], cpu_s)


def loop_families(probe: LoopProbe) -> Families:
    """The longest step of the last minute, and how often steps were long."""

    def families() -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "cinema_loop_longest_step_seconds",
            "The longest step of the event loop within the last minute.",
            value=probe.longest_s,
        )
        yield GaugeMetricFamily(
            "cinema_loop_longest_step_cpu_seconds",
            "The most CPU that a step of the event loop took within the last minute.",
            value=probe.longest_cpu_s,
        )
        lateness = HistogramMetricFamily(
            "cinema_loop_lateness_seconds",
            f"How late a timer of {LOOK_S * 1000:.0f} ms comes on the event loop.",
        )
        bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        sums = accumulate(probe.counts)
        lateness.add_metric((), list(zip(bounds, sums, strict=True)), probe.total_s)
        yield lateness

    return families
