"""Tickets in Postgres: the seats of bookings, and what is kept beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.accounts.user_store import Act, note_act
from cinema.features.bookings.rules import PLACES_SOLD
from cinema.features.ledger.disputes import IS_DISPUTED
from cinema.features.showtimes.icalendar import CalendarShow
from cinema.features.tickets.rules import (
    GENERATION_LIMIT,
    GROUP,
    Known,
    bookings_of,
    place_of,
)
from cinema.features.tickets.shapes import Attendee
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

# The seat that a ticket is for now: rows of exchanged seats have the place of the sold one.
SEATS_NOW: Final = f"""(
    select distinct on (position % {PLACES_SOLD}) position % {PLACES_SOLD} as place, seat,
        category, type, live
    from booking_seats where booking_id = b.id
    order by position % {PLACES_SOLD}, position desc
)"""  # noqa: S608  (a number)
KNOWN: Final = f"""
select b.id as booking_id, b.created_at as booked_at, s.place, s.seat, s.category, s.type,
    (
        select one->>'proof' from price_books book
        cross join jsonb_array_elements(book.settings->'ticket_types') one
        where book.cinema_id = t.cinema_id and one->>'code' = s.type limit 1
    ) as proof,
    b.status as booking_status, s.live,
    (
        select count(*) from booking_seats n where n.booking_id = b.id and n.live
    )::int as seats_live,
    coalesce(own.generation, 1)::int as generation,
    coalesce(whole.generation, 1)::int as group_generation,
    own.blocked_at is not null or {IS_DISPUTED.format("b.id")} as blocked,
    t.id as showtime_id, t.cinema_id, t.screen_id, t.status = 'cancelled' as called_off,
    t.starts_at - make_interval(mins => c.ticket_early_minutes) as opens_at,
    t.ends_at + make_interval(mins => c.ticket_grace_minutes) as closes_at,
    m.age_rating, coalesce(e.inside, false) as inside, e.entered_at, e.left_at, e.scanner
from bookings b
cross join lateral {SEATS_NOW} s
join showtimes t on t.id = b.showtime_id
join cinemas c on c.id = t.cinema_id
join movies m on m.id = t.movie_id
left join ticket_states own on own.booking_id = b.id and own.place = s.place
left join ticket_states whole on whole.booking_id = b.id and whole.place = {GROUP}
left join ticket_entries e on e.booking_id = b.id and e.place = s.place"""  # noqa: S608
_VISIBLE: Final = """(
    $1::uuid is null or b.user_id = $1
    or exists (select from guests g where g.id = b.user_id and g.claimed_by = $1)
    or t.cinema_id = any($2)
)"""
# A booking that waits for its payment has no tickets yet, and one that was never paid has none.
_ISSUED: Final = "b.status in ('confirmed', 'cancelled', 'refunded')"
_BY_ID: Final = f"""{KNOWN}
where {_VISIBLE} and b.id between $3 and $4 and s.place = $5"""
_OF_BOOKING: Final = f"""{KNOWN}
where {_VISIBLE} and b.id = $3 and s.place > $4
order by s.place limit $5"""
_UPCOMING: Final = "(t.ends_at > $2 and b.status = 'confirmed')"
# First the bookings, a page for each owner by the index on owners, then their tickets.
_OF_USER: Final = f"""
with mine as (
    select one.id from (
        select $1::uuid as id union all select id from guests where claimed_by = $1
    ) owner
    cross join lateral (
        select b.id, b.created_at from bookings b join showtimes t on t.id = b.showtime_id
        where b.user_id = owner.id and {_ISSUED}
            and ($3::boolean is null or $3 = {_UPCOMING})
            and ($4::timestamptz is null or (b.created_at, b.id) <= ($4, $6))
        order by b.created_at desc, b.id desc limit $8
    ) one
    order by one.created_at desc, one.id desc limit $8
)
{KNOWN}
where b.id in (select id from mine)
    and ($5::uuid is null or b.id not between $5 and $6 or s.place > $7)
order by b.created_at desc, b.id desc, s.place limit $8"""  # noqa: S608
_OF_SHOWTIME: Final = f"""{KNOWN}
where t.id = $1 and b.status = 'confirmed' and s.live
order by b.id, s.place"""
_REISSUE: Final = f"""
insert into ticket_states as t (booking_id, place, generation)
select $1, one, 2 from unnest($2::int[]) one order by one
on conflict (booking_id, place) do update set generation = t.generation + 1
where t.generation < {GENERATION_LIMIT}
returning t.place"""  # noqa: S608
_BLOCK: Final = """
insert into ticket_states as t (booking_id, place, blocked_at, blocked_by, block_reason)
values ($1, $2, $3, $4, $5)
on conflict (booking_id, place) do update
set blocked_at = excluded.blocked_at, blocked_by = excluded.blocked_by,
    block_reason = excluded.block_reason
where t.blocked_at is null
returning true"""
_UNBLOCK: Final = """
update ticket_states set blocked_at = null, blocked_by = null, block_reason = null
where booking_id = $1 and place = $2 and blocked_at is not null
returning true"""
TOLD: Final = """
insert into outbox (showtime_id, seq, kind, payload)
select {showtime}::uuid, 0, {kind}, jsonb_build_object(
    'booking_id', {booking}::uuid, 'ticket_id', told.id, 'seat', told.seat, 'at', {at}::timestamptz
)
from {tickets}"""
"""Rows of the outbox about tickets, for SQL; without a seq, since no event led to them."""

_TELL: Final = TOLD.format(
    showtime="$1",
    kind="$2::text",
    booking="$3",
    at="$4",
    tickets="(select $5::uuid, $6::text) told (id, seat)",
)
_SHEET: Final = f"""
select b.code, b.status, t.id as showtime_id, t.starts_at, t.ends_at, t.format, t.language,
    t.version, t.status as showtime_status, t.cancel_reason, b.created_at, m.title as film,
    m.age_rating, c.name as cinema, c.address, c.city, c.time_zone, screen.name as screen,
    coalesce((select language from users u where u.id = b.user_id), '') as customer_language
from bookings b
join showtimes t on t.id = b.showtime_id
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
join screens screen on screen.id = t.screen_id
where {_VISIBLE} and b.id = $3"""  # noqa: S608
_SHOWTIME: Final = """
select t.id as showtime_id, t.cinema_id, t.screen_id, t.starts_at, t.ends_at,
    t.status = 'cancelled' as cancelled, m.title as film,
    t.starts_at - make_interval(mins => c.ticket_early_minutes) as opens_at,
    t.ends_at + make_interval(mins => c.ticket_grace_minutes) as closes_at
from showtimes t
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
where t.id = $1"""


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on tickets beside their seats."""

    code: str
    status: str
    showtime_id: UUID
    starts_at: datetime
    ends_at: datetime
    format: str
    language: str
    version: int
    showtime_status: str
    cancel_reason: str | None
    created_at: datetime
    film: str
    age_rating: str | None
    cinema: str
    address: str
    city: str
    time_zone: str
    screen: str
    customer_language: str


class DoorOf(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime, as scanners need it."""

    showtime_id: UUID
    cinema_id: UUID
    screen_id: UUID
    starts_at: datetime
    ends_at: datetime
    cancelled: bool
    film: str
    opens_at: datetime
    closes_at: datetime


class TicketsRepository:
    """Reads tickets, and writes what is kept of them beside their bookings."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def find(
        self, ticket: UUID, owner: UUID | None, cinema_ids: Sequence[UUID]
    ) -> Known | None:
        """A ticket that somebody may see: an owner (None for all), or staff of its cinema."""
        low, high = bookings_of(ticket)
        row = await self._reads.fetchrow(_BY_ID, owner, cinema_ids, low, high, place_of(ticket))
        return None if row is None else known_of(row)

    async def of_user(
        self,
        owner: UUID,
        *,
        upcoming: bool | None,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Known]:
        """Tickets of an owner, the latest booking first."""
        at, low, high, place = None, None, None, None
        if after is not None:
            at, ticket = after
            (low, high), place = bookings_of(ticket), place_of(ticket)
        rows = await self._reads.fetch(_OF_USER, owner, now, upcoming, at, low, high, place, limit)
        return [known_of(row) for row in rows]

    async def of_booking(
        self,
        booking_id: UUID,
        owner: UUID | None,
        cinema_ids: Sequence[UUID],
        *,
        after: int = GROUP,
        limit: int = PLACES_SOLD,
    ) -> list[Known]:
        """Tickets of a booking that somebody may see, in order of their places."""
        rows = await self._reads.fetch(_OF_BOOKING, owner, cinema_ids, booking_id, after, limit)
        return [known_of(row) for row in rows]

    async def of_showtime(self, showtime_id: UUID) -> list[Known]:
        """All tickets of a showtime that count, from the primary."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OF_SHOWTIME, showtime_id)
        return [known_of(row) for row in rows]

    async def door(self, showtime_id: UUID) -> DoorOf | None:
        """A showtime."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_SHOWTIME, showtime_id)
        return None if row is None else DoorOf(**row)

    async def sheet(
        self, booking_id: UUID, owner: UUID | None, cinema_ids: Sequence[UUID]
    ) -> Sheet | None:
        """What is printed on the tickets of a booking that somebody may see."""
        row = await self._reads.fetchrow(_SHEET, owner, cinema_ids, booking_id)
        return None if row is None else Sheet(**row)

    async def reissue(self, ticket: Known, act: Act) -> bool:
        """Make the codes of a ticket and of its booking useless; False if they cannot change."""
        places = [GROUP, ticket.place]
        async with transaction(self._pool) as running:
            done = await running.fetch(_REISSUE, ticket.booking_id, places)
            if not any(row["place"] == ticket.place for row in done):
                return False
            await tell(running, "ticket.reissued", ticket, act.at)
            await audited(running, "ticket_reissued", ticket.id, act)
            return True

    async def block(self, ticket: Known, reason: str, act: Act) -> None:
        """Let nobody in with a ticket from now on; one that is blocked stays so."""
        async with transaction(self._pool) as running:
            where = ticket.booking_id, ticket.place
            if await running.fetchval(_BLOCK, *where, act.at, act.by, reason):
                await tell(running, "ticket.blocked", ticket, act.at)
                await audited(running, "ticket_blocked", ticket.id, act, reason=reason)

    async def unblock(self, ticket: Known, act: Act) -> None:
        """Let a blocked ticket in again."""
        async with transaction(self._pool) as running:
            if await running.fetchval(_UNBLOCK, ticket.booking_id, ticket.place):
                await tell(running, "ticket.unblocked", ticket, act.at)
                await audited(running, "ticket_unblocked", ticket.id, act)


def calendar_of(sheet: Sheet, booking_id: UUID, note_on_it: str) -> CalendarShow:
    """A booking as an entry of its customer's calendar."""
    return CalendarShow(
        id=booking_id,
        starts_at=sheet.starts_at,
        ends_at=sheet.ends_at,
        created_at=sheet.created_at,
        status="cancelled" if sheet.status != "confirmed" else sheet.showtime_status,
        version=sheet.version,
        format=sheet.format,
        language=sheet.language,
        cancel_reason=sheet.cancel_reason,
        film=sheet.film,
        cinema=sheet.cinema,
        address=sheet.address,
        city=sheet.city,
        screen=sheet.screen,
        note=note_on_it,
        busy=True,
    )


def known_of(row: Record) -> Known:
    """A ticket from a row of `KNOWN`."""
    return Known(**{name: row[name] for name in Known.__struct_fields__})


def attendee_of(ticket: Known) -> Attendee | None:
    """Who is in, or was, with a ticket; None if nobody was."""
    if ticket.entered_at is None:
        return None
    return Attendee(
        ticket_id=ticket.id,
        seat=ticket.seat,
        type=ticket.type,
        inside=ticket.inside,
        entered_at=ticket.entered_at,
        left_at=ticket.left_at,
        scanner=ticket.scanner or "",
    )


async def tell(running: PooledConnection, kind: str, ticket: Known, at: datetime) -> None:
    """Have partners told of a ticket, if the transaction commits."""
    of_booking = (ticket.showtime_id, kind, ticket.booking_id)
    await running.execute(_TELL, *of_booking, at, ticket.id, ticket.seat)


async def audited(
    running: PooledConnection, action: str, target: UUID, act: Act, **after: object
) -> None:
    """Note what staff or an owner did with a ticket, in the transaction of it."""
    await note_act(running, act, action, target, after=after)
