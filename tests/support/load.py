"""Clients that hold, extend, release, book and cancel, and write down all they are told."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Protocol
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from cinema.domain.idempotency import key_digest
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer
from tests.support.history import UNSENT, Attempt, Frame, History, Kind, Request

REQUEST_TIMEOUT_S = 30.0
"""Longer than any deadline of the server: who waits this long has been forgotten."""

PAUSE_S = 0.02
"""What a client waits before it asks again after a 503 or a lost connection."""

REPEATS = 4
API = "/api/v1"
CLIENT_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)

_keys = count(1)


class Caller(Protocol):
    """A way to send requests: plain HTTP, or the command channel of a watch socket."""

    over_socket: bool

    async def send(self, request: Request) -> Attempt:
        """Send once and note the outcome; never raises for what a server may do."""


class Customer(msgspec.Struct, frozen=True):
    """Somebody with a valid token."""

    user_id: bytes
    token: str


def customers(secret: str, first: int, number: int, *, now_s: float) -> list[Customer]:
    """Some customers, each with a token; `enrol` opens their accounts."""
    issuer = TokenIssuer(SigningKeys([secret.encode()]), ttl_s=3600, clock=lambda: now_s)
    made = []
    for position in range(first, first + number):
        user_id = bytes.fromhex(f"0190000000007000800000000000{position:04x}")
        token = issuer.issue(user_id=user_id, role="customer", session_id=user_id)
        made.append(Customer(user_id, token.text))
    return made


_ENROL = """
with account as (
    insert into users (id, email, email_key, password_hash, created_at)
    select id, id || '@example.com', id || '@example.com', 'none', now()
    from unnest($1::uuid[]) as one (id)
    on conflict do nothing
)
insert into sessions (id, user_id, created_at, expires_at)
select id, id, now(), now() + interval '1 day' from unnest($1::uuid[]) as one (id)
on conflict do nothing
"""


async def enrol(dsn: str, people: Sequence[Customer]) -> None:
    """Accounts and sessions for tokens that no server has issued."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_ENROL, [uuid.UUID(bytes=one.user_id) for one in people])
    finally:
        await connection.close()


class HttpCaller:
    """One customer over HTTP; with several servers, each request goes to any of them."""

    over_socket = False

    def __init__(
        self,
        history: History,
        session: aiohttp.ClientSession,
        servers: Sequence[str],
        customer: Customer,
        draw: random.Random,
    ) -> None:
        self._history = history
        self._session = session
        self._servers = servers
        self._authorization = f"Bearer {customer.token}"
        self._draw = draw

    async def send(self, request: Request, server: str | None = None) -> Attempt:
        """See `Caller.send`; `server` is where to, instead of any."""
        history = self._history
        headers = {"Authorization": self._authorization}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        attempt = history.begin(request)
        url = (server or self._draw.choice(self._servers)) + request.path
        try:
            async with self._session.request(
                request.method, url, data=request.body, headers=headers
            ) as reply:
                body = await reply.read()
                self._note(attempt, reply, body)
        except aiohttp.ClientConnectorError:
            # The library sends a GET or DELETE again when an old connection turns out to be dead:
            # then it is the second time that was refused.
            if request.method in {"GET", "DELETE"}:
                history.lose(attempt)
            else:
                history.refuse(attempt, UNSENT)
        except CLIENT_ERRORS:
            history.lose(attempt)
        return attempt

    def _note(self, attempt: Attempt, reply: aiohttp.ClientResponse, body: bytes) -> None:
        envelope = msgspec.json.decode(body)
        if envelope["success"]:
            self._history.succeed(attempt, envelope["data"])
            return
        error = envelope["error"]
        if reply.status == 503 and not int(reply.headers.get("Retry-After", "0")) > 0:
            self._history.faults.append(f"503 without Retry-After: {envelope}")
        self._history.refuse(attempt, error["code"], error["details"])


class SocketCaller:
    """One customer on a watch socket, with many commands in flight; notes what it is shown."""

    over_socket = True

    def __init__(
        self,
        history: History,
        session: aiohttp.ClientSession,
        server: str,
        customer: Customer,
        showtime_id: str,
    ) -> None:
        self._history = history
        self._session = session
        self.server = server
        self.customer = customer
        self._showtime_id = showtime_id
        self._headers = {"Authorization": f"Bearer {customer.token}"}
        self._refs = count(1)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._seen: tuple[int, int] | None = None
        self._taken: dict[str, str] = {}

    async def run(self) -> None:
        """Stay connected, until cancelled."""
        url = f"{self.server}{API}/showtimes/{self._showtime_id}/watch"
        while True:
            with suppress(*CLIENT_ERRORS):
                async with self._session.ws_connect(url, headers=self._headers) as socket:
                    self._socket = socket
                    self._seen = None
                    try:
                        async for message in socket:
                            self._take(msgspec.json.decode(message.data))
                    finally:
                        self._socket = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)
            await asyncio.sleep(PAUSE_S)

    async def send(self, request: Request) -> Attempt:
        """See `Caller.send`."""
        history = self._history
        attempt = history.begin(request)
        socket = self._socket
        if socket is None or socket.closed:
            history.refuse(attempt, UNSENT)
            return attempt
        ref = next(self._refs)
        waiting = self._waiting[ref] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_json({**(request.message or {}), "ref": ref, "key": request.key})
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answer = await waiting
        except CLIENT_ERRORS:
            answer = None
        finally:
            del self._waiting[ref]
        if answer is None:
            history.lose(attempt)
        elif answer["type"] == "result":
            history.succeed(attempt, answer["data"])
        else:
            error = answer["error"]
            history.refuse(attempt, error["code"], error["details"])
        return attempt

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "result" | "error":
                waiting = self._waiting.get(message["ref"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case "snapshot":
                self._taken = dict(message["taken"])
                self._show(message["epoch"], message["seq"])
            case "delta" if self._seen is not None:
                gap = message["prev_seq"] != self._seen[1] or message["epoch"] < self._seen[0]
                for label, status in message["changes"].items():
                    if status == "available":
                        self._taken.pop(label, None)
                    else:
                        self._taken[label] = status
                self._show(message["epoch"], message["seq"], "a gap in the deltas" if gap else "")

    def _show(self, epoch: int, seq: int, fault: str = "") -> None:
        self._seen = (epoch, seq)
        self._history.frames.append(
            Frame(
                showtime_id=self._showtime_id,
                epoch=epoch,
                seq=seq,
                taken=dict(self._taken),
                fault=fault,
            )
        )


class Showtime(msgspec.Struct, frozen=True):
    """A showtime under load; seats in the order of the journal's indexes."""

    id: str
    labels: tuple[str, ...]


class Client:
    """Does one thing after the other with its own holds and bookings, at random from a seed."""

    def __init__(
        self,
        caller: Caller,
        customer: Customer,
        showtimes: Sequence[Showtime],
        draw: random.Random,
    ) -> None:
        self._caller = caller
        self._customer = customer
        self._showtimes = showtimes
        self._draw = draw
        self._holds: dict[str, tuple[str, set[str]]] = {}
        self._bookings: dict[str, tuple[str, set[str]]] = {}

    async def run(self, actions: int, pause_s: float = 0.0) -> None:
        """At most `actions` things, unless cancelled before; `pause_s` before each on average."""
        for _ in range(actions):
            if pause_s:
                await asyncio.sleep(self._draw.uniform(0, 2 * pause_s))
            request = self._next()
            attempt = await self._caller.send(request)
            repeats = self._draw.choice((0, REPEATS))
            while not attempt.acknowledged and attempt.code in _MAY_REPEAT:
                await asyncio.sleep(PAUSE_S)
                if request.kind == "seats" or not repeats:
                    break
                repeats -= 1
                attempt = await self._caller.send(request)
            self._learn(attempt)

    def _next(self) -> Request:
        draw = self._draw.random()
        # Enough is given back that seats never run out for good.
        if self._bookings and draw < 0.05 * len(self._bookings):
            booking_id = self._draw.choice(list(self._bookings))
            showtime_id, seats = self._bookings[booking_id]
            return self.request("cancel", showtime_id, booking_id, self._part_of(seats))
        draw = self._draw.random()
        if not self._holds or draw < 0.3:
            return self._hold()
        hold_id = self._draw.choice(list(self._holds))
        showtime_id, seats = self._holds[hold_id]
        if draw < 0.4:
            return self.request("extend", showtime_id, hold_id)
        if draw < 0.6 or self._caller.over_socket:
            return self.request("release", showtime_id, hold_id, self._part_of(seats))
        if draw < 0.85:
            return self.request("book", showtime_id, hold_id)
        if draw < 0.92:
            return self.request("see_hold", showtime_id, hold_id)
        return self.request("seats", showtime_id)

    def _hold(self) -> Request:
        showtime = self._draw.choice(self._showtimes)
        if self._draw.random() < 0.3 and not self._caller.over_socket:
            return self.request("hold", showtime.id)
        first = self._draw.randrange(0, len(showtime.labels) - 1, 2)
        return self.request("hold", showtime.id, seats=showtime.labels[first : first + 2])

    def _part_of(self, seats: set[str]) -> tuple[str, ...] | None:
        if len(seats) < 2 or self._draw.random() < 0.5:
            return None
        return (self._draw.choice(sorted(seats)),)

    def request(
        self,
        kind: Kind,
        showtime_id: str,
        target_id: str | None = None,
        seats: tuple[str, ...] | None = None,
    ) -> Request:
        """A new request of this customer; commands get a key of their own."""
        over_socket = self._caller.over_socket
        make = socket_request if over_socket else http_request
        return make(kind, showtime_id, self._customer.user_id, target_id, seats)

    def _learn(self, attempt: Attempt) -> None:
        request = attempt.request
        target_id = request.target_id or ""
        match request.kind:
            case "hold" | "extend" if attempt.acknowledged:
                self._keep(self._holds, request, attempt.data["hold_id"], attempt.data)
            case "release":
                self._holds.pop(target_id, None)
                if attempt.acknowledged and attempt.data["status"] == "active":
                    self._keep(self._holds, request, target_id, attempt.data)
            case "book":
                self._holds.pop(target_id, None)
                if attempt.acknowledged:
                    self._keep(self._bookings, request, attempt.data["id"], attempt.data)
            case "cancel":
                self._bookings.pop(target_id, None)
                if attempt.acknowledged and attempt.data["status"] == "confirmed":
                    self._keep(self._bookings, request, target_id, attempt.data)
            case _:
                if attempt.code == "HOLD_ENDED":
                    self._holds.pop(target_id, None)

    @staticmethod
    def _keep(
        groups: dict[str, tuple[str, set[str]]], request: Request, group_id: str, data: Any
    ) -> None:
        groups[group_id] = (request.showtime_id, {seat["label"] for seat in data["seats"]})


_MAY_REPEAT = frozenset({None, UNSENT, "RETRY", "OVERLOADED", "OUTCOME_UNKNOWN"})


def http_request(
    kind: Kind,
    showtime_id: str,
    customer: bytes,
    target_id: str | None = None,
    seats: tuple[str, ...] | None = None,
) -> Request:
    """A request over HTTP, with the name under which the server stores its success."""
    showtime = f"{API}/showtimes/{showtime_id}"
    query = f"?seats={','.join(seats)}" if seats else ""
    content: Any = None
    match kind:
        case "hold":
            method, path, query = "POST", f"{showtime}/holds", ""
            content = {"seats": seats} if seats else {"best_available": {"quantity": 2}}
        case "extend":
            method, path, content = "PATCH", f"{showtime}/holds/{target_id}", {"extend": True}
        case "release":
            method, path = "DELETE", f"{showtime}/holds/{target_id}"
        case "book":
            method, path = "POST", f"{API}/bookings"
            content = {"showtime_id": showtime_id, "hold_id": target_id}
            content["payment"] = {"method": "demo"}
        case "cancel":
            method, path = "DELETE", f"{API}/bookings/{target_id}"
        case "seats":
            method, path = "GET", f"{showtime}/seats"
        case "see_hold":
            method, path = "GET", f"{showtime}/holds/{target_id}"
        case "see_booking":
            method, path = "GET", f"{API}/bookings/{target_id}"
    key = None if method == "GET" else f"key-{next(_keys)}"
    return Request(
        kind=kind,
        showtime_id=showtime_id,
        customer=customer,
        command_id=_command_id(kind, showtime_id, customer, target_id, key),
        method=method,
        path=path + query,
        key=key,
        body=None if content is None else msgspec.json.encode(content),
        seats=seats,
        target_id=target_id,
    )


def socket_request(
    kind: Kind,
    showtime_id: str,
    customer: bytes,
    target_id: str | None = None,
    seats: tuple[str, ...] | None = None,
) -> Request:
    """A command for the watch socket."""
    key = f"key-{next(_keys)}"
    message: dict[str, Any] = {"type": kind}
    if target_id is not None:
        message["hold_id"] = target_id
    if seats is not None:
        message["seats"] = seats
    return Request(
        kind=kind,
        showtime_id=showtime_id,
        customer=customer,
        command_id=_command_id(kind, showtime_id, customer, target_id, key),
        key=key,
        message=message,
        seats=seats,
        target_id=target_id,
    )


def _command_id(
    kind: Kind, showtime_id: str, customer: bytes, target_id: str | None, key: str | None
) -> bytes:
    """The name of a command under its key, the same over HTTP and the socket."""
    if key is None:
        return b""
    target = () if target_id is None else (UUID(target_id).bytes,)
    showtime = (UUID(showtime_id).bytes,)
    operation, ids = {
        "hold": ("placeHold", showtime),
        "extend": ("extendHold", showtime + target),
        "release": ("releaseHold", showtime + target),
        "book": ("createBooking", ()),
        "cancel": ("cancelBooking", target),
    }[kind]
    return key_digest(customer, operation, ids, key)


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose requests end in bounded time."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session
