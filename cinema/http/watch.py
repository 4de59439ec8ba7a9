"""The watch socket: seat maps as they change, and commands on the same connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import WSMsgType
from aiohttp.web import BaseRequest, StreamResponse
from msgspec import Meta
from multidict import istr

from cinema.actors.messages import Outcome
from cinema.domain.idempotency import IdempotencyKey, idempotency_key
from cinema.domain.ids import format_id, parse_id
from cinema.domain.rejections import Refused, Rejection
from cinema.domain.reservations import HoldInput, SeatLabels
from cinema.domain.showtime.commands import AnyCommand
from cinema.http.context import RequestContext
from cinema.http.decoding import UNREADABLE, invalid, unreadable
from cinema.http.frames import (
    Ref,
    error_message,
    result_message,
    snapshot_message,
    taken_seats,
    welcome_message,
)
from cinema.http.responses import Reply, header_lines, rejected
from cinema.http.routing import Route
from cinema.http.seat_feed import WatchedShowtime
from cinema.http.socket import (
    CLOSE_WAIT_S,
    GOING_AWAY,
    INTERNAL_ERROR,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Socket,
    SocketResponse,
)
from cinema.http.wire import ORIGIN
from cinema.services.seats import (
    SeatsService,
    extend_command,
    hold_of,
    refusal_of,
    release_command,
)
from cinema.services.tokens import InvalidToken, Principal

TAG: Final = "Seats"
BAD_MESSAGES_LIMIT: Final = 20
"""Messages a socket may send that are none before it is closed."""

SYNC_PAUSE_S: Final = 0.05
"""A snapshot is large: asked for more often than this, it is made this often."""

MESSAGES_PER_TURN: Final = 32
"""Messages of one socket read before the others get their turn."""

HOST: Final = istr("Host")

SOCKET_FAILED: Final = "socket_failed"

log = structlog.get_logger()

_BINARY: Final = Rejection(code="MALFORMED_JSON", message="Send text, not binary frames.")

_Key = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+\Z")]
_Id = Annotated[str, Meta(min_length=36, max_length=36)]
_Ref = Annotated[int, Meta(ge=-(2**53), le=2**53)] | Annotated[str, Meta(max_length=64)] | None


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    ref: _Ref = None


class AuthMessage(_Message, frozen=True, kw_only=True, tag="auth", forbid_unknown_fields=True):
    """Say who is there; also renews a token on the way."""

    token: Annotated[str, Meta(max_length=4096)]


class HoldMessage(_Message, frozen=True, kw_only=True, tag="hold", forbid_unknown_fields=True):
    """Hold the named seats."""

    seats: SeatLabels
    key: _Key | None = None


class ReleaseMessage(
    _Message, frozen=True, kw_only=True, tag="release", forbid_unknown_fields=True
):
    """Give a hold back, or only `seats` of it."""

    hold_id: _Id
    seats: SeatLabels | None = None
    key: _Key | None = None


class ExtendMessage(_Message, frozen=True, kw_only=True, tag="extend", forbid_unknown_fields=True):
    """Give a hold its full time again."""

    hold_id: _Id
    key: _Key | None = None


class SyncMessage(_Message, frozen=True, kw_only=True, tag="sync", forbid_unknown_fields=True):
    """Ask for what was missed since `epoch:seq`, or for a snapshot."""

    since: Annotated[str, Meta(max_length=40)] | None = None


Command = HoldMessage | ReleaseMessage | ExtendMessage
Incoming = AuthMessage | HoldMessage | ReleaseMessage | ExtendMessage | SyncMessage

_decode: Final = msgspec.json.Decoder(Incoming).decode


class WatchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to resume, as `epoch:seq`; `deltas=false` leaves out seat maps for pure commands."""

    since: Annotated[str, Meta(pattern=r"^\d{1,18}:\d{1,18}$", examples=["3:1042"])] | None = None
    deltas: bool = True


class WatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of watch sockets; the settings document each."""

    sockets_limit: int
    coalesce_s: float
    frame_limit_bytes: int
    commands_in_flight: int
    pending_limit_bytes: int
    heartbeat_s: float


class WatchHub:
    """All watch sockets of this process."""

    def __init__(
        self,
        seats: SeatsService,
        verify_token: Callable[[str], Principal],
        allows_origin: Callable[[str | None], bool],
        options: WatchOptions,
    ) -> None:
        self.seats = seats
        self.verify_token = verify_token
        self.options = options
        self._allows_origin = allows_origin
        self._showtimes: dict[bytes, WatchedShowtime] = {}
        self._sockets: set[Socket] = set()
        self._opening = 0

    @property
    def socket_count(self) -> int:
        """Open sockets."""
        return len(self._sockets)

    def sockets(self) -> list[Socket]:
        """The open sockets, for whoever wants to know how far behind they are."""
        return list(self._sockets)

    @property
    def showtime_count(self) -> int:
        """Showtimes somebody watches."""
        return len(self._showtimes)

    def routes(self) -> tuple[Route, ...]:
        """`GET /showtimes/{id}/watch`."""
        return (
            Route(
                method="GET",
                path="/api/v1/showtimes/{showtime_id}/watch",
                handler=self._serve,
                operation_id="watchShowtime",
                summary="Watch seats change, and send commands (WebSocket)",
                description="Sends a snapshot, then deltas. After `auth` (or with a token in the "
                "header) it takes `hold`, `release`, `extend`; see docs/watch.md.",
                tag=TAG,
                auth="optional",
                query=WatchQuery,
                status=101,
                errors=("NOT_FOUND", "UPGRADE_REQUIRED", "ORIGIN_NOT_ALLOWED", "OVERLOADED"),
                websocket=True,
            ),
        )

    async def close(self) -> None:
        """Tell everybody to reconnect elsewhere."""
        closing = [socket.close(GOING_AWAY, "server stopping") for socket in self._sockets]
        await asyncio.gather(*closing, return_exceptions=True)

    async def watched(
        self, showtime_id: bytes, socket: Socket, since: tuple[int, int] | None
    ) -> Outcome | None:
        """Let a socket watch a showtime; the outcome that refuses it, else None."""
        watched = self._showtimes.get(showtime_id)
        if watched is None:
            watched = self._showtimes[showtime_id] = WatchedShowtime(
                showtime_id, self.seats.kernel, self.options.coalesce_s
            )
        refused = await watched.join(socket, since)
        if refused is not None:
            self._left(showtime_id, watched)
        return refused

    def left(self, showtime_id: bytes, socket: Socket) -> None:
        """A socket watches no more."""
        watched = self._showtimes.get(showtime_id)
        if watched is not None:
            watched.leave(socket)
            self._left(showtime_id, watched)

    def _left(self, showtime_id: bytes, watched: WatchedShowtime) -> None:
        if watched.empty and self._showtimes.get(showtime_id) is watched:
            del self._showtimes[showtime_id]

    def catch_up(self, showtime_id: bytes, socket: Socket, since: tuple[int, int] | None) -> None:
        """Send what a watching socket lacks."""
        watched = self._showtimes.get(showtime_id)
        if watched is not None:
            watched.catch_up(socket, since)

    async def _serve(self, context: RequestContext) -> Reply | Rejection | StreamResponse:
        request = context.request
        if not self._allows(request):
            return Rejection(code="ORIGIN_NOT_ALLOWED")
        if len(self._sockets) + self._opening >= self.options.sockets_limit:
            return Rejection(code="OVERLOADED")
        response = SocketResponse(
            timeout=CLOSE_WAIT_S,
            heartbeat=self.options.heartbeat_s,
            max_msg_size=self.options.frame_limit_bytes,
            compress=False,
            decode_text=False,
        )
        if not response.can_prepare(request):
            upgrade = header_lines(
                upgrade="websocket", connection="Upgrade", sec_websocket_version="13"
            )
            return rejected(Rejection(code="UPGRADE_REQUIRED"), context.request_id, upgrade)
        response.headers["Server"] = "cinema"
        response.headers["X-Request-ID"] = context.request_id
        self._opening += 1
        try:
            if not await self.seats.exists(context.params[0]):
                return Rejection(code="NOT_FOUND")
            await response.prepare(request)
        finally:
            self._opening -= 1
        await self._converse(context, response)
        return response

    def _allows(self, request: BaseRequest) -> bool:
        """Whether a page of this origin may connect: one of ours, or of the allowed ones.

        Browsers name the origin even where page and socket have the same.
        """
        origin = request.headers.get(ORIGIN)
        if self._allows_origin(origin) or origin is None:
            return True
        scheme, _, host = origin.partition("://")
        return scheme in {"http", "https"} and host == request.headers.get(HOST)

    async def _converse(self, context: RequestContext, response: SocketResponse) -> None:
        request = context.request
        showtime_id = context.params[0]
        transport = request.transport
        if transport is None:
            return
        socket = Socket(response, transport, self.options.pending_limit_bytes)
        self._sockets.add(socket)
        try:
            await _Session(self, context, response, socket).run()
        except Exception:
            # The handshake is over: what is wrong now can only be said in a close frame.
            log.exception(SOCKET_FAILED, request_id=context.request_id)
            await socket.close(INTERNAL_ERROR, f"internal error, request {context.request_id}")
        finally:
            self._sockets.discard(socket)
            self.left(showtime_id, socket)


class _Session:
    """One socket's conversation: reads on only while its commands in flight are bounded."""

    def __init__(
        self,
        hub: WatchHub,
        context: RequestContext,
        response: SocketResponse,
        socket: Socket,
    ) -> None:
        self._hub = hub
        self._response = response
        self._socket = socket
        self._showtime_id = context.params[0]
        self._query: WatchQuery = context.query
        self._token: str | None = None
        if context.caller is not None:
            self._token = context.request.headers["Authorization"][7:]
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._room: asyncio.Future[None] | None = None
        self._bad_messages = 0
        self._last_sync_s = 0.0

    async def run(self) -> None:
        """Until the client leaves or has to go."""
        if self._query.deltas:
            refused = await self._hub.watched(
                self._showtime_id, self._socket, _position(self._query.since)
            )
            if refused is not None:
                await self._socket.close(TRY_AGAIN_LATER, refusal_of(refused).code)
                return
        read = 0
        while True:
            message = await self._response.receive()
            kind = message.type
            if kind is WSMsgType.TEXT:
                await self._take(message.data)
            elif kind is WSMsgType.BINARY:
                await self._note_bad(None, _BINARY)
            else:
                return
            if self._bad_messages > BAD_MESSAGES_LIMIT:
                await self._socket.close(POLICY_VIOLATION, "too many malformed messages")
                return
            read += 1
            if read % MESSAGES_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _take(self, payload: bytes) -> None:
        try:
            message = _decode(payload)
        except UNREADABLE as error:
            await self._note_bad(_ref_of(payload), unreadable(error, payload))
            return
        if isinstance(message, SyncMessage):
            await self._sync(message)
        elif isinstance(message, AuthMessage):
            self._sign_in(message)
        else:
            await self._command(message)

    async def _note_bad(self, ref: Ref | None, rejection: Rejection) -> None:
        self._bad_messages += 1
        self._socket.send(error_message(ref, rejection))
        await asyncio.sleep(0)

    def _sign_in(self, message: AuthMessage) -> None:
        try:
            principal = self._hub.verify_token(message.token)
        except InvalidToken as invalid:
            self._bad_messages += 1
            self._socket.send(error_message(message.ref, _unauthenticated(invalid.code)))
            return
        self._token = message.token
        self._socket.send(welcome_message(message.ref, format_id(principal.user_id)))

    async def _sync(self, message: SyncMessage) -> None:
        since = None
        if message.since is not None:
            since = _position(message.since)
            if since is None:
                await self._note_bad(message.ref, invalid("Expected epoch:seq - at `$.since`"))
                return
        wait_s = self._last_sync_s + SYNC_PAUSE_S - self._loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._last_sync_s = self._loop.time()
        if self._query.deltas:
            self._hub.catch_up(self._showtime_id, self._socket, since)
            return
        seen = await self._hub.seats.seats(self._showtime_id, None)
        if isinstance(seen, Rejection):
            self._socket.send(error_message(message.ref, seen))
            return
        plan = seen.terms.plan
        taken = taken_seats(plan, seen.seats)
        self._socket.send(snapshot_message(seen.epoch, seen.seq, plan.version, taken))

    async def _command(self, message: Command) -> None:
        ref = message.ref
        if self._token is None:
            await self._note_bad(ref, _unauthenticated("NO_TOKEN"))
            return
        try:
            customer = self._hub.verify_token(self._token).user_id
            command = self._command_of(message, customer)
        except InvalidToken as invalid:
            self._socket.send(error_message(ref, _unauthenticated(invalid.code)))
            return
        except Refused as refused:
            self._socket.send(error_message(ref, refused.rejection))
            return
        self._in_flight += 1
        socket = self._socket

        def answer(outcome: Outcome) -> None:
            self._in_flight -= 1
            room = self._room
            if room is not None and not room.done():
                room.set_result(None)
            hold = hold_of(outcome)
            if isinstance(hold, Rejection):
                socket.send(error_message(ref, hold))
            else:
                socket.send(result_message(ref, hold))

        self._hub.seats.kernel.tell(self._showtime_id, command, answer)
        while self._in_flight >= self._hub.options.commands_in_flight:
            self._room = self._loop.create_future()
            await self._room
            self._room = None

    def _command_of(self, message: Command, customer: bytes) -> AnyCommand:
        key = self._key_of(message, customer)
        if isinstance(message, HoldMessage):
            request = HoldInput(seats=message.seats)
            return self._hub.seats.hold_command(customer, request, key)
        hold_id = parse_id(message.hold_id)
        if hold_id is None:
            raise Refused(Rejection(code="NOT_FOUND"))
        if isinstance(message, ExtendMessage):
            return extend_command(customer, hold_id, key)
        return release_command(customer, hold_id, message.seats, key)

    def _key_of(self, message: Command, customer: bytes) -> IdempotencyKey | None:
        """The key's scope is the customer, this showtime and the kind of command."""
        if message.key is None:
            return None
        route = f"WS {self._showtime_id.hex()} {type(message).__name__}"
        unnamed = msgspec.structs.replace(message, ref=None, key=None)
        return idempotency_key(customer, route, message.key, msgspec.json.encode(unnamed))


def _position(since: str | None) -> tuple[int, int] | None:
    epoch, _, seq = (since or "").partition(":")
    if not (epoch.isdecimal() and seq.isdecimal()):
        return None
    return int(epoch), int(seq)


class _OnlyRef(msgspec.Struct, frozen=True):
    ref: _Ref = None


def _ref_of(payload: bytes) -> Ref | None:
    """The `ref` of a message that is wrong otherwise, so that its sender knows which."""
    try:
        return msgspec.json.decode(payload, type=_OnlyRef).ref
    except UNREADABLE:
        return None


def _unauthenticated(reason: str) -> Rejection:
    return Rejection(code="UNAUTHENTICATED", details={"reason": reason})
