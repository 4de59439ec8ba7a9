"""Receivers of webhooks on this machine: one that takes all, and ones that speak raw HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from standardwebhooks.webhooks import Webhook

HOST = "127.0.0.1"


class Received(NamedTuple):
    """A request that has arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = msgspec.json.decode(self.body)
        return event

    def verified(self, secret: str) -> dict[str, Any]:
        """The event, if the secret has signed it, as the library of Standard Webhooks says."""
        event: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return event


Answer = Callable[[Received], Awaitable[web.StreamResponse] | web.StreamResponse]


def taken(_received: Received) -> web.Response:
    return web.Response(status=204)


class Receiver:
    """Keeps what arrives; `answer` says what it answers."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Answer = taken
        self.port = 0
        self.at_once = 0
        self.most_at_once = 0
        self._arrived = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/events"

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(request.path, dict(request.headers), await request.read())
        self.received.append(received)
        self._arrived.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.answer(received)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        finally:
            self.at_once -= 1

    async def until(self, count: int, within_s: float = 20.0) -> list[Received]:
        """All that has arrived, once it is so much."""
        async with asyncio.timeout(within_s):
            while len(self.received) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.received


@asynccontextmanager
async def receiver(**how: Any) -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    one = Receiver()
    runner = web.ServerRunner(web.Server(one.take), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, **how)
    await site.start()
    assert site._server is not None  # noqa: SLF001
    one.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        yield one
    finally:
        await runner.cleanup()


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_receiver(speak: Speak) -> AsyncIterator[str]:
    """The URL of a server that reads the head of a request, and then says whatever it likes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        server.close()
