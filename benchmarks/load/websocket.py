"""A WebSocket client on a raw transport: upgrade, pings, closes; a subclass takes messages."""

import asyncio
from typing import cast

from benchmarks.load.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    UPGRADE_HEADERS,
    FrameReader,
    client_frame,
    close_code,
)
from benchmarks.load.http import format_request


def watch_request(host: str, port: int, showtime: str, token: str | None) -> bytes:
    """The upgrade request of a showtime's socket; with a token it may also send commands."""
    return format_request(
        "GET",
        f"/api/v1/showtimes/{showtime}/watch",
        host=f"{host}:{port}",
        token=token,
        headers=UPGRADE_HEADERS,
    )


class WebSocketClient(asyncio.Protocol):
    """One socket; `messages` gets the text messages of each read together."""

    def __init__(self, upgrade: bytes) -> None:
        self._upgrade = upgrade
        self._head: bytes | None = b""
        self._reader = FrameReader()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.closing = False
        self.upgraded = False
        self.closed_with: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._upgrade)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            rest = self._upgraded(data)
            if rest is None:
                return
            data = rest
        texts = []
        for opcode, payload in self._reader.feed(data):
            if opcode == TEXT:
                texts.append(payload)
            elif opcode == PING:
                self.write(client_frame(payload, PONG))
            elif opcode == CLOSE:
                self.closed_with = close_code(payload)
        if texts:
            self.messages(texts)

    def _upgraded(self, data: bytes) -> bytes | None:
        """What follows the upgrade's answer, or None while that is incomplete."""
        assert self._head is not None
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return None
        head, rest = self._head[:end], self._head[end + 4 :]
        self._head = None
        if not head.startswith(b"HTTP/1.1 101"):
            self._fail(ConnectionError(f"no upgrade: {head[:60]!r} {rest[:200]!r}"))
            return None
        self.upgraded = True
        return rest

    def _fail(self, error: ConnectionError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
        assert self.transport is not None
        self.transport.abort()

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def messages(self, payloads: list[bytes]) -> None:
        """Called with the text messages that arrived together."""
        raise NotImplementedError

    def lost(self) -> None:
        """Called when the socket ended although this side had not closed it."""
        raise NotImplementedError

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed before it was ready"))
        if not self.closing:
            self.lost()

    def close(self) -> None:
        """Close without counting it as a loss."""
        self.closing = True
        if self.transport is not None:
            self.transport.close()
