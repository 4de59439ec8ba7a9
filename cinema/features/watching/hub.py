"""The watch socket: seat maps as they change, and commands on the same connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp.web import BaseRequest, StreamResponse

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Outcome
from cinema.domain.principal import Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.features.accounts.throttles import Throttles
from cinema.features.owned import SHOWTIMES
from cinema.features.seats.hold_limits import HoldLimits
from cinema.features.seats.service import SeatsService
from cinema.features.watching.feed import WatchedShowtime
from cinema.features.watching.options import WatchOptions
from cinema.features.watching.session import PlaceFollowing, SocketSession
from cinema.features.watching.socket import (
    CLOSE_WAIT_S,
    GOING_AWAY,
    INTERNAL_ERROR,
    VERSION,
    Socket,
    SocketResponse,
)
from cinema.features.watching.socket_places import SocketPlace, SocketPlaces
from cinema.http.connections.request import HttpRequest
from cinema.http.connections.wire import ORIGIN
from cinema.http.context import RequestContext
from cinema.http.errors import ErrorTable
from cinema.http.responses import Reply, header_lines, rejected
from cinema.http.targets import HOST, authority
from cinema.http.turns import Turns

SOCKET_FAILED: Final = "socket_failed"

STOPPING: Final = "server stopping"
"""Why sockets are closed at a stop."""

log = structlog.get_logger()


class WatchHub:
    """All watch sockets of this process."""

    def __init__(
        self,
        dispatch: Dispatch,
        seats: SeatsService,
        verify_token: Callable[[str], Principal | None],
        look_up_token: Callable[[str], Awaitable[Principal]],
        allows_origin: Callable[[str | None], bool],
        options: WatchOptions,
        *,
        errors: ErrorTable,
        holds: HoldLimits,
        throttles: Throttles,
        turns: Turns,
        key_of: Callable[[HttpRequest], str],
    ) -> None:
        self._dispatch = dispatch
        self.errors = errors
        self.seats = seats
        self.known = verify_token
        self._look_up_token = look_up_token
        self.options = options
        self.holds = holds
        self.turns = turns
        self.places: PlaceFollowing | None = None
        self._key_of = key_of
        self._places = SocketPlaces(
            throttles,
            per_address=options.sockets_per_address,
            per_user=options.sockets_per_user,
        )
        self._allows_origin = allows_origin
        self._showtimes: dict[bytes, WatchedShowtime] = {}
        self._sockets: set[Socket] = set()
        self._opening = 0
        self._is_closing = False

    @property
    def socket_count(self) -> int:
        """Open sockets."""
        return len(self._sockets)

    def sockets(self) -> list[Socket]:
        """The open sockets, to see how far behind they are."""
        return list(self._sockets)

    @property
    def showtime_count(self) -> int:
        """Showtimes that somebody watches."""
        return len(self._showtimes)

    async def identify(self, token: str) -> Principal:
        """The caller of a token; waits only if the token has to be looked up.

        Raises `InvalidToken`, and `Refused` with RETRY.
        """
        return self.known(token) or await self._look_up_token(token)

    async def serve(self, context: RequestContext) -> Reply | StreamResponse:
        """The whole life of a socket; returns a reply if the handshake fails."""
        request = context.request
        if not self._allows(request):
            raise refuse("ORIGIN_NOT_ALLOWED")
        place = self._places.open(self._key_of(request))
        try:
            if context.caller is not None:
                place.sign_in(context.caller.user_id)
            return await self._upgrade(context, place)
        finally:
            place.close()

    async def close(self) -> None:
        """Tell everybody to reconnect elsewhere, and whoever still comes."""
        self._is_closing = True
        closing = [socket.close(GOING_AWAY, STOPPING) for socket in self._sockets]
        await asyncio.gather(*closing, return_exceptions=True)

    async def watched(
        self, showtime_id: bytes, socket: Socket, since: tuple[int, int] | None
    ) -> Outcome | None:
        """Let a socket watch a showtime; returns the refusal, or None."""
        watched = self._showtimes.get(showtime_id)
        if watched is None:
            watched = self._showtimes[showtime_id] = WatchedShowtime(
                showtime_id, self._dispatch, self.options.coalesce_s
            )
        refused = await watched.join(socket, since)
        if refused is not None:
            self._left(showtime_id, watched)
        return refused

    def left(self, showtime_id: bytes, socket: Socket) -> None:
        """A socket no longer watches."""
        watched = self._showtimes.get(showtime_id)
        if watched is not None:
            watched.leave(socket)
            self._left(showtime_id, watched)

    def _left(self, showtime_id: bytes, watched: WatchedShowtime) -> None:
        if watched.empty and self._showtimes.get(showtime_id) is watched:
            del self._showtimes[showtime_id]

    def catch_up(self, showtime_id: bytes, socket: Socket, since: tuple[int, int] | None) -> None:
        """Send what a watching socket has missed."""
        watched = self._showtimes.get(showtime_id)
        if watched is not None:
            watched.catch_up(socket, since)

    async def _upgrade(self, context: RequestContext, place: SocketPlace) -> Reply | StreamResponse:
        request = context.request
        if len(self._sockets) + self._opening >= self.options.sockets_limit:
            raise refuse("OVERLOADED")
        response = SocketResponse(
            timeout=CLOSE_WAIT_S,
            heartbeat=self.options.heartbeat_s,
            max_msg_size=self.options.frame_limit_bytes,
            compress=False,
            decode_text=False,
        )
        if not response.can_prepare(request):
            upgrade = header_lines(
                upgrade="websocket", connection="Upgrade", sec_websocket_version=VERSION
            )
            return rejected(
                self.errors, Rejection(code="UPGRADE_REQUIRED"), context.request_id, upgrade
            )
        response.headers["Server"] = "cinema"
        response.headers["X-Request-ID"] = context.request_id
        owner_of = self.options.owner_of
        if owner_of is not None and (owner := owner_of(context.params[0])) is not None:
            response.headers[SHOWTIMES.header] = owner
        self._opening += 1
        try:
            if not await self.seats.exists(context.params[0]):
                raise refuse("NOT_FOUND")
            await response.prepare(request)
        except ConnectionResetError as error:
            raise asyncio.CancelledError("the client has left") from error
        finally:
            self._opening -= 1
        await self._converse(context, response, place)
        return response

    def _allows(self, request: BaseRequest) -> bool:
        """Whether a page of this origin may connect: our own, or an allowed one.

        Browsers send the origin even if the page and the socket have the same one.
        """
        origin = request.headers.get(ORIGIN)
        if self._allows_origin(origin) or origin is None:
            return True
        scheme, _, host = origin.partition("://")
        asked = authority(request.raw_path, request.headers.get(HOST))
        return scheme in {"http", "https"} and host == asked

    async def _converse(
        self, context: RequestContext, response: SocketResponse, place: SocketPlace
    ) -> None:
        request = context.request
        showtime_id = context.params[0]
        transport = request.transport
        if transport is None:
            return
        socket = Socket(response, transport, self.options.pending_limit_bytes)
        if self._is_closing:
            # It came after the others were told, and would keep the server from its end.
            await socket.close(GOING_AWAY, STOPPING)
            return
        self._sockets.add(socket)
        try:
            await SocketSession(self, context, response, socket, place).run()
        except Exception:
            # The handshake is over, so only a close frame can tell what went wrong.
            log.exception(SOCKET_FAILED, request_id=context.request_id)
            await socket.close(INTERNAL_ERROR, f"internal error, request {context.request_id}")
        finally:
            self._sockets.discard(socket)
            self.left(showtime_id, socket)
