"""The rounds of waiting rooms, on every node.

Once a second a node reads the rooms and who is inside, so that a switch or an entry at another node
is known here in a second, and does the rounds that are due: one of all nodes does each. A round is
one transaction: a killed node loses nothing, and the next node goes on. Bounds: `ROOMS_AT_ONCE`
rooms a round, the others in the next. Telemetry: the log event below, and `metrics.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from cinema.actors.messages import SeatsSeen
from cinema.domain.rejections import Refused
from cinema.domain.seatmap import AVAILABLE
from cinema.domain.times import to_us
from cinema.features.feature import Rest
from cinema.features.waitingroom.feed import PlaceFeed
from cinema.features.waitingroom.gate import Gates, RoomGate
from cinema.features.waitingroom.place_store import PlacesRepository
from cinema.features.waitingroom.round_store import ROUND_S, RoundsRepository
from cinema.features.waitingroom.rules import SEED_BYTES, commitment
from cinema.features.waitingroom.store import Room, RoomsRepository
from cinema.storage.encryption import CannotOpen
from cinema.telemetry.logging import LogLimit

ROOMS_NOT_PACED: Final = "waiting_rooms_not_paced"

ROOMS_AT_ONCE: Final = 100

QUIET_S: Final = 60
"""A room that load has opened, and that is empty, closes no sooner after it opened."""

CLOSE_PAST_EVERY: Final = 60
"""Rounds between two looks for rooms of showtimes that are over."""

log = structlog.get_logger(__name__)


class SeatsReader(Protocol):
    """Reads seat maps and who holds (`SeatsService.seats_and_holders`)."""

    async def __call__(self, showtime_id: bytes, /) -> SeatsSeen: ...


class RoomsPaced:
    """Keeps the gates of this node true, and paces the rooms."""

    def __init__(
        self,
        store: RoomsRepository,
        places: PlacesRepository,
        rounds: RoundsRepository,
        gates: Gates,
        seats: SeatsReader,
        feed: PlaceFeed,
        *,
        new_id: Callable[[], UUID],
        random: Callable[[int], bytes],
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._store = store
        self._places = places
        self._pacing = rounds
        self._gates = gates
        self._seats = seats
        self._feed = feed
        self._new_id = new_id
        self._random = random
        self._now = now
        self._rest = rest
        self._limit = LogLimit(lines=5, period_s=60.0)
        self._rounds = 0
        self.admitted = 0
        self.ended: Counter[str] = Counter()

    async def run(self) -> None:
        """Run as long as the node runs."""
        while True:
            await self._rest(ROUND_S)
            try:
                await self.round()
            except Refused as refused:
                self._note_failure(refused.rejection.code)
            except CannotOpen:
                self._note_failure("CANNOT_OPEN")

    async def look(self) -> None:
        """Learn which rooms there are, and who is inside. Refuses RETRY. Raises `CannotOpen`."""
        self._gates.use(await self._store.rooms())
        closed = [one.room.id for one in self._gates.by_room.values() if one.is_closed]
        self._gates.note_inside(await self._places.inside(closed) if closed else ())

    async def round(self) -> None:
        """Look, and do what is due in each room. Refuses RETRY. Raises `CannotOpen`."""
        self._rounds += 1
        await self.look()
        due = list(self._gates.by_room.values())
        if due and self._rounds % CLOSE_PAST_EVERY == 0:
            await self._store.close_past(self._now())
        # Those that were paced longest ago come first.
        due.sort(key=lambda one: _paced_s(one.room))
        for gate in due[:ROOMS_AT_ONCE]:
            try:
                await self.step(gate)
            except Refused as refused:
                self._note_failure(refused.rejection.code)
        await self._feed.tell()

    async def step(self, gate: RoomGate) -> None:
        """Do what is due in one room. Refuses RETRY, NOT_FOUND. Raises `CannotOpen`."""
        room, now = gate.room, self._now()
        if room.starts_at is None:
            asked, gate.asked = gate.asked, 0
            if asked > room.holds_per_second * ROUND_S:
                await self._store.open_by_load(room.id, now)
            return
        if now < room.starts_at:
            await self._pacing.gather(room.id)
            return
        if room.paced_at is not None and now - room.paced_at < timedelta(seconds=ROUND_S * 0.8):
            return
        showtimes = self._gates.showtimes_of(gate)
        free = 0
        holders: set[bytes] = set()
        for showtime_id in showtimes:
            try:
                free_there, holding_there = await self._seats_of(showtime_id, to_us(now))
            except Refused as refused:
                if room.movie_id is None:
                    raise
                # The other showtimes of the film have seats all the same.
                self._note_failure(refused.rejection.code)
                continue
            free += free_there
            holders |= holding_there
        holding = [UUID(bytes=one) for one in holders]
        done = await self._pacing.pace(room.id, showtimes, free, holding, self._now())
        if done is None:
            return
        gate.room = done.room
        self.admitted += done.admitted
        self.ended.update(done.ended)
        is_empty = not done.room.waiting and not done.room.shopping
        if room.mode == "by_load" and is_empty:
            seed = self._random(SEED_BYTES)
            await self._store.arm_again(
                room.id, self._new_id(), seed, commitment(seed), now, QUIET_S
            )

    async def _seats_of(self, showtime_id: UUID, now_us: int) -> tuple[int, frozenset[bytes]]:
        """Seats of a showtime that are free and on sale, and who holds some. Refuses RETRY."""
        seen = await self._seats(showtime_id.bytes)
        terms = seen.terms
        sells = terms.sales_opens_at_us <= now_us < terms.sales_closes_at_us and not seen.paused
        return (seen.seats.count(AVAILABLE) if sells else 0), seen.holders

    def _note_failure(self, reason: str) -> None:
        self._limit.write(log.warning, ROOMS_NOT_PACED, reason=reason)


def _paced_s(room: Room) -> float:
    return 0.0 if room.paced_at is None else room.paced_at.timestamp()
