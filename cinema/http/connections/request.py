"""A request as all steps see it, with or without a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiohttp import HttpVersion, HttpVersion11
from aiohttp.streams import EMPTY_PAYLOAD

if TYPE_CHECKING:
    import asyncio
    from ssl import SSLContext

    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader
    from multidict import CIMultiDictProxy


class HttpRequest(Protocol):
    """The part of aiohttp's `BaseRequest` that the steps around a handler look at."""

    @property
    def method(self) -> str:
        """In capitals, as sent."""

    @property
    def raw_path(self) -> str:
        """The request target, as sent."""

    @property
    def query_string(self) -> str:
        """The query, without its escapes."""

    @property
    def version(self) -> HttpVersion:
        """Of the protocol."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """As sent."""

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants the connection to stay."""

    @property
    def content(self) -> StreamReader:
        """The part of the body that has come."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the reply goes; None when the client is gone."""

    @property
    def remote(self) -> str | None:
        """The address at the other end of the connection."""

    @property
    def secure(self) -> bool:
        """Whether the connection itself is encrypted."""


class Serving(Protocol):
    """The connection that a taskless request came over, as far as its steps look at it."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the reply goes; None when the client is gone."""

    @property
    def peername(self) -> str | tuple[object, ...] | None:
        """The address at the other end."""

    @property
    def ssl_context(self) -> SSLContext | None:
        """How it is encrypted; None if it is not."""

    @property
    def address_key(self) -> str:
        """The form in which the client's address is counted."""

    def taskless_over(self, *, keep_alive: bool) -> None:
        """The reply is written: continue with the next request."""


class TasklessRequest:
    """A parsed request without what only a task needs: a fifth of the cost of `BaseRequest`."""

    __slots__ = (
        "_message",
        "connection",
        "content",
        "headers",
        "keep_alive",
        "method",
        "raw_path",
        "version",
    )

    def __init__(
        self, message: RawRequestMessage, content: StreamReader, connection: Serving
    ) -> None:
        self._message = message
        self.content = content
        self.connection = connection
        self.method: str = message.method
        self.raw_path: str = message.path
        self.headers: CIMultiDictProxy[str] = message.headers
        self.version: HttpVersion = message.version
        self.keep_alive: bool = not message.should_close

    @property
    def query_string(self) -> str:
        """The query, without its escapes."""
        return self._message.url.query_string

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the reply goes; None when the client is gone."""
        return self.connection.transport

    @property
    def remote(self) -> str | None:
        """The address at the other end of the connection."""
        peer = self.connection.peername
        if peer is None:
            return None
        return str(peer[0]) if isinstance(peer, list | tuple) else str(peer)

    @property
    def secure(self) -> bool:
        """Whether the connection itself is encrypted."""
        return self.connection.ssl_context is not None


class KnownRequest(TasklessRequest):
    """A taskless request whose head was parsed before, by HTTP/1.1; `body` has come with it."""

    __slots__ = ("body",)

    def __init__(
        self,
        target: tuple[str, str],
        headers: CIMultiDictProxy[str],
        body: bytes,
        connection: Serving,
    ) -> None:
        self.method, self.raw_path = target
        self.headers = headers
        self.body = body
        self.connection = connection
        self.content = EMPTY_PAYLOAD
        self.version = HttpVersion11
        self.keep_alive = True

    @property
    def query_string(self) -> str:
        """Only a target without a query is known."""
        return ""
