"""More customers than a server can serve: requests are due at a rate, whatever becomes of them."""

import asyncio
import os
import time

from benchmarks.load.connection import Connection
from benchmarks.load.histogram import Histogram
from benchmarks.load.holds import HELD, TICK_S, Sender
from benchmarks.load.specs import Crowd, Latencies, Report
from benchmarks.load.tally import Measured
from benchmarks.load.watching import allow_open_files

NICENESS = 5
"""The crowd shares the machine with the server, which is not to be slowed down by its customers."""


class _Rush(Sender):
    """Each request that is due goes out at once, or not at all: its customer cannot connect.

    A latency counts from the moment the request was due.
    """

    def __init__(self, load: Crowd) -> None:
        super().__init__(load)
        self._interval_ns = 1e9 / load.rate_per_s
        self._first_ns = 0
        self._due = 0
        self._idle: list[Connection] = []
        self.unsent = 0
        self.latencies: dict[int, Histogram] = {}

    def start(self) -> None:
        self._idle.extend(self.connections)
        self._first_ns = time.monotonic_ns()
        self._tick()

    def _tick(self) -> None:
        if self.tally.finished.is_set():
            return
        now_ns = time.monotonic_ns()
        due = int((now_ns - self._first_ns) / self._interval_ns)
        while self._due < due and self._idle:
            due_ns = self._first_ns + int(self._due * self._interval_ns)
            self._due += 1
            self.send_next(self._idle.pop(), due_ns)
        if self.tally.recording:
            self.unsent += due - self._due
        self._due = due
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def replied(self, connection: Connection, status: int, _: bytes) -> None:
        latency_ns = time.monotonic_ns() - connection.sent_ns
        self.tally.count(status, latency_ns)
        if self.tally.recording:
            if status not in self.latencies:
                self.latencies[status] = Histogram()
            self.latencies[status].record(latency_ns)
        self._idle.append(connection)


async def run_crowd(load: Crowd) -> Report:
    """Send for the whole window; what was due and could not be sent counts as `unsent`."""
    os.nice(NICENESS)
    allow_open_files(load.connections + 100)
    rush = _Rush(load)
    await rush.open()
    measured = Measured(rush.tally, load.window)
    rush.start()
    await measured.run()
    rush.tally.finished.set()
    rush.close()
    accepted = rush.latencies.pop(HELD, Histogram())
    refused = Histogram()
    for histogram in rush.latencies.values():
        refused.merge(histogram)
    return measured.report(
        unsent=rush.unsent, accepted=Latencies.of(accepted), refused=Latencies.of(refused)
    )
