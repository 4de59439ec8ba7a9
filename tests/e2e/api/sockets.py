"""A WebSocket client that sends whatever bytes it is told, and reads only when asked to."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from tests.e2e.api.house import PATIENCE_S, House

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

encode = msgspec.json.encode


def frame(
    payload: bytes,
    opcode: int = TEXT,
    *,
    fin: bool = True,
    masked: bool = True,
    mask: bytes | None = None,
) -> bytes:
    """One frame as a client has to send it, unless told otherwise."""
    head = bytes([opcode | 0x80 * fin])
    flag = 0x80 * masked
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65_536:
        head += bytes([flag | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + len(payload).to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = mask or os.urandom(4)
    mixed = bytes(byte ^ key for byte, key in zip(payload, itertools.cycle(mask), strict=False))
    return head + mask + mixed


class Handshake(msgspec.Struct):
    """The answer to a request for a WebSocket."""

    status: int
    headers: dict[str, str]
    envelope: Any

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.envelope and self.envelope["error"]["code"]


class Socket:
    """One connection after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *messages: dict[str, Any]) -> None:
        """Messages in one write."""
        self.writer.write(b"".join(frame(encode(message)) for message in messages))

    def send_raw(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self.reader.readexactly(2)
            assert first & 0x80, "the server sends whole messages"
            assert not second & 0x80, "the server does not mask"
            length = second
            if length >= 126:
                width = 2 if length == 126 else 8
                length = int.from_bytes(await self.reader.readexactly(width), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def message(self, *types: str) -> Any:
        """The next message, of these types if any are named; others are passed over."""
        while True:
            opcode, payload = await self.frame()
            if opcode in {PING, PONG}:
                continue
            assert opcode == TEXT, (opcode, payload)
            message = msgspec.json.decode(payload)
            if not types or message["type"] in types:
                return message

    async def answers(self, count: int) -> list[Any]:
        """The next results and errors."""
        return [await self.message("result", "error") for _ in range(count)]

    async def ask(self, **message: Any) -> Any:
        """The result or error of one command."""
        self.send(message)
        return (await self.answers(1))[0]

    async def leave(self) -> None:
        """Be gone without a word."""
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def ending(self) -> tuple[int, str] | None:
        """Code and reason of the server's close; None if it just went away."""
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    # A client that does not answer would be waited for.
                    self.writer.write(frame(payload[:2], CLOSE))
                    return int.from_bytes(payload[:2], "big"), payload[2:].decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


async def shake_hands(
    house: House,
    path: str,
    *,
    person: str | None = None,
    receive_buffer_bytes: int | None = None,
    after_head: bytes = b"",
    **headers: str,
) -> tuple[Handshake, Socket]:
    """Ask for a WebSocket at `path`; `sec_websocket_key=""` and the like leave headers out."""
    lines = {
        "Host": f"127.0.0.1:{house.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    if person is not None:
        lines["Authorization"] = f"Bearer {house.token(person)}"
    for name, value in headers.items():
        lines[name.replace("_", "-")] = value
    plain = socket.socket()
    plain.setblocking(False)
    if receive_buffer_bytes is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", house.port))
    limit = receive_buffer_bytes or 65_536
    reader, writer = await asyncio.open_connection(sock=plain, limit=limit)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    writer.write(f"GET /api/v1/{path} HTTP/1.1\r\n{head}\r\n".encode() + after_head)
    async with asyncio.timeout(PATIENCE_S):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        got = dict(line.lower().split(": ", 1) for line in answer[1:])
        body = await reader.readexactly(int(got.get("content-length", 0)))
    status = int(answer[0].split()[1])
    opened = Socket(reader, writer)
    if status != 101:
        await opened.leave()
    return Handshake(status, got, msgspec.json.decode(body) if body else None), opened


@asynccontextmanager
async def watching(
    house: House, showtime_id: str, query: str = "", **options: Any
) -> AsyncIterator[Socket]:
    """A socket on a showtime, gone without a word at the end."""
    handshake, opened = await shake_hands(house, f"showtimes/{showtime_id}/watch{query}", **options)
    assert handshake.status == 101, handshake
    try:
        yield opened
    finally:
        await opened.leave()


class Mirror:
    """A watcher's picture of the seats, built from frames as docs/watch.md tells clients to."""

    def __init__(self) -> None:
        self.epoch = self.seq = -1
        self.taken: dict[str, str] = {}
        self.snapshots = 0
        self._waits = True

    def take(self, message: dict[str, Any]) -> None:
        """Follow one frame; a delta that does not fit is an error of the server."""
        match message["type"]:
            case "snapshot":
                assert (message["epoch"], message["seq"]) >= (self.epoch, self.seq)
                self.epoch, self.seq = message["epoch"], message["seq"]
                self.taken = dict(message["taken"])
                self.snapshots += 1
                self._waits = False
            case "resync":
                self._waits = True
            case "delta" if not self._waits:
                assert message["prev_seq"] == self.seq
                assert message["epoch"] >= self.epoch
                assert message["seq"] >= self.seq
                self.epoch, self.seq = message["epoch"], message["seq"]
                for label, status in message["changes"].items():
                    self.taken[label] = status
                self.taken = {
                    label: status for label, status in self.taken.items() if status != "available"
                }

    async def follow(self, opened: Socket, seq: int) -> None:
        """Read on until `seq` is seen."""
        while self._waits or self.seq < seq:
            self.take(await opened.message("snapshot", "delta", "resync"))
