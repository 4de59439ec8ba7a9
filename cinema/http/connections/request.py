"""A request as all steps see it, with or without a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from ssl import SSLContext

    from aiohttp import HttpVersion
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

    __slots__ = ("_message", "connection", "content", "headers", "keep_alive", "method", "raw_path")

    def __init__(
        self, message: RawRequestMessage, content: StreamReader, connection: Serving
    ) -> None:
        self._message = message
        self.content = content
        self.connection = connection
        self.method: str = message.method
        self.raw_path: str = message.path
        self.headers: CIMultiDictProxy[str] = message.headers
        self.keep_alive: bool = not message.should_close

    @property
    def version(self) -> HttpVersion:
        """Of the protocol."""
        return self._message.version

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
