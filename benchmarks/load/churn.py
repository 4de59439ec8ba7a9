"""Customers who each hold one seat and give it back, again and again."""

import itertools
import time

import msgspec

from benchmarks.load.connection import Connection, open_connections
from benchmarks.load.http import format_request
from benchmarks.load.specs import Churn, Report
from benchmarks.load.tally import Measured, Tally

HELD, RELEASED = 201, 200


class _Held(msgspec.Struct, gc=False):
    hold_id: str


class _HeldReply(msgspec.Struct, gc=False):
    data: _Held


_decode_hold = msgspec.json.Decoder(_HeldReply).decode


class Customer:
    """Holds a seat, releases it, and holds the next of a few that nobody else wants."""

    def __init__(self, churn: Churn, number: int) -> None:
        showtimes, labels, tokens = churn.showtimes, churn.labels, churn.tokens
        self._host = f"{churn.host}:{churn.port}"
        self._token = tokens[number % len(tokens)] if tokens else None
        self._holds = f"/api/v1/showtimes/{showtimes[number % len(showtimes)]}/holds"
        neighbours = -(-churn.connections // len(showtimes))
        self._wishes = itertools.cycle(
            [self._wish(label) for label in labels[number // len(showtimes) :: neighbours]]
        )
        self._has_one = False

    def begin(self) -> bytes:
        """The first request."""
        return next(self._wishes)

    def after(self, status: int, body: bytes) -> bytes:
        """The next request, given the answer to the last."""
        if self._has_one or status != HELD:
            self._has_one = False
            return next(self._wishes)
        self._has_one = True
        path = f"{self._holds}/{_decode_hold(body).data.hold_id}"
        return format_request("DELETE", path, host=self._host, token=self._token)

    def _wish(self, label: str) -> bytes:
        body = msgspec.json.encode({"seats": [label]})
        return format_request("POST", self._holds, host=self._host, token=self._token, body=body)


async def run_churn(churn: Churn) -> Report:
    """Hold and release for the window and report both kinds of answers."""
    tally = Tally()
    customers: dict[Connection, Customer] = {}

    def replied(connection: Connection, status: int, body: bytes) -> None:
        now_ns = time.monotonic_ns()
        tally.count(status, now_ns - connection.sent_ns)
        request = customers[connection].after(status, body)
        if not tally.finished.is_set():
            connection.send(request, now_ns)

    def lost(_: Connection) -> None:
        tally.drop()

    connections = await open_connections(churn.host, churn.port, churn.connections, replied, lost)
    for number, connection in enumerate(connections):
        customers[connection] = Customer(churn, number)
    measured = Measured(tally, churn.window)
    for connection in connections:
        connection.send(customers[connection].begin(), time.monotonic_ns())
    await measured.run()
    tally.finished.set()
    for connection in connections:
        connection.close()
    return measured.report()
