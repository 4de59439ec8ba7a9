"""Scanners at the doors of one showtime: each shows the next ticket when it has its answer."""

import asyncio
import time
from collections.abc import Iterator

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.http import format_request
from benchmarks.load.specs import Report, Scans
from benchmarks.load.tally import Measured, Tally


class _Doors:
    def __init__(self, scans: Scans) -> None:
        self.tally = Tally()
        self._scans = scans
        self._shown: Iterator[tuple[int, str]] = enumerate([*scans.tickets, *scans.tickets[::-1]])
        self._scanners: dict[Connection, str] = {}

    async def open(self) -> None:
        scans = self._scans
        connections = await open_connections(
            scans.host, scans.port, len(scans.scanners), self._replied, self._lost
        )
        self._scanners = dict(zip(connections, scans.scanners, strict=True))

    def start(self) -> None:
        """Have each scanner show its first ticket."""
        for connection in list(self._scanners):
            self._show(connection, time.monotonic_ns())

    def _show(self, connection: Connection, now_ns: int) -> None:
        number, ticket = next(self._shown, (0, None))
        if ticket is None:
            self._scanners.pop(connection)
            connection.close()
            if not self._scanners:
                self.tally.exhaust()
            return
        body = {"token": ticket, "showtime_id": self._scans.showtime, "nonce": f"n{number}"}
        request = format_request(
            "POST",
            "/api/v1/tickets/scan",
            host=f"{self._scans.host}:{self._scans.port}",
            body=msgspec.json.encode(body),
            headers={"Device-Token": self._scanners[connection]},
        )
        connection.send(request, now_ns)

    def _replied(self, connection: Connection, status: int, _: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.tally.count(status, now_ns - connection.sent_ns)
        self._show(connection, now_ns)

    def _lost(self, _: Connection) -> None:
        self.tally.drop()
        self.tally.exhaust()


async def run_scans(scans: Scans) -> Report:
    """Show all tickets twice; the window is as long as that takes."""
    doors = _Doors(scans)
    await doors.open()
    measured = Measured(doors.tally, scans.window)
    doors.tally.recording = True
    # Behind what is read of the processes before, which would count as latency.
    asyncio.get_running_loop().call_soon(doors.start)
    await measured.run()
    return measured.report()
