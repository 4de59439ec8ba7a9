"""Logins as fast as the answers come."""

import asyncio
import time

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.http import format_request
from benchmarks.load.specs import Logins, Report
from benchmarks.load.tally import Measured, Tally

ANSWERED_S = 60.0
"""How long the last answers may take: a full queue of passwords, on a busy machine."""


class _Loop:
    """Each connection signs its account in again when the last answer has come."""

    def __init__(self, load: Logins) -> None:
        self._load = load
        self.tally = Tally()
        self._requests: dict[Connection, bytes] = {}
        self._unanswered = 0
        self._all_answered = asyncio.Event()

    async def open(self) -> None:
        load = self._load
        connections = await open_connections(
            load.host, load.port, len(load.emails), self._replied, self._lost
        )
        for connection, email in zip(connections, load.emails, strict=True):
            self._requests[connection] = format_request(
                "POST",
                "/api/v1/auth/login",
                host=f"{load.host}:{load.port}",
                body=msgspec.json.encode({"email": email, "password": load.password}),
            )

    def start(self) -> None:
        self._unanswered = len(self._requests)
        for connection, request in self._requests.items():
            connection.send(request, time.monotonic_ns())

    async def close(self) -> None:
        """Once all are answered: passwords of clients that left would be hashed in the next run."""
        async with asyncio.timeout(ANSWERED_S):
            await self._all_answered.wait()
        for connection in self._requests:
            connection.close()

    def _replied(self, connection: Connection, status: int, _: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.tally.count(status, now_ns - connection.sent_ns)
        if not self.tally.finished.is_set():
            connection.send(self._requests[connection], now_ns)
            return
        self._unanswered -= 1
        if self._unanswered == 0:
            self._all_answered.set()

    def _lost(self, _: Connection) -> None:
        self.tally.drop()
        self.tally.exhaust()


async def run_logins(load: Logins) -> Report:
    """Sign in for the whole window and report it."""
    loop = _Loop(load)
    await loop.open()
    measured = Measured(loop.tally, load.window)
    loop.start()
    await measured.run()
    loop.tally.finished.set()
    await loop.close()
    return measured.report()
