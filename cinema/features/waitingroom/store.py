"""Waiting rooms in Postgres, which alone knows who has which place.

A round takes the row of its room, so one node at a time does it. Joining does not wait for that:
what refers to a row does not need it to stand still, as long as its key does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from cinema.features.refusals import found
from cinema.features.waitingroom.rules import Sight, new_pace, to_admit
from cinema.features.waitingroom.shapes import PLACES_MAX, EndedBy, PlaceStatus, RoomInput
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

SHOWTIMES_OF_FILM: Final = 200
"""Showtimes that a film's room is in front of, the next ones; each round reads their seats."""

_TO_COME: Final = """
    from showtimes s
    where s.cinema_id = room.cinema_id and s.movie_id = room.movie_id
        and s.ends_at > now() and s.status <> 'cancelled'"""
_ROOM: Final = f"""
room.id, room.showtime_id, room.movie_id, room.cinema_id, room.mode, room.starts_at, room.shoppers,
room.entry_seconds, room.shopping_seconds, room.places_per_address, room.work_bits,
room.holds_per_second, room.seed, room.seed_digest, room.shuffled_at, room.admitted_to,
room.numbered, room.waiting, room.shopping, room.admissions_per_s, room.paced_at,
case when room.movie_id is null then array[room.showtime_id] else array(
    select s.id {_TO_COME} order by s.starts_at, s.id limit {SHOWTIMES_OF_FILM}
) end as showtime_ids"""
_PLACE: Final = "id, room_id, customer_id, device_digest, number, state, ended_by, valid_until"
_SHOWTIME: Final = "select cinema_id, sales_opens_at from showtimes where id = $1"
_FILM: Final = """
select cinema_id, min(sales_opens_at) as sales_opens_at from showtimes
where cinema_id = $1 and movie_id = $2 and ends_at > $3 and status <> 'cancelled'
group by cinema_id"""
_OPEN_ROOMS: Final = f"select {_ROOM} from waiting_rooms room where room.closed_at is null"
ANY_OPEN: Final = "exists (select from waiting_rooms where closed_at is null)"
# While the places have no order yet, its start can be moved; afterwards only its bounds change.
_PUT: Final = f"""
insert into waiting_rooms as room (
    id, showtime_id, cinema_id, mode, starts_at, shoppers, entry_seconds, shopping_seconds,
    places_per_address, work_bits, holds_per_second, seed, seed_digest, created_at, movie_id
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (showtime_id) where closed_at is null do update
set mode = excluded.mode, shoppers = excluded.shoppers, entry_seconds = excluded.entry_seconds,
    shopping_seconds = excluded.shopping_seconds, work_bits = excluded.work_bits,
    places_per_address = excluded.places_per_address,
    holds_per_second = excluded.holds_per_second,
    starts_at = case
        when room.shuffled_at is null then coalesce(excluded.starts_at, room.starts_at)
        else room.starts_at
    end
returning {_ROOM}"""
_PUT_FILM: Final = _PUT.replace(
    "on conflict (showtime_id) where closed_at is null",
    "on conflict (cinema_id, movie_id) where closed_at is null and movie_id is not null",
)
_CLOSE: Final = """
update waiting_rooms set closed_at = $2 where showtime_id = $1 and closed_at is null
returning id"""
_CLOSE_FILM: Final = """
update waiting_rooms set closed_at = $3
where cinema_id = $1 and movie_id = $2 and closed_at is null
returning id"""
_OPEN_BY_LOAD: Final = """
update waiting_rooms set starts_at = $2
where id = $1 and mode = 'by_load' and starts_at is null and closed_at is null"""
_CLOSE_EMPTY: Final = """
update waiting_rooms room set closed_at = $2
where id = $1 and mode = 'by_load' and starts_at <= $3 and closed_at is null and not exists (
    select from waiting_places where room_id = room.id and state <> 'ended'
)
returning true"""
_ARM_AGAIN: Final = """
insert into waiting_rooms (
    id, showtime_id, cinema_id, mode, shoppers, entry_seconds, shopping_seconds,
    places_per_address, work_bits, holds_per_second, seed, seed_digest, created_at, movie_id
)
select $2, showtime_id, cinema_id, mode, shoppers, entry_seconds, shopping_seconds,
    places_per_address, work_bits, holds_per_second, $3, $4, $5, movie_id
from waiting_rooms where id = $1"""

_MINE: Final = f"""
    select {_PLACE} from waiting_places
    where room_id = $1 and state <> 'ended'
        and (customer_id = any($2::uuid[]) or device_digest = $3)
    limit 1"""
# Shares are counted without a lock: a burst from one address may get some places more.
_JOIN: Final = f"""
with mine as ({_MINE}
), added as (
    insert into waiting_places (
        id, room_id, customer_id, device_digest, address_digest, joined_at
    )
    select $4, room.id, ($2::uuid[])[1], $3, $5, $6 from waiting_rooms room
    where room.id = $1 and room.closed_at is null and room.places < {PLACES_MAX}
        and not exists (select from mine)
        and (
            select count(*) from (
                select from waiting_places
                where room_id = $1 and address_digest = $5 and state <> 'ended'
                limit room.places_per_address
            ) of_address
        ) < room.places_per_address
    on conflict do nothing
    returning {_PLACE}
)
select * from mine union all select * from added"""
_WHY_NOT: Final = f"""
select closed_at is not null as is_closed, places >= {PLACES_MAX} as is_full
from waiting_rooms where id = $1"""
_BY_ID: Final = f"select {_PLACE} from waiting_places where id = $1"
# Who has another place in the room has to give it up first: one customer has one.
_ENTER: Final = f"""
with owned as (
    select id from waiting_places
    where id = $1 and room_id = $2 and state = 'admitted' and valid_until > $5
        and (customer_id = any($3::uuid[]) or (customer_id is null and device_digest = $4))
    for update
), others as (
    select other.id from waiting_places other
    where other.room_id = $2 and other.state <> 'ended' and other.id <> $1
        and other.customer_id = any($3::uuid[])
)
update waiting_places place
set state = 'inside', customer_id = coalesce(place.customer_id, ($3::uuid[])[1]),
    entered_at = $5, valid_until = $6
from owned where place.id = owned.id and not exists (select from others)
returning {", ".join(f"place.{column}" for column in _PLACE.split(", "))}"""
# A guest who loads the page anew is another one, on the same device. Who has booked is done, though
# the next round has yet to say so: otherwise guests could book one after the other with one place.
_ENTER_ANEW: Final = f"""
update waiting_places place set customer_id = $3
where place.id = $1 and place.room_id = $2 and place.state = 'inside' and place.valid_until > $5
    and place.device_digest = $4
    and exists (select from guests where guests.id = place.customer_id)
    and not exists (
        select from bookings b
        where b.user_id = place.customer_id and b.created_at >= place.entered_at
            and b.showtime_id = any($6::uuid[])
    )
    and not exists (
        select from waiting_places other
        where other.room_id = $2 and other.state <> 'ended' and other.customer_id = $3
    )
returning {", ".join(f"place.{column}" for column in _PLACE.split(", "))}"""
_LEAVE: Final = """
update waiting_places set state = 'ended', ended_by = 'left', ended_at = $3
where room_id = $1 and customer_id = any($2::uuid[]) and state <> 'ended'
returning id"""
_INSIDE: Final = """
select room_id, customer_id, valid_until from waiting_places
where room_id = any($1::uuid[]) and state = 'inside'"""
_INSIDE_OF: Final = f"{_INSIDE} and customer_id = any($2::uuid[])"

_TAKE: Final = f"""
select {_ROOM} from waiting_rooms room
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
returning {_ROOM}"""
_COUNT_GATHERING: Final = """
update waiting_rooms room set places = counted.places, waiting = counted.places
from (select count(*) as places from waiting_places where room_id = $1) counted
where room.id = $1 and room.shuffled_at is null"""
_ORDER: Final = """
select place.id, place.number from waiting_places place
join waiting_rooms room on room.id = place.room_id
where place.room_id = $1 and place.number > $2 and place.number <= room.shuffled
order by place.number limit $3"""
_FORGET: Final = """
delete from waiting_rooms where id in (
    select id from waiting_rooms where closed_at < $1 order by closed_at limit $2
)"""
# The end of a showtime ends its room, that of the last one a film's.
_CLOSE_PAST: Final = """
update waiting_rooms room set closed_at = $1
where room.closed_at is null and (
    room.showtime_id in (select id from showtimes where ends_at <= $1 or status = 'cancelled')
    or room.movie_id is not null and not exists (
        select from showtimes s
        where s.cinema_id = room.cinema_id and s.movie_id = room.movie_id
            and s.ends_at > $1 and s.status <> 'cancelled'
    )
)"""

KEPT: Final = timedelta(days=30)
"""For so long places of a closed room are kept: somebody may ask how their turn came about."""

SHUFFLE_S: Final = 60.0
"""For so long the order of all places is waited for; 100,000 take a few seconds."""

ROUND_S: Final = 1.0
"""Between two rounds of a room, whichever nodes do them."""


def _seed_place(room_id: UUID) -> bytes:
    return b"waiting_rooms.seed:" + room_id.bytes


SEALED: Final = SealedColumn(table="waiting_rooms", key="id", column="seed", place=_seed_place)


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A room as it was at a look; `seed` must not be told before `shuffled_at`.

    It is that of `showtime_id`, or of `movie_id` at its cinema, and then in front of all
    `showtime_ids` that have no room of their own.
    """

    id: UUID
    showtime_id: UUID | None
    movie_id: UUID | None
    cinema_id: UUID
    showtime_ids: tuple[UUID, ...]
    mode: Literal["on", "by_load"]
    starts_at: datetime | None
    shoppers: int
    entry_seconds: int
    shopping_seconds: int
    places_per_address: int
    work_bits: int
    holds_per_second: int
    seed: bytes
    seed_digest: bytes
    shuffled_at: datetime | None
    admitted_to: int
    numbered: int
    waiting: int
    shopping: int
    admissions_per_s: float
    paced_at: datetime | None


class KeptPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place as it was at a look."""

    id: UUID
    room_id: UUID
    customer_id: UUID | None
    device_digest: bytes | None
    number: int | None
    state: PlaceStatus
    ended_by: EndedBy | None
    valid_until: datetime | None


class Inside(NamedTuple):
    """Somebody who may hold seats, and until when."""

    room_id: UUID
    customer_id: UUID
    valid_until: datetime


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What a round has done."""

    room: Room
    admitted: int
    ended: Sequence[EndedBy]


class RoomOf(msgspec.Struct, frozen=True, kw_only=True):
    """Where a showtime is, or those of a film, and when their sale begins."""

    cinema_id: UUID
    sales_opens_at: datetime | None


class NotJoined(msgspec.Struct, frozen=True):
    """Why there is no place: the room is closed, it is full, or the address has its share."""

    why: Literal["closed", "full", "share"]


class RoomsRepository:
    """Reads and writes rooms and places."""

    def __init__(self, pool: Pool, cipher: Cipher) -> None:
        self._pool = pool
        self._cipher = cipher

    # --- rooms

    async def showtime(self, showtime_id: UUID) -> RoomOf:
        """Where a showtime is. Refuses NOT_FOUND, RETRY."""
        async with connection(self._pool) as reading:
            row = found(await reading.fetchrow(_SHOWTIME, showtime_id))
        return RoomOf(**dict(row))

    async def rooms(self) -> list[Room]:
        """All rooms that are not closed. Refuses RETRY. Raises `CannotOpen`."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OPEN_ROOMS)
        return [self._room(row) for row in rows]

    async def film(self, cinema_id: UUID, movie_id: UUID, now: datetime) -> RoomOf:
        """The showtimes of a film that a cinema still has. Refuses NOT_FOUND, RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_FILM, cinema_id, movie_id, now)
        return RoomOf(**dict(found(row, "This cinema has no showtime of this film to come.")))

    async def put(
        self,
        room_id: UUID,
        showtime_id: UUID | None,
        movie_id: UUID | None,
        cinema_id: UUID,
        request: RoomInput,
        starts_at: datetime | None,
        seed: bytes,
        seed_digest: bytes,
        now: datetime,
    ) -> Room:
        """Open a room, or change the one that is there. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(
                _PUT if movie_id is None else _PUT_FILM,
                room_id,
                showtime_id,
                cinema_id,
                request.mode,
                starts_at,
                request.shoppers,
                request.entry_seconds,
                request.shopping_seconds,
                request.places_per_address,
                request.work_bits,
                request.holds_per_second,
                self._cipher.seal(seed, place=_seed_place(room_id)),
                seed_digest,
                now,
                movie_id,
            )
        return self._room(found(row))

    async def close(self, showtime_id: UUID, now: datetime) -> UUID | None:
        """Close a showtime's room; its id, if there is one. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            room_id: UUID | None = await writing.fetchval(_CLOSE, showtime_id, now)
        return room_id

    async def close_film(self, cinema_id: UUID, movie_id: UUID, now: datetime) -> UUID | None:
        """Close a film's room; its id, if there is one. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            room_id: UUID | None = await writing.fetchval(_CLOSE_FILM, cinema_id, movie_id, now)
        return room_id

    async def open_by_load(self, room_id: UUID, now: datetime) -> None:
        """Open a room that waited for load. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            await writing.execute(_OPEN_BY_LOAD, room_id, now)

    async def arm_again(
        self, room_id: UUID, next_id: UUID, seed: bytes, digest: bytes, now: datetime, quiet_s: int
    ) -> bool:
        """Replace a room that load has opened, and that is empty, by one that waits for load.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            since = now - timedelta(seconds=quiet_s)
            if not await writing.fetchval(_CLOSE_EMPTY, room_id, now, since):
                return False
            sealed = self._cipher.seal(seed, place=_seed_place(next_id))
            await writing.execute(_ARM_AGAIN, room_id, next_id, sealed, digest, now)
        return True

    async def close_past(self, now: datetime) -> None:
        """Close rooms of showtimes that are over or cancelled. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            await writing.execute(_CLOSE_PAST, now)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete rooms that closed long ago, with their places. Refuses RETRY."""
        async with transaction(self._pool) as writing:
            # A room may have very many places.
            done = await writing.execute(_FORGET, now - KEPT, min(limit, 1))
        return int(done.split()[-1])

    # --- places

    async def join(
        self,
        room_id: UUID,
        place_id: UUID,
        customers: Sequence[UUID],
        device: bytes | None,
        address: bytes,
        now: datetime,
    ) -> KeptPlace | NotJoined:
        """A new place for the first of `customers`, or the one that they have in this room.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(_JOIN, room_id, customers, device, place_id, address, now)
            if row is None:
                # The same caller at the same time, or one of the bounds.
                row = await writing.fetchrow(_MINE, room_id, customers, device)
            if row is None:
                why = await writing.fetchrow(_WHY_NOT, room_id)
                if why is None or why["is_closed"]:
                    return NotJoined("closed")
                return NotJoined("full" if why["is_full"] else "share")
        return KeptPlace(**dict(row))

    async def place(self, place_id: UUID) -> KeptPlace | None:
        """One place. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, place_id)
        return None if row is None else KeptPlace(**dict(row))

    async def enter(
        self,
        place_id: UUID,
        room: Room,
        customers: Sequence[UUID],
        device: bytes | None,
        now: datetime,
    ) -> KeptPlace | None:
        """Let the first of `customers` in with an admitted place, once; None if it is not theirs.

        Also None if it was not admitted, or if they have another place. Refuses RETRY,
        OUTCOME_UNKNOWN.
        """
        until = now + timedelta(seconds=room.shopping_seconds)
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(_ENTER, place_id, room.id, customers, device, now, until)
        return None if row is None else KeptPlace(**dict(row))

    async def enter_anew(
        self, place_id: UUID, room: Room, guest: UUID, device: bytes, now: datetime
    ) -> KeptPlace | None:
        """Give a guest's place to another guest of the same device, for the time that is left.

        None if it is not such a place. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(
                _ENTER_ANEW, place_id, room.id, guest, device, now, room.showtime_ids
            )
        return None if row is None else KeptPlace(**dict(row))

    async def leave(self, room_id: UUID, customers: Sequence[UUID], now: datetime) -> UUID:
        """End the place of somebody. Refuses NOT_FOUND, RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            place_id: UUID | None = await writing.fetchval(_LEAVE, room_id, customers, now)
        return found(place_id, "You have no place in this waiting room.")

    async def inside(
        self, rooms: Sequence[UUID], customers: Sequence[UUID] | None = None
    ) -> list[Inside]:
        """Who may hold seats, all or those of `customers`. Refuses RETRY."""
        async with connection(self._pool) as reading:
            if customers is None:
                rows = await reading.fetch(_INSIDE, rooms)
            else:
                rows = await reading.fetch(_INSIDE_OF, rooms, customers)
        return [Inside(*row) for row in rows]

    async def order(self, room_id: UUID, after: int, limit: int) -> list[tuple[UUID, int]]:
        """The places that were shuffled, in their order. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return [(row[0], row[1]) for row in await reading.fetch(_ORDER, room_id, after, limit)]

    # --- rounds

    async def gather(self, room_id: UUID) -> None:
        """Count the places of a room that has not begun. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            await writing.execute(_COUNT_GATHERING, room_id)

    async def pace(
        self, room_id: UUID, showtimes: Sequence[UUID], free: int, held: int, now: datetime
    ) -> Round | None:
        """End what is over, order who came, and let some in; None if another node has just.

        Refuses RETRY, OUTCOME_UNKNOWN. Raises `CannotOpen`.
        """
        async with transaction(self._pool) as writing:
            before = now - timedelta(seconds=ROUND_S * 0.8)
            row = await writing.fetchrow(_TAKE, room_id, now, before)
            if row is None:
                return None
            return await self._round(writing, self._room(row), showtimes, free, held, now)

    async def _round(
        self,
        writing: PooledConnection,
        room: Room,
        showtimes: Sequence[UUID],
        free: int,
        held: int,
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
        counted = found(await writing.fetchrow(_COUNT, room.id))
        sight = Sight(
            free=free,
            held=held,
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
        return Round(room=self._room(found(row)), admitted=admitted, ended=ended)

    def _room(self, row: Record) -> Room:
        fields = dict(row)
        fields["showtime_ids"] = tuple(fields["showtime_ids"])
        fields["seed"] = self._cipher.open(fields["seed"], place=_seed_place(fields["id"]))
        return Room(**fields)


def _count(done: str) -> int:
    """The rows in a command's tag."""
    return int(done.rsplit(maxsplit=1)[-1])
