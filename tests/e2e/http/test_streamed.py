"""Long answers that are made while they are sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import refuse
from cinema.http.context import RequestContext
from cinema.http.endpoint import STREAM_CUT
from cinema.http.responses import Medium, Reply, Streamed, header_lines
from cinema.http.server import EdgeOptions
from cinema.http.steps import REQUEST_FAILED
from tests.e2e.http.edge import PATIENCE_S, Client, Server, request, route, serving, until

PIECE = bytes(range(256)) * 1024
COUNT = 12
ENDLESS = 100_000


class Source:
    """What is sent, and what became of the pieces."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0

    async def pieces(self, count: int) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(count):
                self.made += 1
                yield PIECE
                await asyncio.sleep(0)
        finally:
            self.closed += 1

    async def whole(self, _: RequestContext) -> Reply:
        return self._reply(COUNT, COUNT)

    async def endless(self, _: RequestContext) -> Reply:
        return self._reply(ENDLESS, ENDLESS)

    async def short(self, _: RequestContext) -> Reply:
        return self._reply(COUNT, COUNT + 1)

    async def refused(self, _: RequestContext) -> Reply:
        async def pieces() -> AsyncGenerator[bytes, None]:
            yield PIECE
            raise refuse("RETRY")

        return Streamed(200, pieces(), 2 * len(PIECE), b"", Medium(content_type="a/b"))

    async def broken(self, _: RequestContext) -> Reply:
        async def pieces() -> AsyncGenerator[bytes, None]:
            yield PIECE
            raise ZeroDivisionError

        return Streamed(200, pieces(), 2 * len(PIECE), b"", Medium(content_type="a/b"))

    def _reply(self, count: int, said: int) -> Streamed:
        lines = header_lines(content_disposition='attachment; filename="a.zip"')
        medium = Medium(content_type="application/zip")
        return Streamed(200, self.pieces(count), said * len(PIECE), lines, medium)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def streaming(source: Source) -> AsyncIterator[Server]:
    options = EdgeOptions(body_limit_bytes=1000, request_timeout_s=PATIENCE_S)
    names = ("whole", "endless", "short", "refused", "broken")
    routes = [route("GET", f"/long/{name}", getattr(source, name)) for name in names]
    async with serving(options, more=routes) as running:
        yield running


async def test_a_long_answer_comes_whole_and_the_connection_stays(
    streaming: Server, source: Source
) -> None:
    async with streaming.client() as client:
        answer = await client.ask(request("GET", "/long/whole"))
        assert answer.status == 200
        assert answer.body == PIECE * COUNT
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"] == 'attachment; filename="a.zip"'
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.ask(request("GET", "/healthz"))).status == 200
    assert source.closed == 1
    assert streaming.lines()[0]["status"] == 200


async def test_only_its_head_is_sent_to_who_asks_for_that(
    streaming: Server, source: Source
) -> None:
    async with streaming.client() as client:
        answer = await client.ask(request("HEAD", "/long/whole"), to_head=True)
        assert answer.headers["content-length"] == str(COUNT * len(PIECE))
        assert (await client.ask(request("GET", "/healthz"))).status == 200
    assert source.made == 0


@pytest.mark.parametrize("how", ["short", "refused", "broken"])
async def test_one_that_ends_early_is_seen_to(streaming: Server, how: str) -> None:
    with capture_logs() as logs:
        async with streaming.client() as client:
            client.send(request("GET", f"/long/{how}"))
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.raw_answer()
            await until(lambda: any(line["event"] == STREAM_CUT for line in logs))
    events = [line["event"] for line in logs]
    assert (REQUEST_FAILED in events) is (how == "broken")


async def test_no_more_is_made_than_is_read(streaming: Server, source: Source) -> None:
    async with streaming.client() as client:
        await _stuck(streaming, client)
        assert source.made < ENDLESS / 2
    await until(lambda: source.closed == 1)


async def test_a_client_that_leaves_ends_the_pieces(streaming: Server, source: Source) -> None:
    with capture_logs() as logs:
        async with streaming.client() as client:
            await _stuck(streaming, client)
            raw = client.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.writer.transport.abort()
        await until(lambda: source.closed == 1)
        await until(lambda: bool(logs))
    assert [line["event"] for line in logs] == [STREAM_CUT]


async def _stuck(streaming: Server, client: Client) -> None:
    """Ask for a lot, and read nothing until the server waits."""
    client.writer.transport.pause_reading()
    client.send(request("GET", "/long/endless"))
    await until(lambda: bool(streaming.edge._server.connections))
    (connection,) = streaming.edge._server.connections
    await until(lambda: connection.writing_paused)
