"""Bare aiohttp WebSockets: a command channel and a fan-out that store nothing.

Commands are decoded and answered at once; a hold over HTTP changes one seat, and changes are sent
to every socket of its showtime 50 ms after the first, encoded once. No authentication, no checks
of seats, no metrics, no logs, no storage: the floor for latency, the ceiling for the rate.

Run: `python -m benchmarks.baselines.bare_socket PORT`.
"""

import asyncio
import sys
from typing import Literal

import msgspec
import uvloop
from aiohttp import WSMsgType, web

from benchmarks.baselines.bare import EXPIRES_AT, HOLD_ID
from benchmarks.baselines.serving import serve
from benchmarks.baselines.shapes import Hold, decode_request, encode, hold_reply

COALESCE_S = 0.05


class Command(msgspec.Struct, frozen=True):
    """A hold, as it comes over a socket."""

    type: Literal["hold"]
    ref: int
    seats: list[str]


class Result(msgspec.Struct, frozen=True):
    """The answer to a command."""

    type: str
    ref: int
    data: Hold


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """A snapshot or a delta."""

    type: str
    epoch: int
    seq: int
    prev_seq: int | None = None
    changes: dict[str, str] | None = None
    taken: dict[str, str] | None = None


decode_command = msgspec.json.Decoder(Command).decode


class Room:
    """The watchers of one showtime, and the changes they have not been sent."""

    def __init__(self) -> None:
        self.sockets: set[web.WebSocketResponse] = set()
        self.seq = 0
        self._sent_seq = 0
        self._changes: dict[str, str] = {}
        self._sending: asyncio.Task[None] | None = None

    def change(self, labels: list[str]) -> int:
        """Note a change; returns its number."""
        self.seq += 1
        self._changes.update(dict.fromkeys(labels, "held"))
        if self.sockets and self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())
        return self.seq

    async def _send(self) -> None:
        await asyncio.sleep(COALESCE_S)
        frame = Frame(
            type="delta", epoch=1, seq=self.seq, prev_seq=self._sent_seq, changes=self._changes
        )
        self._sent_seq, self._changes, self._sending = self.seq, {}, None
        payload = encode(frame)
        for socket in tuple(self.sockets):
            await socket.send_frame(payload, WSMsgType.TEXT)

    async def watch(self, request: web.Request) -> web.WebSocketResponse:
        """One socket, until it closes."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sent_seq = max(self._sent_seq, self.seq if not self.sockets else 0)
        snapshot = Frame(type="snapshot", epoch=1, seq=self._sent_seq, taken={})
        await socket.send_frame(encode(snapshot), WSMsgType.TEXT)
        self.sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_frame(self._answer(request, message.data), WSMsgType.TEXT)
        finally:
            self.sockets.discard(socket)
        return socket

    def _answer(self, request: web.Request, text: str) -> bytes:
        command = decode_command(text)
        reply = hold_reply(HOLD_ID, request.match_info["id"], command.seats, EXPIRES_AT, 1)
        return encode(Result("result", command.ref, reply.data))


ROOMS: "web.AppKey[dict[str, Room]]" = web.AppKey("rooms")


def room_of(request: web.Request) -> Room:
    """The showtime's room, made when it is first asked for."""
    return request.app[ROOMS].setdefault(request.match_info["id"], Room())


async def hold(request: web.Request) -> web.Response:
    """Answer as a hold is answered, and tell the watchers."""
    wanted = decode_request(await request.read())
    seq = room_of(request).change(wanted.seats)
    reply = hold_reply(HOLD_ID, request.match_info["id"], wanted.seats, EXPIRES_AT, seq)
    return web.Response(body=encode(reply), status=201, content_type="application/json")


async def watch(request: web.Request) -> web.WebSocketResponse:
    """A showtime's socket."""
    return await room_of(request).watch(request)


def application() -> web.Application:
    """Two routes."""
    app = web.Application()
    app[ROOMS] = {}
    app.router.add_post("/api/v1/showtimes/{id}/holds", hold)
    app.router.add_get("/api/v1/showtimes/{id}/watch", watch)
    return app


if __name__ == "__main__":
    uvloop.run(serve(application(), int(sys.argv[1])))
