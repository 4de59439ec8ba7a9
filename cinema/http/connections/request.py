"""What is asked, as every step of answering sees it, whichever way the request is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from aiohttp import HttpVersion
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader
    from multidict import CIMultiDictProxy

    from cinema.http.connections.prompt_connection import PromptConnection


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
        """The body, as far as it has come."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Where the reply goes; None when the client is gone."""

    @property
    def remote(self) -> str | None:
        """The address at the other end of the connection."""

    @property
    def secure(self) -> bool:
        """Whether the connection itself is encrypted."""


class PromptRequest:
    """A parsed request without what only a task needs: a fifth of the cost of `BaseRequest`."""

    __slots__ = ("_message", "connection", "content", "headers", "keep_alive", "method", "raw_path")

    def __init__(
        self, message: RawRequestMessage, content: StreamReader, connection: PromptConnection
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
