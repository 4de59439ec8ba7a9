"""Gives many showtimes the same past: some live holds, and records of keyed requests."""

import time
from collections.abc import Generator, Iterator

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.http import format_request
from benchmarks.load.specs import Filling, Report
from benchmarks.load.tally import Measured, Tally


class _Hold(msgspec.Struct, gc=False):
    hold_id: str


class _HoldReply(msgspec.Struct, gc=False):
    data: _Hold


_decode_hold = msgspec.json.Decoder(_HoldReply).decode

Commands = Generator[bytes, bytes, None]
"""Yields requests and is sent the bodies of their answers."""


def commands(filling: Filling, showtime: str) -> Commands:
    """A showtime's past: holds that stay, then holds that are let go, each request with its key."""
    host = f"{filling.host}:{filling.port}"
    path = f"/api/v1/showtimes/{showtime}/holds"
    seats = filling.seats_each
    number = 0

    def request(method: str, at: str, token: str, body: bytes = b"") -> bytes:
        nonlocal number
        number += 1
        headers = {"Idempotency-Key": f"filling-{number}"}
        return format_request(method, at, host=host, token=token, body=body, headers=headers)

    for place in range(filling.live_holds):
        token = filling.tokens[place % len(filling.tokens)]
        chosen = filling.labels[place * seats : (place + 1) * seats]
        yield request("POST", path, token, msgspec.json.encode({"seats": chosen}))
    token = filling.tokens[0]
    passing = filling.labels[filling.live_holds * seats : (filling.live_holds + 1) * seats]
    while number < filling.requests:
        answer = yield request("POST", path, token, msgspec.json.encode({"seats": passing}))
        yield request("DELETE", f"{path}/{_decode_hold(answer).data.hold_id}", token)


class _Filler:
    def __init__(self, filling: Filling) -> None:
        self._filling = filling
        self._showtimes: Iterator[str] = iter(filling.showtimes)
        self._under_way: dict[Connection, Commands] = {}
        self._busy = 0
        self.tally = Tally()

    def start(self, connection: Connection) -> None:
        self._busy += 1
        self._next_showtime(connection)

    def _next_showtime(self, connection: Connection) -> None:
        showtime = next(self._showtimes, None)
        if showtime is None:
            self._busy -= 1
            if not self._busy:
                self.tally.exhaust()
            return
        under_way = self._under_way[connection] = commands(self._filling, showtime)
        connection.send(next(under_way), time.monotonic_ns())

    def replied(self, connection: Connection, status: int, body: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.tally.count(status, now_ns - connection.sent_ns)
        if not 200 <= status < 300:
            raise RuntimeError(f"an answer of {status}: {body[:300]!r}")
        try:
            request = self._under_way[connection].send(body)
        except StopIteration:
            self._next_showtime(connection)
        else:
            connection.send(request, now_ns)

    def lost(self, _: Connection) -> None:
        self.tally.drop()
        self.tally.exhaust()


async def run_filling(filling: Filling) -> Report:
    """Fill all showtimes; the window is as long as that takes."""
    filler = _Filler(filling)
    connections = await open_connections(
        filling.host, filling.port, filling.connections, filler.replied, filler.lost
    )
    measured = Measured(filler.tally, filling.window)
    filler.tally.recording = True
    for connection in connections:
        filler.start(connection)
    await measured.run()
    for connection in connections:
        connection.close()
    return measured.report()
