"""The HTTP edge of a node: it listens, finds the route, and calls its endpoint."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from time import time
from typing import Final, Protocol

import msgspec
from aiohttp.web import BaseRequest, StreamResponse
from multidict import istr

from cinema.domain.principal import Principal
from cinema.domain.rejections import Rejection
from cinema.http.connections.connection import ConnectionServer
from cinema.http.connections.listening import close_when_accepted
from cinema.http.connections.proxies import TrustedProxies
from cinema.http.connections.request import HttpRequest, TasklessRequest
from cinema.http.connections.upload import Uploads
from cinema.http.connections.wire import ORIGIN, Finished, ReplyWriter
from cinema.http.endpoint import Endpoint, compose
from cinema.http.errors import ErrorTable
from cinema.http.limits import LISTEN_BACKLOG
from cinema.http.owned import Owned, OwnerOf
from cinema.http.request_ids import new_request_id
from cinema.http.responses import Reply, header_lines, rejected
from cinema.http.routes import Route
from cinema.http.routing import Match, Router, allowed_methods
from cinema.http.steps import EdgeParts, request_id_of
from cinema.http.targets import HOST, Hosts, is_whole_server
from cinema.http.taskless import TasklessCall
from cinema.http.throttling import EdgeLimits
from cinema.http.turns import Turns
from cinema.settings import Settings, is_loopback
from cinema.telemetry.access_log import AccessLog
from cinema.telemetry.metrics import Metrics, RouteMetrics

REQUEST_METHOD: Final = istr("Access-Control-Request-Method")
UNROUTED: Final = "(none)"
"""The route of requests that reach no endpoint, in log lines and metrics."""

KNOWN_TARGETS_LIMIT: Final = 4096
"""Request targets whose route is remembered; a new search takes longer than the rest here."""

READS: Final = frozenset({"GET", "HEAD"})

METHODS_COUNTED: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "UNKNOWN"}
)


DRAIN_POLL_S: Final = 0.02
"""Period of the check whether the last connection is closed."""

LEAST_GRACE_S: Final = 0.05
"""What a handler gets in any case to end once it is cancelled."""


class EdgeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the edge; `trusted_proxies` are networks in CIDR form."""

    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    require_https: bool = False
    body_limit_bytes: int = 1_048_576
    upload_limit_bytes: int = 5_242_880
    request_timeout_s: float = 15.0


def edge_options(settings: Settings) -> EdgeOptions:
    """The part of the settings for the edge."""
    return EdgeOptions(
        allowed_origins=settings.allowed_origins,
        trusted_proxies=settings.trusted_proxies,
        require_https=settings.production,
        body_limit_bytes=settings.body_limit_bytes,
        upload_limit_bytes=settings.max_upload_size_mb << 20,
        request_timeout_s=settings.request_timeout_seconds,
    )


def control_options(settings: Settings) -> EdgeOptions:
    """The same for the control endpoint: no page may call it, and no token is sent unencrypted."""
    return EdgeOptions(
        trusted_proxies=settings.trusted_proxies,
        require_https=settings.production and not is_loopback(settings.control_host),
        body_limit_bytes=settings.body_limit_bytes,
        request_timeout_s=settings.request_timeout_seconds,
    )


class Signatures(Protocol):
    """Checks calls that are signed instead of having a token."""

    def verify_signed(self, request: HttpRequest, credentials: str) -> Principal:
        """The signer of a request; raises `InvalidToken`."""

    def check_body(self, request: HttpRequest, body: bytes) -> None:
        """Refuse a body that was not signed."""


class Edge:
    """Serves a table of routes; `start` may be called for several addresses.

    Handlers refuse with codes of `errors`.
    Tokens that `verify_token` answers with None are looked up by `look_up_token`. With `signatures`
    calls may be signed instead. `writer`, `proxies` and `turns` may be shared with other code that
    serves the same clients in this loop; by default the edge has its own. `owned` are the things of
    which `owner_of` knows the owners.
    """

    def __init__(
        self,
        options: EdgeOptions,
        *,
        errors: ErrorTable,
        verify_token: Callable[[str], Principal | None],
        look_up_token: Callable[[str], Awaitable[Principal]] | None = None,
        signatures: Signatures | None = None,
        writer: ReplyWriter | None = None,
        proxies: TrustedProxies | None = None,
        metrics: Metrics,
        write_log: Callable[[bytes], None],
        owned: Owned | None = None,
        owner_of: OwnerOf | None = None,
        limits: EdgeLimits | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.metrics = metrics
        self._turns = turns or Turns(asyncio.get_running_loop())
        self.writer = writer or ReplyWriter(
            allowed_origins=options.allowed_origins, hsts=options.require_https
        )
        self.proxies = proxies or TrustedProxies(options.trusted_proxies)
        self._log = AccessLog(write_log, asyncio.get_running_loop().call_later)
        self._around = EdgeParts(
            errors=errors,
            writer=self.writer,
            access_log=self._log,
            verify_token=verify_token,
            look_up_token=look_up_token,
            proxies=self.proxies,
            require_https=options.require_https,
            body_limit_bytes=options.body_limit_bytes,
            request_timeout_s=options.request_timeout_s,
            owned=owned,
            owner_of=owner_of,
            limits=limits,
            uploads=Uploads(options.upload_limit_bytes),
            verify_signed=None if signatures is None else signatures.verify_signed,
            check_body=None if signatures is None else signatures.check_body,
        )
        self._router: Router[Endpoint] = Router(None if owned is None else owned.parameter)
        self._hosts = Hosts()
        self._fallback: Endpoint | None = None
        self._known: dict[tuple[str, str], Match[Endpoint]] = {}
        self._unrouted: dict[str, RouteMetrics] = {
            method: metrics.route(method, UNROUTED) for method in sorted(METHODS_COUNTED)
        }
        self._server = ConnectionServer(
            self._dispatch,
            turns=self._turns,
            taskless_call_of=self._taskless_call,
            refuse_late=self._refuse_late,
            refuse_unparsed=self._refuse_unparsed,
            head_timeout_s=options.request_timeout_s,
        )
        self._listeners: list[asyncio.Server] = []
        self._shared: list[asyncio.Server] = []

    def add_routes(self, routes: Iterable[Route]) -> None:
        """Register routes; each gets its own counters."""
        for route in routes:
            is_deprecated = route.deprecation is not None
            counters = self.metrics.route(route.method, route.path, is_deprecated=is_deprecated)
            endpoint = compose(route, self._around, counters)
            self._router.add(route.method, route.path, endpoint, literal=route.literal)
            if route.over_http:
                self._turns.probes += (f"{route.method} {route.path} ".encode(),)

    def set_fallback(self, route: Route) -> None:
        """Have `route` answer what is read at addresses whose first segment no other route has."""
        counters = self.metrics.route(route.method, route.path)
        self._fallback = compose(route, self._around, counters)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (which the system chooses for 0)."""
        listener = await asyncio.get_running_loop().create_server(
            self._server, host, port, backlog=LISTEN_BACKLOG, reuse_address=True
        )
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def share(self, opened: Iterable[socket.socket]) -> None:
        """Accept from sockets that listen already and that other processes may share."""
        loop = asyncio.get_running_loop()
        for one in opened:
            self._shared.append(
                await loop.create_server(self._server, sock=one, backlog=LISTEN_BACKLOG)
            )

    @property
    def shares(self) -> bool:
        """Whether it accepts from sockets that stay open without it."""
        return bool(self._shared)

    def flush_log(self) -> None:
        """Write the access lines that wait for their batch."""
        self._log.flush()

    def announce_end(self) -> None:
        """Continue to serve, and ask clients to open their next connection at another node."""
        self.writer.draining = True
        for listener in self._shared:
            listener.close()

    async def drain(self, wait_s: float) -> None:
        """Stop listening, and give open connections `wait_s` to learn that they will be closed.

        Closing one while its client sends the next request would fail that request.
        """
        self.announce_end()
        await asyncio.gather(*(close_when_accepted(one) for one in self._listeners))
        for _ in range(int(wait_s / DRAIN_POLL_S)):
            # Connections that were accepted last appear a few turns of the loop later.
            await asyncio.sleep(DRAIN_POLL_S)
            if not self._server.connections:
                return

    async def stop(self, grace_s: float) -> None:
        """Stop listening, give requests in flight `grace_s` to finish, and write the last lines."""
        self.announce_end()
        for listener in self._listeners:
            listener.close()
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + grace_s
        for _ in range(int(grace_s / DRAIN_POLL_S)):
            if not self._turns.waiting:
                break
            await asyncio.sleep(DRAIN_POLL_S)
        self._server.pre_shutdown()
        # It waits twice: for the handlers' answers, and for those that it has cancelled. Without
        # a positive time it would wait for ever.
        await self._server.shutdown(max(LEAST_GRACE_S, (deadline_s - clock()) / 2))
        for listener in (*self._listeners, *self._shared):
            await listener.wait_closed()
        self._listeners.clear()
        self._shared.clear()
        self._log.flush()

    def _find(self, method: str, target: str) -> Match[Endpoint] | Mapping[str, Endpoint] | None:
        known = self._known
        match = known.get((method, target))
        if match is not None:
            return match
        found = self._router.find(method, target)
        if isinstance(found, Match):
            if len(known) >= KNOWN_TARGETS_LIMIT:
                known.clear()
            known[method, target] = found
        return found

    def _dispatch(self, request: BaseRequest) -> Awaitable[StreamResponse]:
        if not self._hosts.is_valid(request.headers.get(HOST)):
            return self._answer_bad_host(request)
        match = self._find(request.method, request.raw_path)
        if isinstance(match, Match):
            return match.target.serve(request, match.params, match.subject_id)
        if (
            match is None
            and self._fallback is not None
            and request.method in READS
            and not self._router.begins(request.raw_path)
        ):
            return self._fallback.serve(request, (), None)
        return self._answer_unrouted(request, match)

    def _taskless_call(self, request: TasklessRequest) -> TasklessCall | None:
        """The call that serves `request` without a task, if its route can do that."""
        host = request.headers.get(HOST)
        if host not in self._hosts.known and not self._hosts.is_valid(host):
            return None
        match = self._find(request.method, request.raw_path)
        if not isinstance(match, Match) or match.target.taskless is None:
            return None
        call = TasklessCall(match.target.taskless, request, match.params, match.subject_id)
        return call if call.is_admitted() else None

    async def _answer_bad_host(self, request: BaseRequest) -> StreamResponse:
        """400 for any request (RFC 9112, 3.2): a proxy may have meant another server."""
        request_id = request_id_of(request)
        rejection = Rejection(
            code="BAD_REQUEST", details={"reason": "The header Host is not valid."}
        )
        return self._send(request, self._rejected(rejection, request_id), request_id)

    async def _answer_unrouted(
        self, request: BaseRequest, methods: Mapping[str, Endpoint] | None
    ) -> StreamResponse:
        """OPTIONS, 404 and 405."""
        request_id = request_id_of(request)
        if request.method == "OPTIONS" and (
            methods is not None or is_whole_server(request.raw_path)
        ):
            reply = self._options(request, allowed_methods(methods or ()))
        elif methods is None:
            reply = self._rejected(Rejection(code="NOT_FOUND"), request_id)
        else:
            allowed = allowed_methods(methods)
            reply = self._rejected(
                Rejection(code="METHOD_NOT_ALLOWED", details={"allowed": allowed.split(", ")}),
                request_id,
                header_lines(allow=allowed),
            )
        return self._send(request, reply, request_id)

    def _options(self, request: BaseRequest, allowed: str) -> Reply:
        extra = header_lines(allow=allowed)
        origin = request.headers.get(ORIGIN)
        if origin is not None and REQUEST_METHOD in request.headers:
            extra += self.writer.preflight(origin, allowed)
        return Reply(HTTPStatus.NO_CONTENT, extra=extra)

    def _refuse_unparsed(self, request: BaseRequest, rejection: Rejection) -> StreamResponse:
        """Answer bytes that never became a request."""
        request_id = new_request_id()
        return self._send(request, self._rejected(rejection, request_id), request_id)

    def _refuse_late(self, request: HttpRequest) -> Finished:
        """Answer a request that has waited too long for its turn, without reading it."""
        self._turns.refused += 1
        request_id = request_id_of(request)
        return self._send(
            request, self._rejected(Rejection(code="OVERLOADED"), request_id), request_id
        )

    def _rejected(self, rejection: Rejection, request_id: str, extra: bytes = b"") -> Reply:
        return rejected(self._around.errors, rejection, request_id, extra)

    def _send(self, request: HttpRequest, reply: Reply, request_id: str) -> Finished:
        """Write, count and log a reply that no endpoint made."""
        wall_s = time()
        finished = self.writer.send(request, reply, request_id, wall_s)
        method = request.method if request.method in METHODS_COUNTED else "UNKNOWN"
        self._unrouted[method].count(reply.status, reply.error_code)
        self._log.record(
            wall_s, request_id, method, UNROUTED, reply.status, 0, None, reply.error_code, None
        )
        return finished
