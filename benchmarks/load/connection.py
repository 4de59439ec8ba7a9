"""One HTTP/1.1 connection with at most one request in flight."""

import asyncio
from collections.abc import Callable
from typing import cast

from benchmarks.load.http import ReplyParser

CONNECT_BATCH = 50
"""Connections opened at a time, so that a listen backlog of 128 never overflows."""


class Connection(asyncio.Protocol):
    """Writes requests as they are and hands complete replies to its owner's callback."""

    __slots__ = ("_lost", "_parser", "_replied", "closing", "sent_ns", "transport")

    def __init__(
        self,
        replied: "Callable[[Connection, int, bytes], None]",
        lost: "Callable[[Connection], None]",
    ) -> None:
        self._parser = ReplyParser()
        self._replied = replied
        self._lost = lost
        self.transport: asyncio.Transport | None = None
        self.closing = False
        self.sent_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, at_ns: int) -> None:
        """Write a request; `at_ns` is the time its latency counts from."""
        assert self.transport is not None
        self.sent_ns = at_ns
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        for status, body in self._parser.feed(data):
            self._replied(self, status, body)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closing:
            self._lost(self)

    def close(self) -> None:
        """Close without counting it as a loss."""
        self.closing = True
        if self.transport is not None:
            self.transport.close()


async def open_connections(
    host: str,
    port: int,
    count: int,
    replied: Callable[[Connection, int, bytes], None],
    lost: Callable[[Connection], None],
) -> list[Connection]:
    """That many open connections, opened a batch at a time."""
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    while len(opened) < count:
        batch = min(CONNECT_BATCH, count - len(opened))
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: Connection(replied, lost), host, port)
                for _ in range(batch)
            )
        )
        opened.extend(protocol for _, protocol in made)
    return opened
