"""An edge with a few routes on a real socket, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import msgspec

from cinema.domain.rejections import Rejection
from cinema.http.context import RequestContext
from cinema.http.health import health_routes
from cinema.http.metrics import Metrics
from cinema.http.responses import Reply, success
from cinema.http.routing import Route
from cinema.http.server import Edge, EdgeOptions
from cinema.services.tokens import TokenIssuer, TokenVerifier

BODY_LIMIT_BYTES = 4096
NOW_S = 1_700_000_000.0
USER = bytes(range(16))


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    seats: Annotated[list[str], msgspec.Meta(min_length=1)]


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

    async def answer(self, *, to_head: bool = False) -> Answer:
        """The next reply."""
        async with asyncio.timeout(10):
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
        async with asyncio.timeout(10):
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


class Server:
    """The edge under test and what it has left behind."""

    def __init__(self, edge: Edge, port: int, log: list[bytes], issuer: TokenIssuer) -> None:
        self.edge = edge
        self.port = port
        self.handled: list[RequestContext] = []
        self.release = asyncio.Event()
        self._log = log
        self._issuer = issuer

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
async def serving(options: EdgeOptions) -> AsyncIterator[Server]:
    """An edge with `options`, stopped at the end."""
    keys = [b"k" * 32]
    verifier = TokenVerifier(keys, ttl_s=3600, clock=lambda: NOW_S)
    issuer = TokenIssuer(keys, ttl_s=3600, clock=lambda: NOW_S)
    log: list[bytes] = []
    metrics = Metrics()
    edge = Edge(options, verify_token=verifier.verify, metrics=metrics, write_log=log.append)
    port_later = await edge.start("127.0.0.1", 0)
    server = Server(edge, port_later, log, issuer)

    async def echo(context: RequestContext) -> Reply:
        server.handled.append(context)
        return success(context.body, status=201)

    async def whoami(context: RequestContext) -> Reply:
        server.handled.append(context)
        return success({"role": context.principal.role})

    async def slow(_: RequestContext) -> Reply:
        await server.release.wait()
        return success("slow")

    async def broken(_: RequestContext) -> Reply:
        raise RuntimeError("the secret of the house")

    async def refusing(_: RequestContext) -> Rejection:
        return Rejection(code="SEAT_UNAVAILABLE", details={"seats": ["F7"]})

    async def large(_: RequestContext) -> Reply:
        return success("x" * 3_000_000)

    def route(method: str, path: str, handler: Any, **more: Any) -> Route:
        return Route(
            method=method,
            path=path,
            handler=handler,
            operation_id=handler.__name__ + method,
            summary="",
            tag="",
            **more,
        )

    edge.add_routes(
        [
            route("POST", "/echo", echo, request=Wish, idempotent=True),
            route("PUT", "/things/{thing_id}", echo, request=Wish),
            route("GET", "/showtimes/{showtime_id}/seats", refusing),
            route("GET", "/me", whoami, auth="bearer"),
            route("GET", "/staff", whoami, auth="bearer", roles=frozenset({"staff"})),
            route("POST", "/staff", whoami, auth="bearer", request=Wish),
            route("GET", "/slow", slow),
            route("GET", "/broken", broken),
            route("GET", "/large", large),
            *health_routes({}, metrics),
        ]
    )
    try:
        yield server
    finally:
        server.release.set()
        await edge.stop(1.0)
