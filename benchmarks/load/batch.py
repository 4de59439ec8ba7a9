"""Requests that set the stage: sent over several connections, every answer expected to succeed."""

import asyncio
import time
from collections.abc import Iterable

from benchmarks.load.connection import Connection, open_connections


class UnexpectedAnswerError(Exception):
    """An answer that set-up cannot go on from."""


async def send_all(
    host: str, port: int, requests: Iterable[bytes], *, connections: int = 8
) -> list[bytes]:
    """The bodies of the answers, in order; raises UnexpectedAnswerError unless all are 2xx."""
    batch = _Batch(requests)
    opened = await open_connections(host, port, connections, batch.replied, batch.lost)
    try:
        for connection in opened:
            batch.send_next(connection)
        await batch.done
    finally:
        for connection in opened:
            connection.close()
    return batch.bodies


async def send_one(host: str, port: int, request: bytes) -> bytes:
    """The body of one successful answer."""
    return (await send_all(host, port, [request], connections=1))[0]


class _Batch:
    def __init__(self, requests: Iterable[bytes]) -> None:
        self._requests = iter(requests)
        self._numbers: dict[Connection, int] = {}
        self._unanswered = 0
        self._all_sent = False
        self.bodies: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send_next(self, connection: Connection) -> None:
        request = next(self._requests, None)
        if request is None:
            self._all_sent = True
            if not self._unanswered and not self.done.done():
                self.done.set_result(None)
            return
        self._numbers[connection] = len(self.bodies)
        self.bodies.append(b"")
        self._unanswered += 1
        connection.send(request, time.monotonic_ns())

    def replied(self, connection: Connection, status: int, body: bytes) -> None:
        self._unanswered -= 1
        self.bodies[self._numbers[connection]] = body
        if self.done.done():
            return
        if not 200 <= status < 300:
            text = body[:500].decode("utf-8", "replace")
            self.done.set_exception(UnexpectedAnswerError(f"an answer of {status}: {text}"))
            return
        self.send_next(connection)

    def lost(self, _: Connection) -> None:
        if not self.done.done():
            self.done.set_exception(UnexpectedAnswerError("a connection was closed by the server"))
