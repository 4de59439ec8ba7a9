"""Waiting rooms in Postgres: which there are, and when they open and close."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from cinema.features.refusals import found, lost_update
from cinema.features.waitingroom.shapes import RoomInput, RoomSettings
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    transaction,
)
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

SHOWTIMES_OF_FILM: Final = 200
"""Showtimes that a film's room is in front of, the next ones; each round reads their seats."""

_TO_COME: Final = """
    from showtimes s
    where s.cinema_id = room.cinema_id and s.movie_id = room.movie_id
        and s.ends_at > now() and s.status <> 'cancelled'"""
ROOM_COLUMNS: Final = f"""
room.id, room.showtime_id, room.movie_id, room.cinema_id, room.mode, room.starts_at, room.shoppers,
room.entry_seconds, room.shopping_seconds, room.places_per_address, room.work_bits,
room.holds_per_second, room.version, room.seed, room.seed_digest, room.shuffled_at,
room.admitted_to, room.numbered, room.waiting, room.shopping, room.admissions_per_s, room.paced_at,
case when room.movie_id is null then array[room.showtime_id] else array(
    select s.id {_TO_COME} order by s.starts_at, s.id limit {SHOWTIMES_OF_FILM}
) end as showtime_ids"""
_SHOWTIME: Final = "select cinema_id, sales_opens_at from showtimes where id = $1"
_FILM: Final = """
select cinema_id, min(sales_opens_at) as sales_opens_at from showtimes
where cinema_id = $1 and movie_id = $2 and ends_at > $3 and status <> 'cancelled'
group by cinema_id"""
# A room of a kind that only later versions know must not keep this one from the others.
_OPEN_ROOMS: Final = f"""
select {ROOM_COLUMNS} from waiting_rooms room
where room.closed_at is null and num_nonnulls(room.showtime_id, room.movie_id) = 1
    and room.mode in ('on', 'by_load')"""
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
    end,
    version = excluded.version
where $16::bigint[] is null or room.version = any($16)
returning {ROOM_COLUMNS}"""
_PUT_FILM: Final = _PUT.replace(
    "on conflict (showtime_id) where closed_at is null",
    "on conflict (cinema_id, movie_id) where closed_at is null and movie_id is not null",
)
_VERSION: Final = """
select version from waiting_rooms where showtime_id = $1 and closed_at is null for update"""
_SETTINGS: Final = """
select mode, starts_at, shoppers, entry_seconds, shopping_seconds, places_per_address, work_bits,
    holds_per_second, version
from waiting_rooms where showtime_id = $1 and closed_at is null"""
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
    places_per_address, work_bits, holds_per_second, seed, seed_digest, created_at, movie_id,
    version
)
select $2, showtime_id, cinema_id, mode, shoppers, entry_seconds, shopping_seconds,
    places_per_address, work_bits, holds_per_second, $3, $4, $5, movie_id, version
from waiting_rooms where id = $1"""


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

NO_ROOM: Final = 0
"""The version of the settings of a showtime that has no room."""

KEPT: Final = timedelta(days=30)
"""For so long places of a closed room are kept: somebody may ask how their turn came about."""


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
    version: int
    seed: bytes
    seed_digest: bytes
    shuffled_at: datetime | None
    admitted_to: int
    numbered: int
    waiting: int
    shopping: int
    admissions_per_s: float
    paced_at: datetime | None


class RoomOf(msgspec.Struct, frozen=True, kw_only=True):
    """Where a showtime is, or those of a film, and when their sale begins."""

    cinema_id: UUID
    sales_opens_at: datetime | None


class RoomsRepository:
    """Reads and writes rooms."""

    def __init__(self, pool: Pool, cipher: Cipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def showtime(self, showtime_id: UUID) -> RoomOf:
        """Where a showtime is. Refuses NOT_FOUND, RETRY."""
        async with connection(self._pool) as reading:
            row = found(await reading.fetchrow(_SHOWTIME, showtime_id))
        return RoomOf(**dict(row))

    async def rooms(self) -> list[Room]:
        """All rooms that are not closed. Refuses RETRY. Raises `CannotOpen`."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OPEN_ROOMS)
        return [room_of(row, self._cipher) for row in rows]

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
        seen: Collection[int] | None = None,
    ) -> Room:
        """Open a room, or change the one that is there.

        Refuses RETRY, OUTCOME_UNKNOWN, and PRECONDITION_FAILED unless its version is one of `seen`.
        """
        async with transaction(self._pool) as writing:
            if showtime_id is not None:
                await _check(writing, showtime_id, seen)
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
                None if seen is None else list(seen),
            )
            if row is None and showtime_id is not None:
                # Somebody else has opened one in this moment.
                raise lost_update(await writing.fetchval(_VERSION, showtime_id) or NO_ROOM)
        return room_of(found(row), self._cipher)

    async def settings(self, showtime_id: UUID) -> RoomSettings | None:
        """The settings of a showtime's room; None if there is none. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_SETTINGS, showtime_id)
        return None if row is None else RoomSettings(showtime_id=showtime_id, **dict(row))

    async def close(
        self, showtime_id: UUID, now: datetime, seen: Collection[int] | None = None
    ) -> UUID | None:
        """Close a showtime's room; its id, if there is one.

        Refuses RETRY, OUTCOME_UNKNOWN, and PRECONDITION_FAILED unless its version is one of `seen`.
        """
        async with transaction(self._pool) as writing:
            await _check(writing, showtime_id, seen)
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


async def _check(
    writing: PooledConnection, showtime_id: UUID, seen: Collection[int] | None
) -> None:
    """Refuse to change settings that their sender has not seen; without a room, version 0."""
    if seen is None:
        return
    version = await writing.fetchval(_VERSION, showtime_id) or NO_ROOM
    if version not in seen:
        raise lost_update(version)


def room_of(row: Record, cipher: Cipher) -> Room:
    """The room of a row with `ROOM_COLUMNS`. Raises `CannotOpen`."""
    fields = dict(row)
    fields["showtime_ids"] = tuple(fields["showtime_ids"])
    fields["seed"] = cipher.open(fields["seed"], place=_seed_place(fields["id"]))
    return Room(**fields)
