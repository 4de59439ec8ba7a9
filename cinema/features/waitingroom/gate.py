"""Who may hold seats of which showtimes, as this node knows it: a look-up in memory.

Showtimes without a room are not in the dictionary, so that their holds pay one look-up. For those
with one, what this node does not know yet is looked up in Postgres, for all who wait for an answer
at once; so many requests without a place cost the database one statement in `LOOK_PAUSE_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import Refused, Rejection
from cinema.domain.times import to_us
from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.seats.service import HoldAnswer
from cinema.features.waitingroom.place_store import Inside
from cinema.features.waitingroom.store import Room

LOOK_PAUSE_S: Final = 0.05
"""Shortest time between two looks at who is inside."""

LOOKS_WAITING_LIMIT: Final = 10_000
"""Holds that wait for a look; more are refused as OVERLOADED."""

CUSTOMERS_AT_ONCE: Final = 1_000
"""Customers that one statement looks for."""

HOLD_FAILED: Final = "queued_hold_failed"

QUEUE_REQUIRED: Final = Rejection(code="QUEUE_REQUIRED")
_OVERLOADED: Final = Rejection(code="OVERLOADED")
_INTERNAL: Final = Rejection(code="INTERNAL")

log = structlog.get_logger(__name__)


class InsideLookup(Protocol):
    """Says who is inside (`RoomsRepository.inside`)."""

    async def __call__(
        self, rooms: Sequence[UUID], customers: Sequence[UUID] | None = None, /
    ) -> list[Inside]: ...


class RoomGate:
    """The gate of one room; `asked` counts holds while the room waits for load."""

    def __init__(self, room: Room, gates: Gates) -> None:
        self.room = room
        self.asked = 0
        self._gates = gates
        self._inside: dict[bytes, int] = {}

    @property
    def is_closed(self) -> bool:
        """Whether holds need a place."""
        return self.room.starts_at is not None

    def lets_in(self, principal: Principal) -> bool:
        """Whether this caller may hold seats now, as far as this node knows."""
        if not self.is_closed:
            self.asked += 1
            return True
        if principal.role == ADMIN or (
            principal.role in COUNTER_ROLES and self.room.cinema_id.bytes in principal.cinema_ids
        ):
            return True
        now_us, inside = self._gates.now_us(), self._inside
        if inside.get(principal.user_id, 0) > now_us:
            return True
        return any(inside.get(guest, 0) > now_us for guest in principal.guest_ids)

    def look_again(
        self, principal: Principal, go_on: Callable[[], None], answer: HoldAnswer
    ) -> None:
        """Look the caller up, and then `go_on`, or `answer` that a place is needed."""
        self._gates.look_again(self, principal, go_on, answer)

    def admit(self, customer: bytes, until_us: int) -> None:
        """Let somebody in."""
        self._inside[customer] = until_us

    def leave(self, customer: bytes) -> None:
        """Let somebody in no more."""
        self._inside.pop(customer, None)

    def replace_inside(self, inside: dict[bytes, int]) -> None:
        """Let exactly these in."""
        self._inside = inside


class _Look:
    __slots__ = ("answer", "gate", "go_on", "principal")

    def __init__(
        self,
        gate: RoomGate,
        principal: Principal,
        go_on: Callable[[], None],
        answer: HoldAnswer,
    ) -> None:
        self.gate = gate
        self.principal = principal
        self.go_on = go_on
        self.answer = answer


class Gates:
    """The gates of all rooms; `by_showtime`, by raw ids, is what holds look into.

    A film's room has one gate in front of all its showtimes that have none of their own.
    """

    def __init__(self, inside: InsideLookup, *, now_us: Callable[[], int]) -> None:
        self.by_room: dict[UUID, RoomGate] = {}
        self.by_showtime: dict[bytes, RoomGate] = {}
        self.now_us = now_us
        self.refused = 0
        self._inside = inside
        self._looks: list[_Look] = []
        self._wanted = asyncio.Event()

    def use(self, rooms: Sequence[Room]) -> None:
        """These are the rooms from now on."""
        by_room = {room.id: self._gate(room) for room in rooms}
        self.by_room.clear()
        self.by_room.update(by_room)
        self._stand()

    def put(self, room: Room) -> RoomGate:
        """A room that was opened or changed."""
        gate = self.by_room[room.id] = self._gate(room)
        self._stand()
        return gate

    def drop(self, room_id: UUID) -> None:
        """A room that was closed."""
        self.by_room.pop(room_id, None)
        self._stand()

    def of_film(self, cinema_id: UUID, movie_id: UUID) -> RoomGate | None:
        """The gate of a film's room."""
        for gate in self.by_room.values():
            if (gate.room.cinema_id, gate.room.movie_id) == (cinema_id, movie_id):
                return gate
        return None

    def showtimes_of(self, gate: RoomGate) -> list[UUID]:
        """The showtimes that a gate is in front of."""
        at = self.by_showtime
        return [one for one in gate.room.showtime_ids if at.get(one.bytes) is gate]

    def _gate(self, room: Room) -> RoomGate:
        gate = self.by_room.get(room.id)
        if gate is None:
            return RoomGate(room, self)
        gate.room = room
        return gate

    def _stand(self) -> None:
        """Put the gates in front of their showtimes; a showtime's own before that of its film."""
        films_first = sorted(self.by_room.values(), key=lambda one: one.room.movie_id is None)
        standing = {
            showtime_id.bytes: gate
            for gate in films_first
            for showtime_id in gate.room.showtime_ids
        }
        for showtime_id in self.by_showtime.keys() - standing.keys():
            del self.by_showtime[showtime_id]
        self.by_showtime.update(standing)

    def note_inside(self, inside: Sequence[Inside]) -> None:
        """Exactly these are inside of the rooms that are known."""
        of_rooms: dict[UUID, dict[bytes, int]] = {}
        for one in inside:
            of_rooms.setdefault(one.room_id, {})[one.customer_id.bytes] = to_us(one.valid_until)
        for gate in self.by_room.values():
            gate.replace_inside(of_rooms.get(gate.room.id, {}))

    def look_again(
        self, gate: RoomGate, principal: Principal, go_on: Callable[[], None], answer: HoldAnswer
    ) -> None:
        """See `RoomGate.look_again`."""
        if len(self._looks) >= LOOKS_WAITING_LIMIT:
            answer(_OVERLOADED)
            return
        self._looks.append(_Look(gate, principal, go_on, answer))
        self._wanted.set()

    async def run(self) -> None:
        """Look up those who wait, as long as the node runs."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            looks, self._looks = self._looks, []
            for begin in range(0, len(looks), CUSTOMERS_AT_ONCE):
                await self._look(looks[begin : begin + CUSTOMERS_AT_ONCE])
            await asyncio.sleep(LOOK_PAUSE_S)

    async def _look(self, looks: Sequence[_Look]) -> None:
        customers = {
            UUID(bytes=one)
            for look in looks
            for one in (look.principal.user_id, *look.principal.guest_ids)
        }
        rooms = {look.gate.room.id: look.gate for look in looks}
        try:
            for one in await self._inside(list(rooms), list(customers)):
                rooms[one.room_id].admit(one.customer_id.bytes, to_us(one.valid_until))
        except Refused as refused:
            for look in looks:
                look.answer(refused.rejection)
            return
        for look in looks:
            self._settle(look)

    def _settle(self, look: _Look) -> None:
        gate = look.gate
        is_current = self.by_room.get(gate.room.id) is gate
        if is_current and not gate.lets_in(look.principal):
            self.refused += 1
            look.answer(QUEUE_REQUIRED)
            return
        try:
            look.go_on()
        except Refused as refused:
            look.answer(refused.rejection)
        except Exception:
            log.exception(HOLD_FAILED)
            look.answer(_INTERNAL)
