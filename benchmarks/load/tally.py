"""Counts what happens inside the measured window, and nothing outside it."""

import asyncio
import time

from benchmarks.load.histogram import Histogram
from benchmarks.load.specs import Acknowledged, Latencies, Report, Sale, Usage, Window
from benchmarks.load.usage import find_trees, machine_cpu_s, read_usage


class Tally:
    """Outcomes and latencies of one load process."""

    __slots__ = ("dropped", "exhausted", "finished", "latency", "outcomes", "recording")

    def __init__(self) -> None:
        self.recording = False
        self.outcomes: dict[int | str, int] = {}
        self.latency = Histogram()
        self.dropped = 0
        self.exhausted = False
        self.finished = asyncio.Event()

    def count(self, outcome: int | str, latency_ns: int) -> None:
        """Count an answer, if the window is open."""
        if self.recording:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
            self.latency.record(latency_ns)

    def drop(self) -> None:
        """Count a connection that ended although its client had not closed it."""
        self.dropped += 1

    def exhaust(self) -> None:
        """Say that there is nothing left to ask for: the window ends early."""
        self.exhausted = True
        self.finished.set()


class Measured:
    """A window under way: opened after the warm-up, closed by time or by exhaustion."""

    def __init__(self, tally: Tally, window: Window) -> None:
        self._tally = tally
        self._window = window
        self._seconds = 0.0
        self._generator_cpu_s = 0.0
        self._machine_cpu_s = 0.0
        self._usage: dict[str, Usage] = {}

    async def run(self) -> None:
        """Warm up, then measure; returns when the window has closed."""
        tally, window = self._tally, self._window
        # Looked for early: a pause at the window's start would count as latency.
        trees = find_trees(window.observe)
        await self._pass(window.warmup_s)
        if tally.exhausted:
            raise RuntimeError("the seats ran out during the warm-up: give it more of them")
        before = read_usage(trees)
        machine_s, own_s, started_s = machine_cpu_s(), time.process_time(), time.monotonic()
        tally.recording = True
        await self._pass(window.seconds)
        tally.recording = False
        self._seconds = time.monotonic() - started_s
        self._generator_cpu_s = time.process_time() - own_s
        self._machine_cpu_s = machine_cpu_s() - machine_s
        after = read_usage(find_trees(window.observe))
        self._usage = {
            name: Usage(
                cpu_s=after[name].cpu_s - before[name].cpu_s, rss_bytes=after[name].rss_bytes
            )
            for name in before
        }

    async def _pass(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._tally.finished.wait()
        except TimeoutError:
            return

    def report(
        self,
        *,
        send_delay: Histogram | None = None,
        acknowledged: list[Acknowledged] | None = None,
        sales: list[Sale] | None = None,
        violations: list[str] | None = None,
        unsent: int = 0,
        accepted: Latencies | None = None,
        refused: Latencies | None = None,
    ) -> Report:
        """The window's report, with what only some loads have."""
        tally = self._tally
        return Report(
            seconds=self._seconds,
            outcomes={str(outcome): times for outcome, times in tally.outcomes.items()},
            latency=Latencies.of(tally.latency),
            generator_cpu_s=self._generator_cpu_s,
            machine_cpu_s=self._machine_cpu_s,
            usage=self._usage,
            dropped=tally.dropped,
            exhausted=tally.exhausted,
            send_delay=None if send_delay is None else Latencies.of(send_delay),
            acknowledged=acknowledged or [],
            sales=sales or [],
            violations=violations or [],
            unsent=unsent,
            accepted=accepted,
            refused=refused,
        )
