"""What a route is, and how a handler declares its own: with a decorator above a function.

    @Operation(method="GET", path="/movies/{movie_id}", operation_id="getMovie", ...)
    async def get_movie(catalog: CatalogService, context: RequestContext) -> Reply: ...

    ROUTES = (get_movie, ...)

The function receives its service first. `bound(ROUTES, catalog)` makes the routes of a node at its
start; a request then calls the handler as if it were a method of the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from types import MethodType
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
from aiohttp.web import StreamResponse

from cinema.domain.principal import ACCOUNTS
from cinema.domain.rejections import Rejection
from cinema.http.context import Call, RequestContext
from cinema.http.responses import Reply

S = TypeVar("S")
T = TypeVar("T")

Handler = Callable[[RequestContext], Awaitable[Reply | StreamResponse]]
"""Answers a request in a task of its own; refuses by raising `Refused`."""

HandlerOf = Callable[[S, RequestContext], Awaitable[Reply | StreamResponse]]
"""A handler before it has its service."""

Auth = Literal["none", "optional", "lenient", "bearer", "link", "device"]
"""Whether a route takes a token. For a `lenient` one a token that is not valid is as good as none,
for an `optional` one it is an error."""
"""How the caller is identified: not at all, by a token if there is one, by a token, or by the
secret of a link from a mail (`Link-Token`), which gives access to one thing and names no user. A
`device` route takes a token, or that of a scanner (`Device-Token`), which only such routes take."""

Throttle = Literal["writes", "commands"]

SUNSET_DAYS: Final = 14
"""Shortest notice for clients of an operation that is to end."""

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class TasklessHandler(msgspec.Struct, frozen=True):
    """A handler in two halves, without awaits.

    `ask` sends a message and returns. Its callback must be called exactly once, on the event loop,
    maybe before `ask` returns. `show` makes the reply from what the callback received, or returns a
    `Rejection`. Both may raise `Refused`.
    """

    ask: Callable[[Call, Callable[[Any], None]], None]
    show: Callable[[Any], Reply | Rejection]


class TasklessOf(msgspec.Struct, Generic[S], frozen=True):
    """A taskless handler before it has its service."""

    ask: Callable[[S, Call, Callable[[Any], None]], None]
    show: Callable[[Any], Reply | Rejection]


def shown_by(
    show: Callable[[T], Reply | Rejection],
) -> Callable[[Callable[[S, Call, Callable[[T], None]], None]], TasklessOf[S]]:
    """Makes a function the first half of a `TasklessHandler`; `show` is the second half."""

    def declare(ask: Callable[[S, Call, Callable[[T], None]], None]) -> TasklessOf[S]:
        return TasklessOf(ask, show)

    return declare


class Deprecation(msgspec.Struct, frozen=True, kw_only=True):
    """Since when an operation should no longer be used, when it ends, and what to use `instead`."""

    since: date
    sunset: date
    instead: str

    def __post_init__(self) -> None:
        if (self.sunset - self.since).days < SUNSET_DAYS:
            raise ValueError(f"an operation ends {SUNSET_DAYS} days after it was deprecated")

    def lines(self) -> bytes:
        """The header lines for clients: `Deprecation` (RFC 9745) and `Sunset` (RFC 8594)."""
        since, sunset = (datetime.combine(one, time(), UTC) for one in (self.since, self.sunset))
        ends = format_datetime(sunset, usegmt=True)
        return f"Deprecation: @{int(since.timestamp())}\r\nSunset: {ends}\r\n".encode()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """How clients reach an operation, what it takes and returns, and its documentation.

    `path` has its parameters in braces: `{name}` is a UUID (anything else is 404),
    `{name:text}` any text. `request` is the type of the JSON body, or `bytes` for a body the
    handler reads itself; with `body_optional` a request without one means an empty object.
    `query` is a Struct of query parameters; `response` is the type of `data` in the envelope,
    None for a reply of `media_type` without one; `also` are other media types in which the answer
    comes to clients that accept them. `roles` empty means every account. Guests
    have no account: they may call if `guests` is set, or if `roles` names them.
    `errors` are the codes beyond those that follow from the rest (`document/openapi.py`).
    `later_status` is sent instead of `status` when the work goes on after the reply.
    `idempotent` operations accept `Idempotency-Key`; `operation_id` is part of the key's scope.
    `if_match` operations require the tag of the version that they change, or heed it if it is there
    ("optional"). `over_http` operations are also answered without https, for internal probes. A
    `literal` operation accepts only the exact path, so that balancers can block it. `throttle` says
    how a request of a signed-in caller is counted: as a write (unless its method only reads), or as
    a command, which is counted in memory by caller and address, without a wait. Calls of one with a
    `deprecation` are counted, and their answers say so.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    tag: str
    description: str = ""
    auth: Auth = "none"
    roles: frozenset[str] = frozenset()
    guests: bool = False
    request: Any = None
    request_example: Any = None
    query: type[msgspec.Struct] | None = None
    response: Any = None
    response_example: Any = None
    meta: type[msgspec.Struct] | None = None
    meta_example: Any = None
    status: int = 200
    later_status: int | None = None
    media_type: str = "application/json"
    also: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    body_optional: bool = False
    idempotent: bool = False
    websocket: bool = False
    etag: bool = False
    if_match: bool | Literal["optional"] = False
    hidden: bool = False
    over_http: bool = False
    literal: bool = False
    throttle: Throttle = "writes"
    deprecation: Deprecation | None = None

    @property
    def admitted(self) -> frozenset[str]:
        """The roles that may call; empty for all."""
        return self.roles or (frozenset() if self.guests else ACCOUNTS)

    def __call__(self, handler: HandlerOf[S] | TasklessOf[S]) -> Declared[S]:
        """Declare `handler`; an operation is the decorator of its function."""
        return Declared(self, handler)


class Route(Operation, frozen=True, kw_only=True):
    """An operation and its handler."""

    handler: Handler | TasklessHandler


class Declared(msgspec.Struct, Generic[S], frozen=True):
    """An operation and its handler, which does not have its service yet."""

    operation: Operation
    handler: HandlerOf[S] | TasklessOf[S]

    def bound(self, service: S) -> Route:
        """The route, with `service` for the handler's first argument."""
        handler = self.handler
        if isinstance(handler, TasklessOf):
            return self._route(TasklessHandler(MethodType(handler.ask, service), handler.show))
        return self._route(MethodType(handler, service))

    def _route(self, handler: Handler | TasklessHandler) -> Route:
        return Route(**msgspec.structs.asdict(self.operation), handler=handler)


def bound(declared: Iterable[Declared[S]], service: S) -> tuple[Route, ...]:
    """The routes of handlers that work with the same service."""
    return tuple(one.bound(service) for one in declared)
