"""Kills a node, and asks for all its showtimes elsewhere until the last one serves again."""

import asyncio
import os
import signal
import time
from collections import deque

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.holds import HELD
from benchmarks.load.http import format_request
from benchmarks.load.specs import Report, Revival
from benchmarks.load.tally import Measured, Tally

PAUSE_S = 0.05
"""What a client waits after a refusal; the server would have it wait for longer."""


class _Reviver:
    """Asks for each showtime until it gives a seat; latencies count from the kill."""

    def __init__(self, revival: Revival) -> None:
        self._revival = revival
        self._left = deque(enumerate(revival.showtimes))
        self._asking: dict[Connection, tuple[int, str]] = {}
        self._unserved = len(revival.showtimes)
        self._body = msgspec.json.encode({"seats": [revival.label]})
        self._killed_ns = 0
        self.tally = Tally()

    def start(self, connections: list[Connection]) -> None:
        self._killed_ns = time.monotonic_ns()
        os.kill(self._revival.kill_pid, signal.SIGKILL)
        for connection in connections:
            self._ask_next(connection)

    def _ask_next(self, connection: Connection) -> None:
        if not self._left:
            return
        number, showtime = self._asking[connection] = self._left.popleft()
        revival = self._revival
        request = format_request(
            "POST",
            f"/api/v1/showtimes/{showtime}/holds",
            host=f"{revival.host}:{revival.port}",
            token=revival.tokens[number % len(revival.tokens)],
            body=self._body,
            # The same request may come twice: after a 503 that says nothing of its effect.
            headers={"Idempotency-Key": f"revival-{revival.label}"},
        )
        connection.send(request, time.monotonic_ns())

    def replied(self, connection: Connection, status: int, _: bytes) -> None:
        asked = self._asking.pop(connection)
        if status == HELD:
            self.tally.count(status, time.monotonic_ns() - self._killed_ns)
            self._unserved -= 1
            if not self._unserved:
                self.tally.exhaust()
        else:
            self.tally.outcomes[status] = self.tally.outcomes.get(status, 0) + 1
            self._left.append(asked)
            asyncio.get_running_loop().call_later(PAUSE_S, self._ask_next, connection)
            return
        self._ask_next(connection)

    def lost(self, connection: Connection) -> None:
        self.tally.drop()
        asked = self._asking.pop(connection, None)
        if asked is not None:
            self._left.append(asked)


async def run_revival(revival: Revival) -> Report:
    """The window opens with the kill and ends with the last showtime, or as late as it may."""
    reviver = _Reviver(revival)
    connections = await open_connections(
        revival.host, revival.port, revival.connections, reviver.replied, reviver.lost
    )
    measured = Measured(reviver.tally, revival.window)
    # Not before the window has found the processes to observe, which takes its time.
    asyncio.get_running_loop().call_soon(reviver.start, connections)
    await measured.run()
    for connection in connections:
        connection.close()
    return measured.report()
