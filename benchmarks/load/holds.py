"""Holds over HTTP, as fast as the answers come (closed loop) or at a fixed rate (open loop)."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.histogram import Histogram
from benchmarks.load.http import format_request
from benchmarks.load.specs import Acknowledged, Crowd, HoldLoad, HoldsAcross, Order, Report
from benchmarks.load.tally import Measured, Tally

TICK_S = 0.001
"""How often the open loop looks for due requests: uvloop's timers have no finer step."""

HELD = 201


class _Position(msgspec.Struct, gc=False):
    epoch: int
    seq: int


class _HoldReply(msgspec.Struct, gc=False):
    data: _Position


class _Held(msgspec.Struct, gc=False):
    showtime_id: str
    hold_id: str


class _HeldReply(msgspec.Struct, gc=False):
    data: _Held


_decode_hold = msgspec.json.Decoder(_HeldReply).decode
_decode_reply = msgspec.json.Decoder(_HoldReply).decode


def seat_order(
    showtimes: list[str], labels: list[str], order: Order
) -> Iterator[tuple[bytes, bytes]]:
    """Each seat of each showtime once, as (showtime id, end of the request) to be joined."""
    ends = [_request_end(label) for label in labels]
    ids = [showtime.encode("ascii") for showtime in showtimes]
    if order == "hot":
        return ((showtime, end) for showtime in ids for end in ends)
    return ((showtime, end) for end in ends for showtime in ids)


def _request_end(label: str) -> bytes:
    body = b'{"seats":["%s"]}' % label.encode("ascii")
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


_REQUEST_START = b"POST /api/v1/showtimes/"


def request_middle(host: str, port: int, token: str | None) -> bytes:
    """The part of a hold request between the showtime's id and its Content-Length."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"/holds HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}"
        "Content-Type: application/json\r\n"
    ).encode("ascii")


class Sender:
    """Composes each connection's next hold: its customer's token, the next free seat."""

    def __init__(self, load: HoldLoad | Crowd, tally: Tally | None = None) -> None:
        self.load = load
        self.tally = tally or Tally()
        self._dropped = 0
        self.connections: list[Connection] = []
        self._seats = seat_order(load.showtimes, load.labels, load.order)
        self._middles: dict[Connection, bytes] = {}

    async def open(self) -> None:
        load = self.load
        self.connections = await open_connections(
            load.host, load.port, load.connections, self.replied, self.lost
        )
        tokens: list[str | None] = [*load.tokens] or [None]
        self._middles = {
            connection: request_middle(load.host, load.port, tokens[number % len(tokens)])
            for number, connection in enumerate(self.connections)
        }

    def send_next(self, connection: Connection, at_ns: int) -> None:
        seat = next(self._seats, None)
        if seat is None:
            self.tally.exhaust()
            return
        showtime, end = seat
        connection.send(b"".join((_REQUEST_START, showtime, self._middles[connection], end)), at_ns)

    def lost(self, _: Connection) -> None:
        self.tally.drop()
        self._dropped += 1
        if self._dropped == len(self.connections):
            self.tally.exhaust()

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def replied(self, connection: Connection, status: int, body: bytes) -> None:
        raise NotImplementedError


class ClosedLoop(Sender):
    """Each connection sends its next request when the answer to the last has come."""

    def start(self) -> None:
        for connection in self.connections:
            self.send_next(connection, time.monotonic_ns())

    def replied(self, connection: Connection, status: int, _: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.tally.count(status, now_ns - connection.sent_ns)
        if not self.tally.finished.is_set():
            self.send_next(connection, now_ns)


class BookingLoop(ClosedLoop):
    """Each connection holds the next seat, then books it; refused holds are counted, too."""

    def __init__(self, load: HoldLoad) -> None:
        super().__init__(load)
        self._booking: set[Connection] = set()
        self._tokens: dict[Connection, str] = {}

    async def open(self) -> None:
        await super().open()
        tokens = self.load.tokens
        for number, connection in enumerate(self.connections):
            self._tokens[connection] = tokens[number % len(tokens)]

    def replied(self, connection: Connection, status: int, body: bytes) -> None:
        if connection in self._booking or status != HELD:
            self._booking.discard(connection)
            super().replied(connection, status, body)
            return
        self._booking.add(connection)
        held = _decode_hold(body).data
        wish = {
            "showtime_id": held.showtime_id,
            "hold_id": held.hold_id,
            "payment": {"method": "demo"},
        }
        request = format_request(
            "POST",
            "/api/v1/bookings",
            host=f"{self.load.host}:{self.load.port}",
            token=self._tokens[connection],
            body=msgspec.json.encode(wish),
        )
        connection.send(request, time.monotonic_ns())


class OpenLoop(Sender):
    """Requests start at a fixed rate whatever the server does.

    A latency counts from the moment its request was due, also when all connections were busy then,
    so a stall is seen by every request it delayed (no coordinated omission).
    """

    def __init__(self, load: HoldLoad) -> None:
        super().__init__(load)
        assert load.rate_per_s is not None
        self._interval_ns = 1e9 / load.rate_per_s
        self._first_ns = 0
        self._due = 0
        self._idle: deque[Connection] = deque()
        self._late: deque[int] = deque()
        self.send_delay = Histogram()
        self.acknowledged: list[Acknowledged] = []
        self.keep_acknowledged = load.rate_per_s <= 1_000

    def start(self) -> None:
        self._idle.extend(self.connections)
        self._first_ns = time.monotonic_ns()
        self._tick()

    def _tick(self) -> None:
        if self.tally.finished.is_set():
            return
        now_ns = time.monotonic_ns()
        while (due_ns := self._first_ns + round(self._due * self._interval_ns)) <= now_ns:
            self._due += 1
            if self._idle:
                self.send_delay.record(now_ns - due_ns)
                self.send_next(self._idle.popleft(), due_ns)
            else:
                self._late.append(due_ns)
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def replied(self, connection: Connection, status: int, body: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.tally.count(status, now_ns - connection.sent_ns)
        if self.keep_acknowledged and status == HELD:
            position = _decode_reply(body).data
            self.acknowledged.append(
                Acknowledged(
                    epoch=position.epoch,
                    seq=position.seq,
                    sent_ns=connection.sent_ns,
                    answered_ns=now_ns,
                )
            )
        if self._late:
            self.send_next(connection, self._late.popleft())
        else:
            self._idle.append(connection)


class LookLoop(OpenLoop):
    """Reads the seat maps of the showtimes, one after the other."""

    def __init__(self, load: HoldLoad) -> None:
        super().__init__(load)
        host = f"{load.host}:{load.port}"
        self._looks = itertools.cycle(
            [
                format_request("GET", f"/api/v1/showtimes/{showtime}/seats", host=host)
                for showtime in load.showtimes
            ]
        )

    def send_next(self, connection: Connection, at_ns: int) -> None:
        connection.send(next(self._looks), at_ns)


async def run_holds(load: HoldLoad) -> Report:
    """Send holds for the whole window and report it."""
    if load.rate_per_s is None:
        closed = BookingLoop(load) if load.book else ClosedLoop(load)
        return (await _measured(closed, closed.start)).report()
    loop = LookLoop(load) if load.look else OpenLoop(load)
    measured = await _measured(loop, loop.start)
    return measured.report(send_delay=loop.send_delay, acknowledged=loop.acknowledged)


async def run_holds_across(across: HoldsAcross) -> Report:
    """Send holds to all the nodes for the whole window and report them together."""
    tally = Tally()
    loops = [ClosedLoop(load, tally) for load in across.loads]
    for loop in loops:
        await loop.open()
    measured = Measured(tally, across.window)
    for loop in loops:
        loop.start()
    await measured.run()
    tally.finished.set()
    for loop in loops:
        loop.close()
    return measured.report()


async def _measured(sender: "ClosedLoop | OpenLoop", start: Callable[[], None]) -> Measured:
    await sender.open()
    measured = Measured(sender.tally, sender.load.window)
    start()
    await measured.run()
    sender.tally.finished.set()
    sender.close()
    return measured
