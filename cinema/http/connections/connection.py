"""One connection, with a defined answer for each kind of broken or slow client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

from aiohttp.http_exceptions import (
    BadHttpMessage,
    HttpProcessingError,
    LineTooLong,
)
from aiohttp.http_websocket import WebSocketReader
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import BaseRequest, RequestPayloadError, Server, StreamResponse
from aiohttp.web_protocol import ERROR, RequestHandler, _ErrInfo

from cinema.domain.rejections import Rejection
from cinema.http.connections.known_heads import KnownHeads
from cinema.http.connections.masked_frames import MaskedFrames
from cinema.http.connections.request import HttpRequest
from cinema.http.connections.taskless_connection import (
    LateCallOf,
    TasklessCallOf,
    TasklessConnection,
)
from cinema.http.connections.wire import Finished
from cinema.http.limits import (
    BEGUN_HEAD_LIMIT_BYTES,
    HEADER_LIMIT_BYTES,
    HEADERS_LIMIT,
    KEEP_ALIVE_S,
    LINGER_S,
    REQUEST_LINE_LIMIT_BYTES,
)
from cinema.http.taskless import LateCall
from cinema.http.turns import Turns
from cinema.http.upgrades import behind_upgrade

IN_LINE_LIMIT_BYTES: Final = 65_536
"""Most bytes that are read from a connection in line; a request may come with its body."""

HALF_CLOSED_PERIOD_S: Final = 0.05
"""Time between two checks whether a half-closed connection with queued requests is done."""


class RefuseUnparsed(Protocol):
    """Answers a request that could not be parsed; writes, counts and logs."""

    def __call__(self, request: BaseRequest, rejection: Rejection) -> StreamResponse: ...


class RefuseLate(Protocol):
    """Answers a request whose turn came too late; writes, counts and logs."""

    def __call__(self, request: HttpRequest) -> Finished: ...


class Connection(TasklessConnection):
    """aiohttp's connection, with an answer in the contract's form for everything that can go wrong.

    A head that is not complete in time gets 408, and one that can never be complete 400. A
    client that half-closes is still answered. Requests after one for another protocol are
    answered too, if we stay with HTTP. After a fatal error the connection lingers, so that a
    client that still sends can read the reason.
    """

    __slots__ = (
        "_answered",
        "_begun_head",
        "_ended_in_line",
        "_frames",
        "_gone",
        "_half_closed",
        "_head_timeout_s",
        "_head_timer",
        "_in_line",
        "_refuse_late",
        "_refuse_unparsed",
        "_serve",
        "_turns",
    )

    def __init__(
        self,
        manager: Server,
        *,
        loop: asyncio.AbstractEventLoop,
        turns: Turns,
        known_heads: KnownHeads,
        taskless_call_of: TasklessCallOf,
        late_call_of: LateCallOf,
        refuse_late: RefuseLate,
        refuse_unparsed: RefuseUnparsed,
        head_timeout_s: float,
    ) -> None:
        super().__init__(
            manager,
            loop=loop,
            known_heads=known_heads,
            taskless_call_of=taskless_call_of,
            late_call_of=late_call_of,
            # For the library None means "no access log", which its signature does not show.
            access_log=_no_access_log(),
            max_line_size=REQUEST_LINE_LIMIT_BYTES,
            max_field_size=HEADER_LIMIT_BYTES,
            max_headers=HEADERS_LIMIT,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )
        self._turns = turns
        self._in_line: bytes | None = None
        self._ended_in_line = False
        self._refuse_late = refuse_late
        self._refuse_unparsed = refuse_unparsed
        self._serve = manager.request_handler
        self._request_handler = self._serve_in_turn
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None
        self._answered: StreamReader = EMPTY_PAYLOAD
        self._begun_head = bytearray()
        self._half_closed = False
        self._frames: MaskedFrames | None = None

    @property
    def has_hung_up(self) -> bool | None:
        """Whether the client is gone; None if it has closed its side.

        It may still wait for the answer then (RFC 9293, 3.6). Nothing tells it from one that is
        gone until something is sent to it.
        """
        if self.transport is None:
            return True
        return None if self._half_closed else False

    def set_parser(
        self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None
    ) -> None:
        """Give what comes from now on to a reader of frames."""
        frames = self._frames = MaskedFrames()
        self._message_tail = frames.take(self._message_tail)
        super().set_parser(parser, data_received_cb)
        if self._half_closed:
            parser.feed_eof()

    def data_received(self, data: bytes) -> None:
        """Take what has come if it is this connection's turn; otherwise wait in line with it."""
        if self._frames is not None:
            RequestHandler.data_received(self, self._frames.take(data))
            return
        turns = self._turns
        if turns.left:
            turns.left -= 1
        elif self._stands_in_line(data):
            return
        # As in `take_turn`, but only unusual cases cost a call.
        seen = self._request_count
        TasklessConnection.data_received(self, data)
        if self._request_count == seen or self._messages or self._head_timer is not None:
            self._look_at_parsed(data, seen)

    def take_turn(self, *, is_late: bool) -> bool:
        """Take what has come while this connection waited in line; False if it is lost."""
        data, self._in_line = self._in_line, None
        transport = self.transport
        if data is None or transport is None:
            return False
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        self._is_late = is_late
        try:
            seen = self._request_count
            TasklessConnection.data_received(self, data)
            self._look_at_parsed(data, seen)
            if self._ended_in_line and not self.eof_received():
                transport.close()
        except BaseException:
            transport.abort()
            raise
        finally:
            self._is_late = False
        return True

    def _stands_in_line(self, data: bytes) -> bool:
        """Keep what has come until its turn; False if it belongs to a request that had one."""
        come = self._in_line
        if come is None:
            if not data or not self._is_idle():
                return False
            self._turns.join(self, is_probe=data.startswith(self._turns.probes))
            self._in_line = data
        else:
            data = self._in_line = come + data
            if len(data) > IN_LINE_LIMIT_BYTES and not self._buffer_paused:
                self._pause_reading_for_buffer()
        return True

    def _serve_in_turn(self, request: BaseRequest) -> Awaitable[StreamResponse]:
        """Serve a request that needs a task; one that came behind another waits for its turn."""
        turn, self._turn_of_next = self._turn_of_next, "to come"
        if turn == "had":
            return self._serve(request)
        return self._serve_later(request, is_late=turn == "late")

    async def _serve_later(self, request: BaseRequest, *, is_late: bool) -> StreamResponse:
        turns = self._turns
        if not is_late:
            if turns.left:
                turns.left -= 1
            else:
                is_late = await turns.wait()
        return self._refuse_late(request) if is_late else await self._serve(request)

    def _look_at_parsed(self, data: bytes, seen: int) -> None:
        """Start the clock when a head has begun and is not complete; stop it when it is.

        `seen` are the requests that had come before `data` was parsed.
        """
        if self._request_count == seen:
            if self._is_idle():
                self._note_begun_head(data)
            return
        if self._messages:
            self._look_behind_upgrade(data, self._request_count - seen)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
            self._begun_head.clear()

    def eof_received(self) -> Any:
        """Continue to answer what was asked before the client closed its side.

        Returns whether the connection stays open for that.
        """
        self._notice_end()
        if self._payload_parser is not None or self._parser is None:
            return None
        if self._in_line is not None:
            self._ended_in_line = True
            return True
        self._half_closed = True
        if self._upgraded:
            # It is not decided yet whether we upgrade: what came after may be frames or requests.
            self._close_when_answered()
            return True
        if self._is_idle():
            if self._head_has_begun():
                self._refuse(
                    _rejection("The connection ended before the head of the request was complete.")
                )
            return None
        if self._head_has_begun():
            self._break_last_payload()
        self._close_when_answered()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the clock."""
        self._notice_end()
        self._in_line = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().connection_lost(exc)
        self._end_answered_payload()

    async def finish_response(
        self, request: BaseRequest, resp: StreamResponse, start_time: float | None
    ) -> tuple[StreamResponse, bool]:
        """Stay with HTTP if the upgrade that was asked for is declined."""
        self._answered = request.content
        parser = self._parser
        # The last of the requests that have come is the one that asked.
        if self._upgraded and not self._messages and self._frames is None and parser is not None:
            behind, self._message_tail = self._message_tail, b""
            parser.set_upgraded(False)
            self._upgraded = False
            RequestHandler.data_received(self, behind)
            self._read_behind_upgrade(behind)
            if self._buffer_paused:
                self._resume_reading_if_drained()
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Answer what went wrong outside of any endpoint."""
        self.log_exception("error outside of an endpoint: %s", message or status, exc_info=exc)
        return self._refuse_unparsed(request, Rejection(code="INTERNAL"))

    def _make_error_handler(
        self, err_info: _ErrInfo
    ) -> Callable[[BaseRequest], Awaitable[StreamResponse]]:
        async def answer(request: BaseRequest) -> StreamResponse:
            finished = self._refuse_unparsed(request, _explain(err_info.exc))
            await self._linger()
            return finished

        return answer

    def _process_keepalive(self) -> None:
        """An idle connection ends silently, one within a head with an answer."""
        if self._in_line is not None:
            # We let it wait ourselves.
            self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE_S
        due = self._loop.time() >= self._next_keepalive_close_time
        if due and self._keepalive and self._is_idle() and self._head_has_begun():
            self._head_is_late()
        else:
            super()._process_keepalive()

    def _note_begun_head(self, data: bytes) -> None:
        """Give an incomplete head its time, and keep it, since its end may tell more."""
        begun = self._begun_head
        begun += data
        if len(begun) > BEGUN_HEAD_LIMIT_BYTES:
            # The parser has limits of its own for all but empty lines in front of a request.
            self._refuse(Rejection(code="HEADERS_TOO_LARGE"))
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(self._head_timeout_s, self._head_is_late)

    def _look_behind_upgrade(self, data: bytes, new: int) -> None:
        """Handle what came after the last of the `new` requests, if that asks for an upgrade."""
        message = self._messages[-1][0]
        if isinstance(message, _ErrInfo) or not message.upgrade:
            return
        waiter = self._waiter
        is_first = self._request_count == new
        was_idle = is_first or (waiter is not None and waiter.done() and len(self._messages) == new)
        self._read_behind_upgrade(bytes(self._begun_head) + data if was_idle else None)

    def _read_behind_upgrade(self, come: bytes | None) -> None:
        """Feed the parser what it has dropped behind requests for protocols it does not know.

        `come` is what came since the end of a request, None if that is unknown. If it does not show
        what was dropped, the connection ends with the answer, so that the client notices.
        """
        while self._messages and not self._upgraded:
            message, payload = self._messages[-1]
            if isinstance(message, _ErrInfo) or not message.upgrade:
                return
            is_full = len(self._messages) >= self._max_msg_queue_size
            if come is None or is_full or not payload.is_eof():
                self._messages[-1] = message._replace(should_close=True), payload
                return
            come = behind_upgrade(come, self._loop)
            if not come:
                return
            count = len(self._messages)
            RequestHandler.data_received(self, come)
            if len(self._messages) == count:
                return

    def _is_idle(self) -> bool:
        """Whether no request is at work, queued or in line."""
        waiter = self._waiter
        if waiter is None:
            # Before Python 3.12 bytes that come with the connection come before its task begins.
            return self._request_count == 0 and self._in_line is None
        return not waiter.done() and not self._messages and self._in_line is None

    def _head_has_begun(self) -> bool:
        """Whether the parser is within a message; it cannot be used afterwards."""
        if self._parser is None:
            return False
        try:
            return self._parser.feed_eof() is not None
        except HttpProcessingError:
            return True

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self._refuse(Rejection(code="REQUEST_TIMEOUT"))

    def _refuse(self, rejection: Rejection) -> None:
        """Answer without a request, and close."""
        task = self._task_handler
        if task is not None and self.transport is not None:
            writer = StreamWriter(self, self._loop)
            request = BaseRequest(ERROR, EMPTY_PAYLOAD, self, writer, task, self._loop)
            self._refuse_unparsed(request, rejection)
        self.force_close()

    async def _linger(self) -> None:
        """Read and drop until the client has seen the answer and closes, within a bound."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._close = True
        transport.write_eof()
        self._gone = self._loop.create_future()
        try:
            async with asyncio.timeout(LINGER_S):
                await self._gone
        except TimeoutError:
            pass

    def _notice_end(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _break_last_payload(self) -> None:
        """Tell the reader of the last body that the rest of it will not come."""
        payload: StreamReader
        if self._messages:
            payload = self._messages[-1][1]
        elif self._current_request is not None:
            payload = self._current_request.content
        elif not self._answered.is_eof():
            self._end_answered_payload()
            return
        elif self._waiter is None and self._taskless is None and self._parser is not None:
            # It has just left the queue and is known once its task has begun.
            self._loop.call_soon(self._break_last_payload)
            return
        else:
            return
        if not payload.is_eof():
            payload.set_exception(RequestPayloadError("the body ended early"))
            # No task may wait for the rest, or read on when the request is answered.
            payload.feed_eof()

    def _end_answered_payload(self) -> None:
        """Stop reading after an answer that came before the whole body."""
        if not self._answered.is_eof():
            self._answered.feed_eof()

    def _close_when_answered(self) -> None:
        """Close after the last of the requests under way."""
        if self._parser is None:
            return
        if self._is_idle():
            self.force_close()
        elif self._messages or (self._upgraded and self._frames is None):
            self._loop.call_later(HALF_CLOSED_PERIOD_S, self._close_when_answered)
        else:
            self._close = True


class ConnectionServer(Server):
    """Makes a `Connection` for each client."""

    def __init__(
        self,
        handler: Callable[[BaseRequest], Awaitable[StreamResponse]],
        *,
        turns: Turns,
        taskless_call_of: TasklessCallOf,
        refuse_late: RefuseLate,
        refuse_unparsed: RefuseUnparsed,
        head_timeout_s: float,
    ) -> None:
        super().__init__(handler)
        self._turns = turns
        self._known_heads = KnownHeads()
        self._taskless_call_of = taskless_call_of
        self._refuse_late = refuse_late
        self._late_call_of = partial(LateCall, refuse=refuse_late)
        self._refuse_unparsed = refuse_unparsed
        self._head_timeout_s = head_timeout_s

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        return Connection(
            self,
            loop=self._loop,
            turns=self._turns,
            known_heads=self._known_heads,
            taskless_call_of=self._taskless_call_of,
            late_call_of=self._late_call_of,
            refuse_late=self._refuse_late,
            refuse_unparsed=self._refuse_unparsed,
            head_timeout_s=self._head_timeout_s,
        )


def has_hung_up(request: BaseRequest) -> bool | None:
    """Whether the client of a request has hung up; None if it may have."""
    connection = request.protocol
    return connection.has_hung_up if isinstance(connection, Connection) else False


def _explain(error: BaseException) -> Rejection:
    if isinstance(error, LineTooLong):
        # The two limits differ, so that the parser's error tells which was exceeded.
        too_long_uri = error.args[1] == REQUEST_LINE_LIMIT_BYTES
        return Rejection(code="URI_TOO_LONG" if too_long_uri else "HEADERS_TOO_LARGE")
    if isinstance(error, BadHttpMessage) and error.message.startswith("Too many headers"):
        return Rejection(code="HEADERS_TOO_LARGE")
    if isinstance(error, BadHttpMessage):
        first_line = error.message.strip().partition("\n")[0].rstrip(": ")
        return _rejection(first_line)
    return Rejection(code="BAD_REQUEST")


def _rejection(reason: str) -> Rejection:
    clean = reason.encode("ascii", "replace").decode()[:200]
    return Rejection(code="BAD_REQUEST", details={"reason": clean})


def _no_access_log() -> Any:
    return None
