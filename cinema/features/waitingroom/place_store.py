"""Places in waiting rooms, in Postgres, which alone knows who has which.

Joining does not wait for a round of the room: what refers to a row does not need it to stand still,
as long as its key does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from cinema.features.refusals import found
from cinema.features.waitingroom.shapes import PLACES_MAX, EndedBy, PlaceStatus
from cinema.features.waitingroom.store import Room
from cinema.storage.database.transactions import Pool, connection, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

HANDED_ON_MAX: Final = 3
"""So often guests who load the page anew keep the place of their device."""

_PLACE: Final = (
    "id, room_id, customer_id, device_digest, number, state, ended_by, valid_until, handed_on"
)

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
update waiting_places place set customer_id = $3, handed_on = place.handed_on + 1
where place.id = $1 and place.room_id = $2 and place.state = 'inside' and place.valid_until > $5
    and place.device_digest = $4
    and place.customer_id = $7 and place.handed_on < {HANDED_ON_MAX}
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
_ORDER: Final = """
select place.id, place.number from waiting_places place
join waiting_rooms room on room.id = place.room_id
where place.room_id = $1 and place.number > $2 and place.number <= room.shuffled
order by place.number limit $3"""


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
    handed_on: int


class Inside(NamedTuple):
    """Somebody who may hold seats, and until when."""

    room_id: UUID
    customer_id: UUID
    valid_until: datetime


class NotJoined(msgspec.Struct, frozen=True):
    """Why there is no place: the room is closed, it is full, or the address has its share."""

    why: Literal["closed", "full", "share"]


class PlacesRepository:
    """Gives places in rooms, and lets people in with them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

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
        self, place_id: UUID, room: Room, guest: UUID, device: bytes, before: UUID, now: datetime
    ) -> KeptPlace | None:
        """Give the place of the guest `before` to another one of the same device, for its time.

        None if it is not such a place. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(
                *(_ENTER_ANEW, place_id, room.id, guest, device, now, room.showtime_ids),
                before,
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
