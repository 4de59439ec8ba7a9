"""Replies as bytes: heads are made once a second, and each reply is one write."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, StreamResponse
from multidict import istr

from cinema.http.connections.request import HttpRequest
from cinema.http.limits import HSTS_MAX_AGE_S, PREFLIGHT_MAX_AGE_S
from cinema.http.responses import JSON, Medium, Reply

ORIGIN: Final = istr("Origin")
OWN_REQUEST: Final = istr("X-Requested-With")
"""A header that a page of another origin can send only after a preflight that allows it."""

EXPOSED_HEADERS: Final = "ETag, Retry-After, X-Request-ID"
ALLOWED_HEADERS: Final = (
    "Authorization, Content-Type, Device-Token, Idempotency-Key, If-Match, If-None-Match, "
    "Link-Token, X-Request-ID, X-Requested-With"
)
BODYLESS: Final = frozenset({204, 304})


class Finished(StreamResponse):
    """Tells aiohttp that the reply is already written, and whether the connection stays."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Nothing: the head is out."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the body is out."""


class ReplyWriter:
    """Writes replies with their fixed lines: security headers, CORS, date, request id.

    `allowed_origins` are exact origins, or `"*"` for any (then without credentials).
    """

    def __init__(self, *, allowed_origins: Sequence[str] = (), hsts: bool = False) -> None:
        self._any_origin = "*" in allowed_origins
        self._cors = {origin: _cors_lines(origin) for origin in allowed_origins if origin != "*"}
        self._cors_any = b"Access-Control-Allow-Origin: *\r\n" + _exposed()
        self._fixed = (
            b"X-Content-Type-Options: nosniff\r\n"
            b"X-Frame-Options: DENY\r\n"
            b"Referrer-Policy: no-referrer\r\n"
        )
        if hsts:
            self._fixed += b"Strict-Transport-Security: max-age=%d; includeSubDomains\r\n" % (
                HSTS_MAX_AGE_S
            )
        # Also with any origin: whoever asks without one gets no line for pages.
        self._fixed += b"Vary: Origin\r\n"
        self._second_ends = 0.0
        self._date = b""
        self._json_heads: dict[int, bytes] = {}
        self._heads: dict[tuple[Medium, int], bytes] = {}
        self._keep = Finished(keep_alive=True)
        self._close = Finished(keep_alive=False)
        self.draining = False

    def allows_origin(self, origin: str | None) -> bool:
        """Whether pages of `origin` may connect; a request without one is not from a page."""
        return origin is None or self._any_origin or origin in self._cors

    def send(
        self,
        request: HttpRequest,
        reply: Reply,
        request_id: str,
        wall_s: float,
        owner: bytes = b"",
        size_bytes: int | None = None,
    ) -> Finished:
        """Write `reply` at `wall_s` (Unix time) and return what aiohttp needs.

        `owner` is a header line about the showtime's node, or nothing; `size_bytes` is the length
        of a body that the caller sends afterwards.
        """
        if wall_s >= self._second_ends:
            self._turn_second(wall_s)
        status = reply.status
        medium = reply.medium
        if medium is JSON:
            head = self._json_heads.get(status) or self._json_head(status)
        else:
            head = self._heads.get((medium, status)) or self._head(medium, status)
        extra = reply.extra + owner
        origin = request.headers.get(ORIGIN)
        if origin is not None:
            extra += self._cors_for(origin)
        keep_alive = request.keep_alive and not self.draining
        if not keep_alive:
            extra += b"Connection: close\r\n"
        elif request.version is not HttpVersion11:
            extra += b"Connection: keep-alive\r\n"
        body = reply.body
        if status in BODYLESS:
            payload = b"%bX-Request-ID: %b\r\n%b\r\n" % (head, request_id.encode(), extra)
        else:
            payload = b"%bX-Request-ID: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
                head,
                request_id.encode(),
                len(body) if size_bytes is None else size_bytes,
                extra,
                b"" if request.method == "HEAD" else body,
            )
        transport = request.transport
        if transport is None or transport.is_closing():
            return self._close
        transport.write(payload)
        return self._keep if keep_alive else self._close

    def preflight(self, origin: str, methods: str) -> bytes:
        """Header lines that answer a browser's question whether it may send `methods`."""
        if not self.allows_origin(origin):
            return b""
        return (
            f"Access-Control-Allow-Methods: {methods}\r\n"
            f"Access-Control-Allow-Headers: {ALLOWED_HEADERS}\r\n"
            f"Access-Control-Max-Age: {PREFLIGHT_MAX_AGE_S}\r\n"
        ).encode()

    def _cors_for(self, origin: str) -> bytes:
        if self._any_origin:
            return self._cors_any
        return self._cors.get(origin, b"")

    def _turn_second(self, wall_s: float) -> None:
        self._second_ends = int(wall_s) + 1.0
        self._date = formatdate(int(wall_s), usegmt=True).encode()
        self._json_heads.clear()
        self._heads.clear()

    def _json_head(self, status: int) -> bytes:
        head = self._json_heads[status] = self._head(JSON, status)
        return head

    def _head(self, medium: Medium, status: int) -> bytes:
        lines = b"HTTP/1.1 %d %b\r\n" % (status, _phrase(status))
        if status != 204:
            lines += b"Content-Type: %b\r\nCache-Control: %b\r\nContent-Security-Policy: %b\r\n" % (
                medium.content_type.encode(),
                medium.cache_control.encode(),
                medium.content_security_policy.encode(),
            )
        head = self._heads[medium, status] = b"%b%bDate: %b\r\n" % (lines, self._fixed, self._date)
        return head


def _exposed() -> bytes:
    return f"Access-Control-Expose-Headers: {EXPOSED_HEADERS}\r\n".encode()


def _cors_lines(origin: str) -> bytes:
    allow = f"Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n"
    return allow.encode() + _exposed()


def _phrase(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode()
