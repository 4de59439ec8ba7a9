"""Two hundred clients for fifty seats: who got what, and whether two ever had the same."""

import random
import time
from collections.abc import Callable

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.holds import HELD
from benchmarks.load.http import format_request
from benchmarks.load.specs import Contest, Report, Sale
from benchmarks.load.tally import Measured, Tally

CONFLICT = 409


class _Hold(msgspec.Struct, gc=False):
    hold_id: str


class _HoldReply(msgspec.Struct, gc=False):
    data: _Hold


class _Booking(msgspec.Struct, gc=False):
    id: str


class _BookingReply(msgspec.Struct, gc=False):
    data: _Booking


_decode_hold = msgspec.json.Decoder(_HoldReply).decode
_decode_booking = msgspec.json.Decoder(_BookingReply).decode


class Ledger:
    """Which client surely has which seat, from what was acknowledged and not yet given back.

    A seat is surely someone's from the moment its hold's answer arrived until the release is sent.
    Two such spans of one seat that overlap mean that both holds were alive at once.
    """

    def __init__(self) -> None:
        self._owner: dict[str, int] = {}
        self.sales: list[Sale] = []
        self.violations: list[str] = []

    def held(self, label: str, client: int) -> None:
        other = self._owner.get(label)
        if other is not None:
            self.violations.append(f"{label}: held by client {client} while {other} had it")
        self._owner[label] = client

    def giving_back(self, label: str) -> None:
        self._owner.pop(label, None)

    def sold(self, label: str, booking_id: str) -> None:
        if any(sale.label == label for sale in self.sales):
            self.violations.append(f"{label}: sold twice, the second time as {booking_id}")
        self.sales.append(Sale(booking_id=booking_id, label=label))


class Contestant:
    """One client: tries a random seat; releases, books or keeps it when it got one."""

    def __init__(self, number: int, contest: Contest, ledger: Ledger) -> None:
        self._number = number
        self._contest = contest
        self._ledger = ledger
        self._random = random.Random(contest.seed * 100_003 + number)
        self._host = f"{contest.host}:{contest.port}"
        self._token = contest.tokens[number]
        self._label = ""
        self._then: Callable[[int, bytes], bytes] = self._tried

    def try_seat(self) -> bytes:
        """A hold request for a random seat."""
        self._then = self._tried
        self._label = self._random.choice(self._contest.labels)
        return self._request(
            "POST",
            f"/api/v1/showtimes/{self._contest.showtime}/holds",
            msgspec.json.encode({"seats": [self._label]}),
        )

    def after(self, status: int, body: bytes) -> bytes:
        """The next request, given the answer to the last."""
        return self._then(status, body)

    def _tried(self, status: int, body: bytes) -> bytes:
        if status != HELD:
            return self.try_seat()
        self._ledger.held(self._label, self._number)
        if self._contest.after_hold == "keep":
            return self.try_seat()
        hold_id = _decode_hold(body).data.hold_id
        if self._contest.after_hold == "release":
            self._ledger.giving_back(self._label)
            self._then = self._let_go
            path = f"/api/v1/showtimes/{self._contest.showtime}/holds/{hold_id}"
            return self._request("DELETE", path)
        self._then = self._booked
        booking = {
            "showtime_id": self._contest.showtime,
            "hold_id": hold_id,
            "payment": {"method": "demo"},
        }
        return self._request("POST", "/api/v1/bookings", msgspec.json.encode(booking))

    def _let_go(self, status: int, body: bytes) -> bytes:
        if status != 200:
            self._ledger.violations.append(f"{self._label}: a release answered {status}: {body!r}")
        return self.try_seat()

    def _booked(self, status: int, body: bytes) -> bytes:
        if status == 201:
            self._ledger.sold(self._label, _decode_booking(body).data.id)
        else:
            self._ledger.violations.append(f"{self._label}: a booking answered {status}: {body!r}")
        return self.try_seat()

    def _request(self, method: str, path: str, body: bytes = b"") -> bytes:
        return format_request(method, path, host=self._host, token=self._token, body=body)


async def run_contest(contest: Contest) -> Report:
    """Let the clients compete for the window and report it, with every sale and every violation."""
    tally, ledger = Tally(), Ledger()
    contestants: dict[Connection, Contestant] = {}

    def replied(connection: Connection, status: int, body: bytes) -> None:
        now_ns = time.monotonic_ns()
        tally.count(status, now_ns - connection.sent_ns)
        request = contestants[connection].after(status, body)
        if not tally.finished.is_set():
            connection.send(request, now_ns)

    def lost(_: Connection) -> None:
        tally.drop()

    connections = await open_connections(
        contest.host, contest.port, len(contest.tokens), replied, lost
    )
    for number, connection in enumerate(connections):
        contestants[connection] = Contestant(number, contest, ledger)
    measured = Measured(tally, contest.window)
    for connection, contestant in contestants.items():
        connection.send(contestant.try_seat(), time.monotonic_ns())
    await measured.run()
    tally.finished.set()
    for connection in connections:
        connection.close()
    return measured.report(sales=ledger.sales, violations=ledger.violations)
