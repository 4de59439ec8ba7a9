"""An edge with a few routes on a real socket, and a client that speaks bytes.

Each route comes in two ways, with the same handler: as a coroutine, and taskless.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import msgspec

from cinema.domain.principal import TOKEN_REVOKED, InvalidToken, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.features.accounts.signing_keys import SigningKeys
from cinema.features.accounts.tokens import TokenIssuer, TokenVerifier
from cinema.features.operations import health_routes
from cinema.features.owned import SHOWTIMES
from cinema.features.seats.errors import ERRORS as SEATS_ERRORS
from cinema.http.context import Call, RequestContext
from cinema.http.errors import error_table
from cinema.http.responses import Reply, success
from cinema.http.routes import Handler, Route, TasklessHandler, bound
from cinema.http.server import Edge, EdgeOptions
from cinema.http.turns import Turns
from cinema.telemetry.metrics import Metrics

BODY_LIMIT_BYTES = 4096
NOW_S = 1_700_000_000.0
USER = bytes(range(16))
PATIENCE_S = 10.0
"""How long a test waits for what must come; it never comes to that when all is well."""


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  (of the server within there is no event)
            await asyncio.sleep(0)


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    seats: Annotated[list[str], msgspec.Meta(min_length=1)]


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    limit: int = 20


class Answer(msgspec.Struct):
    """One reply as it came: status, lower-case headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The error code, after a look at the whole envelope."""
        envelope = self.json
        assert set(envelope) == {"success", "error", "request_id"}
        assert set(envelope["error"]) == {"code", "message", "details"}
        assert envelope["success"] is False
        assert envelope["request_id"] == self.headers["x-request-id"]
        return str(envelope["error"]["code"])


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def raw_answer(self) -> bytes:
        """The next reply as its bytes."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
            return head + await self.reader.readexactly(length)

    async def answer(self, *, to_head: bool = False) -> Answer:
        """The next reply."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.strip().split("\r\n")
            headers = {}
            for line in lines:
                name, _, value = line.partition(": ")
                assert name.lower() not in headers, name
                headers[name.lower()] = value
            length = 0 if to_head else int(headers.get("content-length", 0))
            body = await self.reader.readexactly(length)
        return Answer(int(status_line.split()[1]), headers, body)

    async def ask(self, raw: bytes, *, to_head: bool = False) -> Answer:
        self.send(raw)
        return await self.answer(to_head=to_head)

    async def ends(self) -> bool:
        """Whether the server closes without another byte."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read() == b""


def request(
    method: str, path: str, body: bytes | None = None, *, version: str = "1.1", **headers: str
) -> bytes:
    """A request; `content_type="x"` is `Content-Type: x`."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test"]
    if body is not None:
        headers = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + (body or b"")


class Gatekeeper:
    """Verifies tokens until they are revoked."""

    def __init__(self, keys: list[bytes]) -> None:
        self._verifier = TokenVerifier(SigningKeys(keys), clock=lambda: NOW_S)
        self.revoked: set[str] = set()
        self.looks = 0

    def verify(self, token: str) -> Principal:
        self.looks += 1
        if token in self.revoked:
            raise InvalidToken(TOKEN_REVOKED)
        return self._verifier.verify(token)


class Server:
    """The edge under test and what it has left behind."""

    def __init__(
        self,
        edge: Edge,
        port: int,
        log: list[bytes],
        issuer: TokenIssuer,
        gatekeeper: Gatekeeper,
    ) -> None:
        self.gatekeeper = gatekeeper
        self.edge = edge
        self.port = port
        self.handled: list[Call] = []
        self.in_a_task: list[bool] = []
        self.release = asyncio.Event()
        self._log = log
        self._issuer = issuer

    def handle(self, call: Call) -> None:
        """Note that a request has reached its handler, and how."""
        self.handled.append(call)
        self.in_a_task.append(asyncio.current_task() is not None)

    def token(self, role: str = "customer") -> str:
        return self._issuer.issue(user_id=USER, role=role, session_id=USER, at_s=NOW_S).text

    def lines(self) -> list[dict[str, Any]]:
        """The access log so far."""
        self.edge.flush_log()
        return [msgspec.json.decode(line) for line in b"".join(self._log).splitlines()]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def ask(self, raw: bytes) -> Answer:
        async with self.client() as client:
            return await client.ask(raw)


@asynccontextmanager
async def serving(
    options: EdgeOptions,
    *,
    taskless: bool = False,
    more: Iterable[Route] = (),
    turns: Turns | None = None,
) -> AsyncIterator[Server]:
    """An edge with `options`, the house's routes and `more`, stopped at the end."""
    keys = [b"k" * 32]
    gatekeeper = Gatekeeper(keys)
    issuer = TokenIssuer(SigningKeys(keys), ttl_s=3600, clock=lambda: NOW_S)
    log: list[bytes] = []
    metrics = Metrics()
    edge = Edge(
        options,
        errors=error_table([SEATS_ERRORS]),
        verify_token=gatekeeper.verify,
        metrics=metrics,
        write_log=log.append,
        owned=SHOWTIMES,
        turns=turns,
    )
    port_later = await edge.start("127.0.0.1", 0)
    server = Server(edge, port_later, log, issuer, gatekeeper)
    edge.add_routes([*Handlers(server, taskless=taskless).routes(), *more])
    health = health_routes.HealthParts({}, metrics)
    edge.add_routes(bound(health_routes.ROUTES, health))
    try:
        yield server
    finally:
        server.release.set()
        await edge.stop(1.0)


class Handlers:
    """What the routes do, and the two ways to do it."""

    def __init__(self, server: Server, *, taskless: bool) -> None:
        self._server = server
        self._is_taskless = taskless
        self._waiting: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """One route for each thing that can happen."""
        staff = frozenset({"staff"})
        return [
            self._route("POST", "/echo", self.echo, request=Wish, idempotent=True),
            self._route("PUT", "/things/{thing_id}", self.echo, request=Wish),
            self._route("GET", "/showtimes/{showtime_id}/seats", self.refusing),
            self._route("GET", "/me", self.whoami, auth="bearer", query=Wanted),
            self._route("GET", "/staff", self.whoami, auth="bearer", roles=staff),
            self._route("POST", "/staff", self.whoami, auth="bearer", request=Wish),
            self._route("POST", "/leave", self.leave, auth="lenient", request=Wish),
            self._route("GET", "/slow", self.slow),
            self._route("GET", "/broken", self.broken),
            self._route("GET", "/misspelt", self.misspelt),
            self._route("GET", "/overloaded", self.raising),
            self._route("GET", "/large", self.large),
        ]

    def echo(self, call: Call) -> Reply:
        self._server.handle(call)
        return success(call.body, status=201)

    def whoami(self, call: Call) -> Reply:
        self._server.handle(call)
        return success({"role": call.principal.role, "query": call.query})

    def leave(self, call: Call) -> Reply:
        self._server.handle(call)
        return success("nobody" if call.caller is None else call.caller.role)

    def slow(self, _: Call) -> Reply:
        return success("slow")

    def broken(self, _: Call) -> Reply:
        raise RuntimeError("the secret of the house")

    def misspelt(self, _: Call) -> Rejection:
        return Rejection(code="NO_SUCH_CODE")

    def refusing(self, _: Call) -> Rejection:
        return Rejection(code="SEAT_UNAVAILABLE", details={"seats": ["F7"]})

    def raising(self, _: Call) -> Reply:
        raise refuse("OVERLOADED", retry_after_s=3)

    def large(self, _: Call) -> Reply:
        return success("x" * 3_000_000)

    def _route(
        self, method: str, path: str, answer: Callable[[Call], Reply | Rejection], **more: Any
    ) -> Route:
        return route(
            method,
            path,
            self._taskless(answer) if self._is_taskless else self._handler(answer),
            **more,
        )

    def _handler(self, answer: Callable[[Call], Reply | Rejection]) -> Handler:
        async def handle(context: RequestContext) -> Reply:
            if answer == self.slow:
                await self._server.release.wait()
            shown = answer(context)
            if isinstance(shown, Rejection):
                raise Refused(shown)
            return shown

        return handle

    def _taskless(self, answer: Callable[[Call], Reply | Rejection]) -> TasklessHandler:
        def ask(call: Call, reply: Callable[[Any], None]) -> None:
            if answer != self.slow:
                reply(call)
                return
            task = asyncio.ensure_future(reply_late(call, reply))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
            self._server.handle(call)

        async def reply_late(call: Call, reply: Callable[[Any], None]) -> None:
            await self._server.release.wait()
            reply(call)

        return TasklessHandler(ask, answer)


def route(method: str, path: str, handler: Handler | TasklessHandler, **more: Any) -> Route:
    """A route nobody needs to read about."""
    return Route(
        method=method,
        path=path,
        handler=handler,
        operation_id=method + path,
        summary="",
        tag="",
        **more,
    )
