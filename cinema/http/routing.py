"""Routes as data, and the way from a path to one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import unquote

import msgspec
from aiohttp.web import StreamResponse

from cinema.domain.ids import parse_id
from cinema.domain.rejections import Rejection
from cinema.http.context import Call, RequestContext
from cinema.http.responses import Reply
from cinema.http.targets import origin_form

Handler = Callable[[RequestContext], Awaitable[Reply | Rejection | StreamResponse]]

Auth = Literal["none", "optional", "bearer"]

Throttle = Literal["writes", "holds"]

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

T = TypeVar("T")


class Prompt(msgspec.Struct, frozen=True):
    """A handler in two halves, with nothing awaited in between.

    `ask` sends a message and returns; the callback it is given must be called exactly once, on
    the event loop, maybe before `ask` returns. `show` makes the reply of what the callback got.
    Both may raise `Refused`.
    """

    ask: Callable[[Call, Callable[[Any], None]], None]
    show: Callable[[Any], Reply | Rejection]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: how it is reached, what it takes and gives, and what documents it.

    `path` has its parameters in braces: `{showtime_id}` is a UUID (anything else is 404),
    `{name:text}` any text. `request` is the type of the JSON body, or `bytes` for a body the
    handler reads itself; `query` is a Struct of query parameters; `response` is the type of
    `data` in the envelope, None for a reply of `media_type` without one. `roles` empty means
    any signed-in caller. `idempotent` routes accept `Idempotency-Key`; `if_match` ones demand the
    tag of the version they change. `over_http` routes are answered without https too, for probes
    from inside. A `literal` one is reached by its path to the letter, no other spelling, so that
    balancers can keep it inside. `throttle` names what a request of somebody signed in counts as: a
    write, unless its method only reads, or a command to a hold.
    """

    method: str
    path: str
    handler: Handler | Prompt
    operation_id: str
    summary: str
    tag: str
    description: str = ""
    auth: Auth = "none"
    roles: frozenset[str] = frozenset()
    request: Any = None
    request_example: Any = None
    query: type[msgspec.Struct] | None = None
    response: Any = None
    response_example: Any = None
    meta: type[msgspec.Struct] | None = None
    meta_example: Any = None
    status: int = 200
    media_type: str = "application/json"
    errors: tuple[str, ...] = ()
    idempotent: bool = False
    websocket: bool = False
    etag: bool = False
    if_match: bool = False
    hidden: bool = False
    over_http: bool = False
    literal: bool = False
    throttle: Throttle = "writes"


class Match(Generic[T]):
    """Where a path led: the target, its parameters, and the text of the showtime's id."""

    __slots__ = ("params", "showtime_id", "target")

    def __init__(self, target: T, params: tuple[bytes, ...], showtime_id: str | None) -> None:
        self.target = target
        self.params = params
        self.showtime_id = showtime_id


class _Node(Generic[T]):
    __slots__ = ("children", "literal", "methods", "parameter", "parameter_is_text", "showtime_at")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.parameter_is_text = False
        self.methods: dict[str, T] = {}
        self.showtime_at: int | None = None
        self.literal: str | None = None


SHOWTIME_PARAMETER: Final = "showtime_id"


class Router(Generic[T]):
    """A trie over path segments; a literal segment wins over a parameter."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, path: str, target: T, *, literal: bool = False) -> None:
        """Register `target`; two targets for one method and path are an error."""
        node = self._root
        names: list[str] = []
        for segment in path.split("/")[1:]:
            if segment.startswith("{"):
                name, _, kind = segment[1:-1].partition(":")
                names.append(name)
                if node.parameter is None:
                    node.parameter = _Node()
                    node.parameter_is_text = kind == "text"
                elif node.parameter_is_text != (kind == "text"):
                    raise ValueError(f"{path}: {name} is both an id and text")
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        if method in node.methods:
            raise ValueError(f"{method} {path} is routed twice")
        node.methods[method] = target
        if literal:
            node.literal = path
        if SHOWTIME_PARAMETER in names:
            node.showtime_at = names.index(SHOWTIME_PARAMETER)

    def find(self, method: str, raw_target: str) -> Match[T] | Mapping[str, T] | None:
        """What answers `method` at `raw_target` (path and query, as sent).

        A mapping of the methods that would be answered if only the method is wrong; None if
        there is nothing at all. HEAD is answered by GET; one trailing slash is ignored. The target
        may be a whole address.
        """
        path, _, _ = origin_form(raw_target).partition("?")
        segments = path.split("/")
        if segments[-1] == "" and len(segments) > 2:
            segments.pop()
        node = self._root
        texts: list[str] = []
        params: list[bytes] = []
        position = 1
        count = len(segments)
        while position < count:
            segment = segments[position]
            child: _Node[T] | None = node.children.get(segment)
            if child is None and "%" in segment:
                segment = unquote(segment, errors="replace")
                child = node.children.get(segment)
            if child is None:
                if node.parameter is None:
                    return None
                value = (
                    segment.encode(errors="replace")
                    if node.parameter_is_text
                    else parse_id(segment)
                )
                if value is None:
                    return None
                params.append(value)
                texts.append(segment)
                child = node.parameter
            node = child
            position += 1
        if node.literal is not None and raw_target.partition("?")[0] != node.literal:
            return None
        methods = node.methods
        target = methods.get(method)
        if target is None and method == "HEAD":
            target = methods.get("GET")
        if target is None:
            return methods or None
        showtime_at = node.showtime_at
        return Match(
            target, tuple(params), None if showtime_at is None else texts[showtime_at].lower()
        )


def allowed_methods(methods: Iterable[str]) -> str:
    """The value of `Allow` for a path that answers `methods`."""
    allowed = {*methods, "OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    return ", ".join(sorted(allowed))
