"""Holds over WebSocket command channels, pipelined: a fixed number in flight on each socket."""

import asyncio
import time

import msgspec

from benchmarks.load.connection import CONNECT_BATCH
from benchmarks.load.frames import client_frame
from benchmarks.load.holds import HELD
from benchmarks.load.specs import Report, SocketLoad
from benchmarks.load.tally import Measured, Tally
from benchmarks.load.websocket import WebSocketClient, watch_request


class _Error(msgspec.Struct, gc=False):
    code: str


class _Message(msgspec.Struct, gc=False):
    type: str
    ref: int | None = None
    error: _Error | None = None


_decode_message = msgspec.json.Decoder(_Message).decode


class CommandSocket(WebSocketClient):
    """One customer's command channel: as many new holds as answers came, in one write."""

    def __init__(self, load: SocketLoad, number: int, tally: Tally) -> None:
        token = load.tokens[number % len(load.tokens)] if load.tokens else None
        super().__init__(watch_request(load.host, load.port, load.showtimes[number], token))
        self._labels = iter([label.encode("ascii") for label in load.labels])
        self._in_flight = load.in_flight
        self._tally = tally
        self._sent_ns: dict[int, int] = {}
        self._next_ref = 1

    def start(self) -> None:
        """Fill the pipeline."""
        self._send(self._in_flight, time.monotonic_ns())

    def _send(self, count: int, now_ns: int) -> None:
        frames = []
        for _ in range(count):
            label = next(self._labels, None)
            if label is None:
                self._tally.exhaust()
                break
            ref = self._next_ref
            self._next_ref = ref + 1
            self._sent_ns[ref] = now_ns
            frames.append(client_frame(b'{"type":"hold","ref":%d,"seats":["%s"]}' % (ref, label)))
        self.write(b"".join(frames))

    def messages(self, payloads: list[bytes]) -> None:
        now_ns = time.monotonic_ns()
        answered = 0
        for payload in payloads:
            message = _decode_message(payload)
            if message.type == "result" and message.ref is not None:
                self._tally.count(HELD, now_ns - self._sent_ns.pop(message.ref))
                answered += 1
            elif message.type == "error" and message.ref is not None:
                code = message.error.code if message.error else "UNNAMED"
                self._tally.count(code, now_ns - self._sent_ns.pop(message.ref))
                answered += 1
            elif message.type == "snapshot" and not self.ready.done():
                self.ready.set_result(None)
        if answered and not self._tally.finished.is_set():
            self._send(answered, now_ns)

    def lost(self) -> None:
        self._tally.drop()
        self._tally.exhaust()


async def run_sockets(load: SocketLoad) -> Report:
    """Open one socket a showtime, keep its pipeline full for the window and report it."""
    tally = Tally()
    sockets = await _open(load, tally)
    measured = Measured(tally, load.window)
    for socket in sockets:
        socket.start()
    await measured.run()
    tally.finished.set()
    for socket in sockets:
        socket.close()
    return measured.report()


async def _open(load: SocketLoad, tally: Tally) -> list[CommandSocket]:
    loop = asyncio.get_running_loop()
    opened: list[CommandSocket] = []
    while len(opened) < len(load.showtimes):
        numbers = range(len(opened), min(len(opened) + CONNECT_BATCH, len(load.showtimes)))
        batch = [CommandSocket(load, number, tally) for number in numbers]
        await asyncio.gather(
            *(
                loop.create_connection(lambda made=socket: made, load.host, load.port)  # type: ignore[misc]
                for socket in batch
            )
        )
        await asyncio.gather(*(socket.ready for socket in batch))
        opened.extend(batch)
    return opened
