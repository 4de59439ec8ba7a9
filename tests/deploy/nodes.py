"""What stands behind a balancer in these tests: nodes that tell who they are and what they got."""

from __future__ import annotations

import asyncio
from typing import Self

import msgspec
from aiohttp import WSMsgType, web

from cinema.cluster.ring import DEFAULT_WEIGHT, RingNode


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came to a node."""

    method: str
    path: str
    raw_path: str
    headers: dict[str, str]


class StandIn:
    """A node that answers each request with its own address."""

    def __init__(self, weight: int) -> None:
        self._weight = weight
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.ready = True
        self.breaks_off = False
        self.received: list[Received] = []

    @property
    def node(self) -> RingNode:
        """The node as the ring sees it."""
        return RingNode("127.0.0.1", self._port, weight=self._weight)

    async def start(self) -> Self:
        """Listen, at a second start on the port of the first."""
        app = web.Application()
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/api/v1/showtimes/{id}/watch", self._watch)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Close all connections; the port refuses."""
        if self._runner is not None:
            # A connection that was just accepted is not known to the runner yet, and a listener
            # that is closed takes none: nobody would close it.
            while accepted := [one for one in asyncio.all_tasks() if _accepts(one)]:
                await asyncio.wait(accepted)
            for site in list(self._runner.sites):
                await site.stop()
            await self._runner.cleanup()
            self._runner = None

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.ready else 503)

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        self._note(request)
        if self.breaks_off:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.Event().wait()
        return web.json_response({}, headers={"Cinema-Owner": self.node.address})

    async def _watch(self, request: web.Request) -> web.WebSocketResponse:
        self._note(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(self.node.address)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket

    def _note(self, request: web.Request) -> None:
        headers = dict(request.headers)
        self.received.append(
            Received(
                method=request.method, path=request.path, raw_path=request.raw_path, headers=headers
            )
        )


def _accepts(task: asyncio.Task[object]) -> bool:
    """Whether a task of the loop makes a connection of a socket that it has accepted."""
    coroutine = task.get_coro()
    return getattr(coroutine, "__name__", "") == "_accept_connection2"


async def stand_ins(*weights: int) -> list[StandIn]:
    """Some nodes, started."""
    return [await StandIn(weight).start() for weight in weights or (DEFAULT_WEIGHT,) * 3]
