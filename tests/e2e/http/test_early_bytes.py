"""Bytes that come together with the connection, before its task has begun, on the server's loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from cinema.http.server import EdgeOptions
from tests.e2e.http.edge import (
    BODY_LIMIT_BYTES,
    PATIENCE_S,
    Answer,
    Client,
    Server,
    request,
    serving,
)

HEAD_TIMEOUT_S = 0.2

UPGRADE = request("GET", "/healthz", connection="Upgrade", upgrade="h2c")
HEALTH = request("GET", "/healthz")


@contextmanager
def connected(server: Server, raw: bytes) -> Iterator[socket.socket]:
    """A connection with bytes in it, which the loop has had no chance to accept yet."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as one:
        one.sendall(raw)
        one.setblocking(False)
        yield one


async def answers(server: Server, raw: bytes, count: int) -> list[Answer]:
    """What comes back for bytes that are sent at once."""
    with connected(server, raw) as one:
        client = Client(*await asyncio.open_connection(sock=one.dup()))
        try:
            return [await client.answer() for _ in range(count)]
        finally:
            client.writer.close()


def asked_early(raw: bytes, count: int) -> list[Answer]:
    """The same, of a server on the loop that serves."""

    async def main() -> list[Answer]:
        options = EdgeOptions(body_limit_bytes=BODY_LIMIT_BYTES, request_timeout_s=HEAD_TIMEOUT_S)
        async with serving(options) as server:
            return await answers(server, raw, count)

    return uvloop.run(main())


def test_half_a_head_that_comes_with_the_connection_times_out_too() -> None:
    (answer,) = asked_early(b"GET /healthz HTTP/1.1\r\nHost: a", 1)
    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")


def test_requests_behind_an_upgrade_that_comes_with_the_connection_are_answered() -> None:
    found = asked_early(UPGRADE + HEALTH, 2)
    assert [answer.status for answer in found] == [200, 200]
    assert "connection" not in found[0].headers
