"""A connection that serves requests without a task, directly from the parser."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, Protocol

from aiohttp.web import Server
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from cinema.domain.addresses import address_key
from cinema.http.connections.known_heads import KnownHeads, is_whole
from cinema.http.connections.request import TasklessRequest
from cinema.http.limits import KEEP_ALIVE_S, WRITE_TIMEOUT_S
from cinema.http.taskless import LateCall, TasklessCall

Turn = Literal["to come", "had", "late"]
"""What is known about the turn of the next request for `start`; a later request asks for it."""


class TasklessCallOf(Protocol):
    """Gives the call that serves a request without a task, None if its route needs one."""

    def __call__(self, request: TasklessRequest) -> TasklessCall | None: ...


class LateCallOf(Protocol):
    """Gives the call that refuses a request whose turn has come too late."""

    def __call__(self, request: TasklessRequest) -> LateCall: ...


class TasklessConnection(RequestHandler):
    """aiohttp's connection, with a short way for the usual request of a taskless route.

    A usual request comes whole, alone and on an idle connection. All others go to `start`,
    aiohttp's loop over the requests of a connection. During a taskless request `start` goes on
    sleeping, because the future for which it waits is set aside. To aiohttp the connection looks
    busy: data that arrives is queued, and keep-alive and shutdown wait. Afterwards the future is
    put back. A request whose head is one of the `known_heads` passes the parser by, if that is
    certainly between two requests.
    """

    __slots__ = (
        "_is_between",
        "_is_late",
        "_known_heads",
        "_late_call_of",
        "_parked",
        "_taskless",
        "_taskless_call_of",
        "_turn_of_next",
        "_unread",
        "address_key",
    )

    def __init__(
        self,
        manager: Server,
        *,
        known_heads: KnownHeads,
        taskless_call_of: TasklessCallOf,
        late_call_of: LateCallOf,
        **options: Any,
    ) -> None:
        super().__init__(manager, keepalive_timeout=KEEP_ALIVE_S, **options)
        self._known_heads = known_heads
        self._is_between = True
        self._taskless_call_of = taskless_call_of
        self._late_call_of = late_call_of
        self._is_late = False
        self._turn_of_next: Turn = "to come"
        self._taskless: TasklessCall | LateCall | None = None
        self._parked: asyncio.Future[None] | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.address_key = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note once the address at the other end, in the form in which throttles count it."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address_key = address_key(str(peer[0])) if isinstance(peer, tuple) else ""

    def data_received(self, data: bytes) -> None:
        """Feed the parser; serve what it gives, or wake `start` for it."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._parse(data)
            return
        if self._is_between and not self._is_late and self._serve_known(data, waiter):
            return
        # Without its future aiohttp cannot wake `start`, which may not be needed.
        self._waiter = None
        try:
            self._parse(data)
        finally:
            self._waiter = waiter
        if self._messages and not self._serve_without_task(waiter, data):
            self._turn_of_next = "late" if self._is_late else "had"
            waiter.set_result(None)

    def _parse(self, data: bytes) -> None:
        """Feed the parser, and note whether it is between two requests then."""
        seen = self._request_count
        was_between, self._is_between = self._is_between, False
        RequestHandler.data_received(self, data)
        if was_between and self._request_count == seen + 1:
            message, payload = self._messages[-1]
            self._is_between = not isinstance(message, _ErrInfo) and is_whole(
                data, message, payload
            )

    def _serve_known(self, data: bytes, waiter: asyncio.Future[None]) -> bool:
        """Serve a request whose head is known; False if the parser must see it."""
        manager = self._manager
        if self._paused or manager is None:
            return False
        request = self._known_heads.request(data, self)
        if request is None:
            return False
        call = self._taskless_call_of(request)
        if call is None:
            return False
        self._request_count += 1
        self._serve_call(call, waiter, manager)
        return True

    def taskless_over(self, *, keep_alive: bool) -> None:
        """The reply is written: continue, but not before the client has read most of it."""
        self._keepalive = keep_alive
        if self._paused and self.transport is not None:
            self._unread = self._loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)
        else:
            self._end_taskless()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on, but only if paused: otherwise aiohttp would feed the parser each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def resume_writing(self) -> None:
        """Continue, since the client has read."""
        super().resume_writing()
        if self._unread is not None:
            self._end_taskless()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop waiting for the client to read."""
        super().connection_lost(exc)
        if self._unread is not None:
            self._end_taskless()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109  (aiohttp's name)
        """Let the request at work finish within `timeout`, then end it and the connection."""
        try:
            await super().shutdown(timeout)
        finally:
            if self._taskless is not None and self._parked is not None:
                self._taskless.give_up()
                self._parked.cancel()

    def _serve_without_task(self, waiter: asyncio.Future[None], data: bytes) -> bool:
        """Serve the request that has come; False if it needs `start`, and nothing is done.

        `data` is what the parser has read last.
        """
        message, payload = self._messages[0]
        parser, manager = self._parser, self._manager
        if (
            isinstance(message, _ErrInfo)
            or not payload.is_eof()
            or len(self._messages) > 1
            or message.upgrade
            or self._paused
            or parser is None
            or manager is None
        ):
            return False
        request = TasklessRequest(message, payload, self)
        call = self._late_call_of(request) if self._is_late else self._taskless_call_of(request)
        if call is None:
            return False
        self._messages.clear()
        parser.message_consumed()
        if self._is_between:
            self._known_heads.learn(data, message)
        self._serve_call(call, waiter, manager)
        return True

    def _serve_call(
        self, call: TasklessCall | LateCall, waiter: asyncio.Future[None], manager: Server
    ) -> None:
        manager.requests_count += 1
        self._waiter = None
        self._parked = waiter
        self._request_in_progress = True
        self._taskless = call
        call.begin()

    def _end_taskless(self) -> None:
        """Do what `start` does between two requests."""
        waiter = self._waiter = self._parked
        self._parked = self._taskless = None
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self._request_in_progress = False
        if self._handler_waiter is not None:
            self._handler_waiter.set_result(None)
        if not self._keepalive or self._close or self._force_close:
            # Ends `start` too; what is written still goes out.
            self.force_close()
            return
        due_s = self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE_S
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(due_s, self._process_keepalive)
        if self._messages and waiter is not None and not waiter.done():
            waiter.set_result(None)
