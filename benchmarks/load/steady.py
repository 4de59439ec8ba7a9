"""Steady clients that never try twice: what one request came to, when, and how long it took."""

import asyncio
import random
import sys
import time
from collections.abc import Callable

import msgspec

from benchmarks.load.histogram import Histogram
from benchmarks.load.http import content_length, format_request
from benchmarks.load.resuming import Audience
from benchmarks.load.specs import Failed, Latencies, Slot, Steadied, Steady

SLOT_NS = 250_000_000
"""Width of a point of the plot."""

TIMEOUT_S = 20.0
"""Longer than any deadline of the server: a request without an answer by then has failed."""

SHOWN_S = 10.0
"""How long watchers may take to be shown the last change."""


class _Failure(Exception):
    """What a client would show its user."""


class _Hold(msgspec.Struct, gc=False):
    hold_id: str
    seq: int


class _HoldReply(msgspec.Struct, gc=False):
    data: _Hold


class _Seat(msgspec.Struct, gc=False):
    label: str
    status: str


class _Seats(msgspec.Struct, gc=False):
    seq: int
    seats: list[_Seat]


class _SeatsReply(msgspec.Struct, gc=False):
    data: _Seats


_decode_hold = msgspec.json.Decoder(_HoldReply).decode
_decode_seats = msgspec.json.Decoder(_SeatsReply).decode


class Line:
    """A client's connection: kept for as long as the server lets it, or a new one each time."""

    def __init__(self, host: str, port: int, *, kept: bool) -> None:
        self._address = (host, port)
        self._kept = kept
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def reader(self) -> asyncio.StreamReader | None:
        """What the server sends on the open connection, if there is one."""
        return None if self._open is None else self._open[0]

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises OSError, EOFError or TimeoutError without one."""
        async with asyncio.timeout(TIMEOUT_S):
            # A connection that the server has closed meanwhile is not used for another request.
            if self.reader is not None and self.reader.at_eof():
                self.close()
            if self._open is None:
                self._open = await asyncio.open_connection(*self._address)
            reader, writer = self._open
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(content_length(head[:-4]))
            except BaseException:
                self.close()
                raise
        if not self._kept or b"\r\nconnection: close\r\n" in head.lower():
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


class Diary:
    """What all clients were told, by the time at which each request was due."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.failed: list[Failed] = []
        self._slots: dict[int, Histogram] = {}

    def answered(self, what: str, due_ns: int) -> None:
        """A request succeeded just now."""
        self.requests[what] = self.requests.get(what, 0) + 1
        slot = self._slots.get(due_ns // SLOT_NS)
        if slot is None:
            slot = self._slots[due_ns // SLOT_NS] = Histogram()
        slot.record(time.monotonic_ns() - due_ns)

    def fail(self, what: str, why: str) -> None:
        """A request did not succeed."""
        self.requests[what] = self.requests.get(what, 0) + 1
        self.failed.append(Failed(at_ns=time.monotonic_ns(), what=what, why=why))

    def slots(self) -> list[Slot]:
        """The latencies in order of time."""
        return [
            Slot(at_ns=number * SLOT_NS, latency=Latencies.of(histogram))
            for number, histogram in sorted(self._slots.items())
        ]


class SteadyClient:
    """One customer, over and over: holds a seat, looks at the seat map, lets the seat go."""

    def __init__(self, number: int, load: Steady, diary: Diary, audience: Audience) -> None:
        self._load = load
        self._diary = diary
        self._audience = audience
        self._kept = number % 2 == 0
        self._line = Line(load.host, load.port, kept=self._kept)
        self._label = load.labels[number]
        self._token = load.tokens[number % len(load.tokens)]
        self._draw = random.Random(number)
        self._period_ns = round(load.clients / load.rate_per_s * 1e9)
        self._due_ns = time.monotonic_ns() + self._draw.randrange(self._period_ns)

    async def run(self) -> None:
        """Until cancelled."""
        body = msgspec.json.encode({"seats": [self._label]})
        while True:
            showtime = self._draw.choice(self._load.showtimes)
            path = f"/api/v1/showtimes/{showtime}"
            told = await self._send("hold", 201, "POST", f"{path}/holds", body)
            if told is None:
                continue
            hold = _decode_hold(told).data
            self._audience.changed(showtime, hold.seq)
            await self._look(path, hold.seq)
            told = await self._send("release", 200, "DELETE", f"{path}/holds/{hold.hold_id}")
            if told is not None:
                self._audience.changed(showtime, _decode_hold(told).data.seq)

    async def _look(self, path: str, seq: int) -> None:
        told = await self._send("seat map", 200, "GET", f"{path}/seats")
        if told is None:
            return
        shown = _decode_seats(told).data
        status = next(seat.status for seat in shown.seats if seat.label == self._label)
        if shown.seq < seq or status != "held":
            self._diary.fail("seat map", f"shows {status} at {shown.seq}, held at {seq}")

    async def _send(
        self, what: str, wanted: int, method: str, path: str, body: bytes = b""
    ) -> bytes | None:
        """The body of the answer, or None after a failure, which is not tried again."""
        self._due_ns += self._period_ns
        await asyncio.sleep((self._due_ns - time.monotonic_ns()) / 1e9)
        host = f"{self._load.host}:{self._load.port}"
        request = format_request(method, path, host=host, token=self._token, body=body)
        what = f"{what}, {'kept' if self._kept else 'new'} connection"
        try:
            status, told = await self._line.ask(request)
        except (OSError, EOFError, TimeoutError) as error:
            self._diary.fail(what, repr(error))
            return None
        if status != wanted:
            self._diary.fail(what, f"{status} {told[:300].decode('utf-8', 'replace')}")
            return None
        self._diary.answered(what, self._due_ns)
        return told


async def run_steady(load: Steady, say: Callable[[object], None]) -> Steadied:
    """Say `"ready"` once all watchers watch, go on until a line comes in, and report."""
    diary = Diary()
    audience = Audience(load.host, load.port)
    await audience.open(load.showtimes, load.watchers)
    clients = [SteadyClient(number, load, diary, audience) for number in range(load.clients)]
    started_s, cpu_s = time.monotonic(), time.process_time()
    tasks = [asyncio.ensure_future(client.run()) for client in clients]
    say("ready")
    stopped = asyncio.ensure_future(asyncio.to_thread(sys.stdin.buffer.readline))
    # A client that breaks ends the run; it must not look like one without failures.
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task in done:
            task.result()
        task.cancel()
    await asyncio.wait(tasks)
    seconds, cpu_s = time.monotonic() - started_s, time.process_time() - cpu_s
    missed = await _missed(load, audience)
    audience.close()
    return Steadied(
        requests=diary.requests,
        failed=diary.failed,
        slots=diary.slots(),
        close_codes=audience.close_codes,
        resumed=audience.resumed,
        snapshots=audience.snapshots,
        frames=audience.frames,
        missed=missed,
        generator_cpu_s=cpu_s,
        seconds=seconds,
    )


async def _missed(load: Steady, audience: Audience) -> list[str]:
    """What watchers were not shown, by their own account and by the seat maps as they are now."""
    await audience.caught_up(SHOWN_S)
    line = Line(load.host, load.port, kept=True)
    host = f"{load.host}:{load.port}"
    maps = {}
    for showtime in load.showtimes:
        path = f"/api/v1/showtimes/{showtime}/seats"
        _, told = await line.ask(format_request("GET", path, host=host))
        shown = _decode_seats(told).data
        maps[showtime] = {
            seat.label: seat.status for seat in shown.seats if seat.status != "available"
        }
    line.close()
    return audience.missed(maps)
