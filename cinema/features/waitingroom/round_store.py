"""Rounds of waiting rooms in Postgres: who is over, who comes when, and who is let in.

A round takes the row of its room, so one node at a time does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.refusals import found
from cinema.features.waitingroom.rules import Sight, new_pace, to_admit
from cinema.features.waitingroom.shapes import EndedBy
from cinema.features.waitingroom.store import ROOM_COLUMNS, Room, room_of
from cinema.storage.database.transactions import Pool, PooledConnection, transaction
from cinema.storage.encryption import Cipher

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_TAKE: Final = f"""
select {ROOM_COLUMNS} from waiting_rooms room
where room.id = $1 and room.closed_at is null and room.starts_at <= $2
    and (room.paced_at is null or room.paced_at <= $3)
for no key update of room skip locked"""
_END_DUE: Final = """
update waiting_places place
set state = 'ended', ended_at = $2, ended_by = due.why
from (
    select one.id, case
        when one.state = 'inside' and exists (
            select from bookings b
            where b.user_id = one.customer_id and b.showtime_id = any($3::uuid[])
                and b.created_at >= one.entered_at
        ) then 'booked'
        when one.valid_until > $2 then null
        when one.state = 'admitted' then 'missed'
        else 'time'
    end as why
    from waiting_places one
    where one.room_id = $1 and one.state in ('admitted', 'inside')
) due
where place.id = due.id and due.why is not null
returning place.ended_by"""
_SHUFFLE: Final = """
update waiting_places place set number = ordered.number
from (
    select id, row_number() over (order by sha256($2 || uuid_send(id))) as number
    from waiting_places
    where room_id = $1 and number is null and state = 'waiting' and joined_at < $3
) ordered
where place.id = ordered.id"""
_NUMBER: Final = """
update waiting_places place set number = late.number
from (
    select id, $2 + row_number() over (order by arrival) as number
    from waiting_places where room_id = $1 and number is null and state = 'waiting'
) late
where place.id = late.id"""
_COUNT: Final = """
select count(*) filter (where state = 'waiting' and number is not null) as waiting,
    count(*) filter (where state in ('admitted', 'inside')) as shopping,
    count(*) filter (where state = 'inside' and customer_id = any($2::uuid[])) as holding,
    count(*) as places
from waiting_places where room_id = $1"""
_ADMIT: Final = """
update waiting_places set state = 'admitted', valid_until = $3
where id = any(array(
    select id from waiting_places
    where room_id = $1 and state = 'waiting' and number is not null
    order by number limit $2 for update
))
returning number"""
_NOTE: Final = f"""
update waiting_rooms room
set shuffled_at = coalesce(shuffled_at, $2), shuffled = shuffled + $3, numbered = $4,
    admitted_to = greatest(admitted_to, $5), places = $6, waiting = $7, shopping = $8,
    admissions_per_s = $9, paced_at = $2
where room.id = $1
returning {ROOM_COLUMNS}"""
_COUNT_GATHERING: Final = """
update waiting_rooms room set places = counted.places, waiting = counted.places
from (select count(*) as places from waiting_places where room_id = $1) counted
where room.id = $1 and room.shuffled_at is null"""

SHUFFLE_S: Final = 60.0
"""For so long the order of all places is waited for; 100,000 take a few seconds."""

ROUND_S: Final = 1.0
"""Between two rounds of a room, whichever nodes do them."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What a round has done."""

    room: Room
    admitted: int
    ended: Sequence[EndedBy]


class RoundsRepository:
    """Does the rounds of rooms."""

    def __init__(self, pool: Pool, cipher: Cipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def gather(self, room_id: UUID) -> None:
        """Count the places of a room that has not begun. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            await writing.execute(_COUNT_GATHERING, room_id)

    async def pace(
        self,
        room_id: UUID,
        showtimes: Sequence[UUID],
        free: int,
        holders: Sequence[UUID],
        now: datetime,
    ) -> Round | None:
        """End what is over, order who came, and let some in; None if another node has just.

        `free` seats there are at its showtimes, and `holders` hold some.

        Refuses RETRY, OUTCOME_UNKNOWN. Raises `CannotOpen`.
        """
        async with transaction(self._pool) as writing:
            before = now - timedelta(seconds=ROUND_S * 0.8)
            row = await writing.fetchrow(_TAKE, room_id, now, before)
            if row is None:
                return None
            return await self._round(
                writing, room_of(row, self._cipher), showtimes, free, holders, now
            )

    async def _round(
        self,
        writing: PooledConnection,
        room: Room,
        showtimes: Sequence[UUID],
        free: int,
        holders: Sequence[UUID],
        now: datetime,
    ) -> Round:
        ended = [row[0] for row in await writing.fetch(_END_DUE, room.id, now, showtimes)]
        shuffled, numbered = 0, room.numbered
        if room.shuffled_at is None:
            done = await writing.execute(
                _SHUFFLE, room.id, room.seed, room.starts_at, timeout=SHUFFLE_S
            )
            numbered = shuffled = _count(done)
        numbered += _count(await writing.execute(_NUMBER, room.id, numbered))
        counted = found(await writing.fetchrow(_COUNT, room.id, holders))
        sight = Sight(
            free=free,
            holding=counted["holding"],
            waiting=counted["waiting"],
            shopping=counted["shopping"],
            limit=room.shoppers,
        )
        admitted_to, admitted = room.admitted_to, to_admit(sight)
        if admitted:
            until = now + timedelta(seconds=room.entry_seconds)
            numbers = [row[0] for row in await writing.fetch(_ADMIT, room.id, admitted, until)]
            admitted_to, admitted = max(numbers, default=admitted_to), len(numbers)
        elapsed_s = ROUND_S if room.paced_at is None else (now - room.paced_at).total_seconds()
        row = await writing.fetchrow(
            _NOTE,
            room.id,
            now,
            shuffled,
            numbered,
            admitted_to,
            counted["places"],
            sight.waiting - admitted,
            sight.shopping + admitted,
            new_pace(room.admissions_per_s, admitted, elapsed_s),
        )
        return Round(room=room_of(found(row), self._cipher), admitted=admitted, ended=ended)


def _count(done: str) -> int:
    """The rows in a command's tag."""
    return int(done.rsplit(maxsplit=1)[-1])
