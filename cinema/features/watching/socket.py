"""One WebSocket as the server writes to it: frames gathered per loop turn, slowness bounded."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from aiohttp import WSCloseCode
from aiohttp.hdrs import SEC_WEBSOCKET_VERSION
from aiohttp.web import BaseRequest, WebSocketReady, WebSocketResponse

from cinema.features.watching.frames import text_frame

SLOW_BUFFER_BYTES: Final = 65_536
"""A watcher with more unsent bytes than this is slow and gets no more deltas."""

VERSION: Final = "13"
"""The only version of WebSocket that the server supports, that of RFC 6455."""

CLOSE_WAIT_S: Final = 2.0
"""How long a client may take to answer a close before the connection is cut."""

_REASONS: Final[dict[int, bytes]] = {
    WSCloseCode.PROTOCOL_ERROR: b"not a well-formed WebSocket frame",
    WSCloseCode.MESSAGE_TOO_BIG: b"message too big",
}
"""Reasons for closes that the library sends by itself."""


class SocketResponse(WebSocketResponse[Literal[False]]):
    """The library's WebSocket, with the RFC's version only and a reason in every close."""

    def can_prepare(self, request: BaseRequest) -> WebSocketReady:
        """See `WebSocketResponse.can_prepare`."""
        # The library accepts drafts too, in which browsers send the origin in another header.
        if request.headers.get(SEC_WEBSOCKET_VERSION) != VERSION:
            return WebSocketReady(False, None)
        return super().can_prepare(request)

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """See `WebSocketResponse.close`."""
        reason = message or _REASONS.get(code, b"")
        return await super().close(code=code, message=reason, drain=drain)


class Socket:
    """A connected WebSocket; `send` never waits.

    Whole frames go directly to the transport, encoded once for all receivers: aiohttp's own writer
    would frame them again for each receiver.
    """

    __slots__ = ("_closing", "_loop", "_out", "_pending_limit_bytes", "_response", "_transport")

    def __init__(
        self,
        response: SocketResponse,
        transport: asyncio.WriteTransport,
        pending_limit_bytes: int,
    ) -> None:
        self._response = response
        self._transport = transport
        self._pending_limit_bytes = pending_limit_bytes
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._closing = False

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closing or self._response.closed or self._transport.is_closing()

    def send(self, payload: bytes) -> None:
        """Send one text message with the others of this loop turn."""
        self.send_frame(text_frame(payload))

    def send_frame(self, frame: bytes) -> None:
        """Send one encoded frame with the others of this loop turn."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frame)

    def write_now(self, frame: bytes) -> None:
        """Send a frame at once; for one frame to very many sockets."""
        if self._out:
            self._flush()
        if not self.closed:
            self._transport.write(frame)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self.closed or not out:
            return
        self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self.unsent_bytes > self._pending_limit_bytes:
            self.abort()

    def abort(self) -> None:
        """Drop a client that does not read: a close frame would only wait behind the rest."""
        self._closing = True
        self._transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame and close; cut off a client that does not read or answer."""
        self._flush()
        if self.closed:
            return
        if self.unsent_bytes > SLOW_BUFFER_BYTES:
            self.abort()
            return
        self._closing = True
        try:
            async with asyncio.timeout(2 * CLOSE_WAIT_S):
                await self._response.close(code=code, message=reason.encode())
        except TimeoutError:
            self.abort()


INTERNAL_ERROR: Final = WSCloseCode.INTERNAL_ERROR
GOING_AWAY: Final = WSCloseCode.GOING_AWAY
POLICY_VIOLATION: Final = WSCloseCode.POLICY_VIOLATION
TRY_AGAIN_LATER: Final = WSCloseCode.TRY_AGAIN_LATER
