"""One watch socket's conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from aiohttp import WSMsgType

from cinema.actors.asking import refusal_of
from cinema.actors.messages import Outcome
from cinema.domain.idempotency import IdempotencyKey, idempotency_key
from cinema.domain.ids import format_id, parse_id
from cinema.domain.principal import InvalidToken, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.features.seats.hold_limits import HoldLimits
from cinema.features.seats.hold_routes import EXTEND_HOLD, PLACE_HOLD, RELEASE_HOLD
from cinema.features.seats.service import HoldAnswer, HoldOutcome, SeatsService, hold_of
from cinema.features.seats.shapes import ExtendInput, HoldInput, PartQuery
from cinema.features.watching.frames import (
    Ref,
    error_message,
    queue_message,
    result_message,
    snapshot_message,
    taken_seats,
    welcome_message,
)
from cinema.features.watching.messages import (
    AuthMessage,
    ExtendMessage,
    HoldMessage,
    QueueMessage,
    SocketCommand,
    SyncMessage,
    WatchQuery,
    decode_message,
    position,
    ref_of,
)
from cinema.features.watching.options import WatchOptions
from cinema.features.watching.socket import (
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Socket,
    SocketResponse,
)
from cinema.features.watching.socket_places import SocketPlace
from cinema.http.context import RequestContext
from cinema.http.decoding import UNREADABLE, invalid, unreadable
from cinema.http.errors import ErrorTable
from cinema.http.turns import Turns

BAD_MESSAGES_LIMIT: Final = 20
"""How many malformed messages a socket may send before it is closed."""

SYNC_PAUSE_S: Final = 0.05
"""Shortest time between two snapshots for a socket, because a snapshot is large."""

MESSAGES_PER_TURN: Final = 32
"""Messages of one socket that are read before the other sockets get their turn."""

COMMANDS_PER_TURN: Final = 8
"""Commands of one socket in one turn; each costs the loop less than a request."""

OVERLOADED: Final = Rejection(code="OVERLOADED")

_BINARY: Final = Rejection(code="MALFORMED_JSON", message="Send text, not binary frames.")


class PlaceFollowing(Protocol):
    """Tells of places in waiting rooms (`features/waitingroom`)."""

    async def follow(
        self, showtime_id: bytes, token: str, told: Callable[[Any], None], /
    ) -> Callable[[], None]:
        """Tell of a place now and when it changes; returns what ends that. Refuses NOT_FOUND."""


class Hub(Protocol):
    """What a session needs of its hub, which documents each method."""

    errors: ErrorTable
    seats: SeatsService
    known: Callable[[str], Principal | None]
    holds: HoldLimits
    turns: Turns
    options: WatchOptions
    places: PlaceFollowing | None

    async def identify(self, token: str) -> Principal:
        """The caller of a token."""

    async def watched(
        self, showtime_id: bytes, socket: Socket, since: tuple[int, int] | None
    ) -> Outcome | None:
        """Let a socket watch a showtime."""

    def catch_up(self, showtime_id: bytes, socket: Socket, since: tuple[int, int] | None) -> None:
        """Send what a watching socket has missed."""


class SocketSession:
    """One socket's conversation: reads on only while its commands in flight are bounded."""

    def __init__(
        self,
        hub: Hub,
        context: RequestContext,
        response: SocketResponse,
        socket: Socket,
        place: SocketPlace,
    ) -> None:
        self._hub = hub
        self._response = response
        self._socket = socket
        self._place = place
        self._showtime_id = context.params[0]
        self._query: WatchQuery = context.query
        self._token: str | None = None
        if context.caller is not None:
            self._token = context.request.headers["Authorization"][7:]
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._paid_for = 0
        self._room: asyncio.Future[None] | None = None
        self._bad_messages = 0
        self._last_sync_s = 0.0
        self._unfollow: Callable[[], None] | None = None

    async def run(self) -> None:
        """Run until the client leaves or is closed."""
        try:
            await self._converse()
        finally:
            if self._unfollow is not None:
                self._unfollow()

    async def _converse(self) -> None:
        if self._query.deltas:
            refused = await self._hub.watched(
                self._showtime_id, self._socket, position(self._query.since)
            )
            if refused is not None:
                await self._socket.close(TRY_AGAIN_LATER, refusal_of(refused).code)
                return
        read = 0
        # Messages of a client that has left may be unread; nobody waits for their answers.
        while not self._socket.closed:
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
            message = decode_message(payload)
        except UNREADABLE as error:
            await self._note_bad(ref_of(payload), unreadable(error, payload))
            return
        if isinstance(message, SyncMessage):
            await self._sync(message)
        elif isinstance(message, AuthMessage):
            await self._sign_in(message)
        elif isinstance(message, QueueMessage):
            await self._follow(message)
        else:
            await self._command(message)

    def _refuse(self, ref: Ref | None, rejection: Rejection) -> None:
        self._socket.send(error_message(self._hub.errors, ref, rejection))

    async def _note_bad(self, ref: Ref | None, rejection: Rejection) -> None:
        self._bad_messages += 1
        self._refuse(ref, rejection)
        await asyncio.sleep(0)

    async def _sign_in(self, message: AuthMessage) -> None:
        try:
            principal = await self._hub.identify(message.token)
            self._place.sign_in(principal.user_id)
        except InvalidToken as invalid:
            self._bad_messages += 1
            self._refuse(message.ref, _unauthenticated(invalid.code))
            return
        except Refused as refused:
            self._refuse(message.ref, refused.rejection)
            return
        self._token = message.token
        self._socket.send(welcome_message(message.ref, format_id(principal.user_id)))

    async def _sync(self, message: SyncMessage) -> None:
        since = None
        if message.since is not None:
            since = position(message.since)
            if since is None:
                await self._note_bad(message.ref, invalid("Expected epoch:seq - at `$.since`"))
                return
        await self._pause()
        if self._query.deltas:
            self._hub.catch_up(self._showtime_id, self._socket, since)
            return
        try:
            seen = await self._hub.seats.seats(self._showtime_id, None)
        except Refused as refused:
            self._refuse(message.ref, refused.rejection)
            return
        plan = seen.terms.plan
        taken = taken_seats(plan, seen.seats)
        self._socket.send(snapshot_message(seen.epoch, seen.seq, plan.version, taken))

    async def _follow(self, message: QueueMessage) -> None:
        """Tell of one place from now on; a socket follows one at a time."""
        await self._pause()
        places, socket, ref = self._hub.places, self._socket, message.ref
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        if places is None:
            self._refuse(ref, Rejection(code="NOT_FOUND"))
            return
        try:
            self._unfollow = await places.follow(
                self._showtime_id,
                message.token,
                lambda data: socket.send(queue_message(ref, data)),
            )
        except Refused as refused:
            self._refuse(ref, refused.rejection)

    async def _pause(self) -> None:
        """Let one socket not ask faster for what is large, or costs a look at the database."""
        wait_s = self._last_sync_s + SYNC_PAUSE_S - self._loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._last_sync_s = self._loop.time()

    async def _turn_is_late(self) -> bool:
        """Take a turn for some commands; True if it came too late for this one."""
        turns = self._hub.turns
        if turns.left:
            turns.left -= 1
        elif await turns.wait():
            turns.refused += 1
            return True
        self._paid_for = COMMANDS_PER_TURN - 1
        return False

    async def _command(self, message: SocketCommand) -> None:
        ref = message.ref
        if self._paid_for:
            self._paid_for -= 1
        elif await self._turn_is_late():
            self._refuse(ref, OVERLOADED)
            return
        if self._token is None:
            await self._note_bad(ref, _unauthenticated("NO_TOKEN"))
            return
        try:
            # Usually the token is known, and then no coroutine is needed.
            principal = self._hub.known(self._token) or await self._hub.identify(self._token)
            self._hub.holds.check(principal, self._place.address_key)
            self._tell(message, principal)
        except InvalidToken as invalid:
            self._refuse(ref, _unauthenticated(invalid.code))
            return
        except Refused as refused:
            self._refuse(ref, refused.rejection)
            return
        while self._in_flight >= self._hub.options.commands_in_flight:
            self._room = self._loop.create_future()
            await self._room
            self._room = None

    def _tell(self, message: SocketCommand, principal: Principal) -> None:
        """Send the command, under the key that the same request has over HTTP."""
        seats, showtime_id, customer = self._hub.seats, self._showtime_id, principal.user_id
        if isinstance(message, HoldMessage):
            request = HoldInput(seats=message.seats)
            key = None
            if message.key is not None:
                key = self._key(message.key, customer, PLACE_HOLD, body=request)
            seats.place_hold(showtime_id, principal, request, key, self._answer_to(message.ref))
            return
        hold_id = parse_id(message.hold_id)
        if hold_id is None:
            raise refuse("NOT_FOUND")
        answer = self._answer_to(message.ref)
        if isinstance(message, ExtendMessage):
            body = ExtendInput(extend=True)
            key = self._key(message.key, customer, EXTEND_HOLD, hold_id, body=body)
            seats.extend_hold(showtime_id, principal, hold_id, key, answer)
            return
        part = PartQuery(seats=None if message.seats is None else ",".join(message.seats))
        key = self._key(message.key, customer, RELEASE_HOLD, hold_id, query=part)
        seats.release_hold(showtime_id, principal, hold_id, message.seats, key, answer)

    def _answer_to(self, ref: Ref | None) -> HoldAnswer:
        """Count one more command in flight; returns the function that sends its answer."""
        self._in_flight += 1
        socket = self._socket

        def answer(outcome: HoldOutcome) -> None:
            self._in_flight -= 1
            room = self._room
            if room is not None and not room.done():
                room.set_result(None)
            hold = hold_of(outcome)
            if isinstance(hold, Rejection):
                self._refuse(ref, hold)
            else:
                socket.send(result_message(ref, hold))

        return answer

    def _key(
        self,
        key: str | None,
        customer: bytes,
        operation: str,
        *hold_id: bytes,
        body: object = None,
        query: object = None,
    ) -> IdempotencyKey | None:
        if key is None:
            return None
        ids = (self._showtime_id, *hold_id)
        return idempotency_key(customer, operation, ids, key, body, query)


def _unauthenticated(reason: str) -> Rejection:
    return Rejection(code="UNAUTHENTICATED", details={"reason": reason})
