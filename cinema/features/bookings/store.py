"""Reads bookings from Postgres; only the kernel's appends write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from cinema.domain.limits import IDEMPOTENCY_TTL_S
from cinema.domain.money import Money
from cinema.features.bookings.shapes import Booking, Payment
from cinema.features.seats.shapes import HeldSeat
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, connection

# A booking that was cancelled as a whole still shows its seats; a seat given back alone is hidden.
_SELECT: Final = """
select b.id, b.code, b.showtime_id, b.status, b.total_minor, b.currency,
    b.created_at, p.id as payment_id, p.method, p.status as payment_status,
    p.amount_minor, p.refunded_minor,
    (
        select json_agg(json_build_array(s.seat, s.category, s.price_minor) order by s.position)
        from booking_seats s
        where s.booking_id = b.id and not s.given_back
    ) as seats
from bookings b
join payments p on p.booking_id = b.id
"""
_BY_ID: Final = f"""{_SELECT}
where b.id = $1 and (
    $2::uuid is null or b.user_id = $2
    or exists (select from guests g where g.id = b.user_id and g.claimed_by = $2)
    or exists (select from showtimes t where t.id = b.showtime_id and t.cinema_id = any($3))
)"""  # noqa: S608  (columns named above)
# First a page for each owner, from the index on owners, then one page of all of these. Sorting all
# bookings of an owner would be slow for users with many.
_OF_USER: Final = f"""
with mine as (
    select one.id from (
        select $1::uuid as id union all select id from guests where claimed_by = $1
    ) owner
    cross join lateral (
        select b.id, b.created_at
        from bookings b join showtimes t on t.id = b.showtime_id
        where b.user_id = owner.id
            and ($2::text is null
                or ($2 = 'upcoming') = (t.ends_at > $3 and b.status in ('pending', 'confirmed')))
            and ($4::timestamptz is null or (b.created_at, b.id) < ($4, $5))
        order by b.created_at desc, b.id desc
        limit $6
    ) one
    order by one.created_at desc, one.id desc
    limit $6
)
{_SELECT}
where b.id in (select id from mine)
order by b.created_at desc, b.id desc"""  # noqa: S608  (columns named above)
_SALE: Final = """
select b.showtime_id, b.user_id, g.claimed_by, b.code, b.created_at, p.id as payment_id, p.method,
    p.amount_minor, b.currency, t.cinema_id
from bookings b
join payments p on p.booking_id = b.id
left join showtimes t on t.id = b.showtime_id
left join guests g on g.id = b.user_id
where b.id = $1"""
_CANCELLED_SHOWTIME: Final = """
select t.id, m.title as film, c.name as cinema, t.starts_at, t.cancelled_at,
    coalesce(t.cancel_reason, '') as reason
from showtimes t
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
where t.id = $1 and t.cancelled_at is not null"""
_TO_CANCEL: Final = """
select b.id, b.code, b.status in ('pending', 'confirmed') as is_live, b.total_minor, b.currency,
    coalesce(u.email, claimant.email, g.email) as email,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.language, claimant.language, o.language, '') as language
from bookings b
left join users u on u.id = b.user_id and u.deleted_at is null
left join guests g on g.id = b.user_id
left join users claimant on claimant.id = g.claimed_by and claimant.deleted_at is null
left join guest_orders o on o.booking_id = b.id
where b.showtime_id = $1 and b.id > $2
    and (b.status in ('pending', 'confirmed') or b.cancelled_at >= $3)
order by b.id limit $4"""
_CINEMA: Final = "select cinema_id from showtimes where id = $1"
_RESERVE_KEY: Final = """
insert into booking_keys as k (request_key, showtime_id, reserved_at) values ($1, $2, $3)
on conflict (request_key) do update
set showtime_id = excluded.showtime_id, reserved_at = excluded.reserved_at
where k.showtime_id = excluded.showtime_id
    or (k.reserved_at < $4 and not exists (
        select from bookings b where b.request_key = $1 and b.created_at >= $5
    ))
returning true"""
# Nodes that do this at the same time take different rows.
_FORGET_KEYS: Final = """
with gone as (
    delete from booking_keys where ctid = any(array(
        select ctid from booking_keys where reserved_at < $1 order by reserved_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

UNDER_WAY_S: Final = 900
"""Longer than any command can be under way: COMMAND_DEADLINE_MS, at most 60 s, bounds each of its
few steps."""

_SEATS: Final = msgspec.json.Decoder(list[tuple[str, str, int]])


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a booking that never changes, and the account that it belongs to.

    `claimed_by` is the account that has claimed the guest who made the booking.
    """

    showtime_id: UUID
    cinema_id: UUID | None
    user_id: UUID
    claimed_by: UUID | None
    code: str
    created_at: datetime
    payment_id: UUID
    method: str
    amount_minor: int
    currency: str


class CancelledShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that does not take place, as its customers know it."""

    id: UUID
    film: str
    cinema: str
    starts_at: datetime
    reason: str
    cancelled_at: datetime


class BookingToCancel(msgspec.Struct, frozen=True, kw_only=True):
    """A booking of a cancelled showtime; without an address nobody can be told of it."""

    id: UUID
    code: str
    is_live: bool
    total_minor: int
    currency: str
    email: str | None
    first_name: str
    language: str


class BookingsRepository:
    """Reads bookings."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def find(
        self, booking_id: UUID, user_id: UUID | None, cinema_ids: Iterable[UUID] = ()
    ) -> Booking | None:
        """A booking; if a user is given, only of that user, or at one of the cinemas.

        Bookings of guests belong to the account that has claimed the guest too.
        """
        row = await self._reads.fetchrow(_BY_ID, booking_id, user_id, list(cinema_ids))
        return None if row is None else _booking(row)

    async def list_of_user(
        self,
        user_id: UUID,
        *,
        when: Literal["upcoming", "past"] | None,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Booking]:
        """Bookings of a user and of the guests that the user has claimed, newest first.

        Upcoming bookings can still be attended: neither the showtime nor the booking has ended.
        """
        moment, last_id = after or (None, None)
        rows = await self._reads.fetch(_OF_USER, user_id, when, now, moment, last_id, limit)
        return [_booking(row) for row in rows]

    async def cancelled_showtime(self, showtime_id: UUID) -> CancelledShowtime | None:
        """A showtime that was cancelled."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_CANCELLED_SHOWTIME, showtime_id)
        return None if row is None else CancelledShowtime(**dict(row))

    async def to_cancel(
        self, showtime: CancelledShowtime, after: UUID, limit: int
    ) -> list[BookingToCancel]:
        """What was booked when a showtime was cancelled, live or not by now, in order of ids."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_TO_CANCEL, showtime.id, after, showtime.cancelled_at, limit)
        return [BookingToCancel(**dict(row)) for row in rows]

    async def cinema_of(self, showtime_id: UUID) -> UUID | None:
        """The cinema of a showtime, if there is one."""
        async with connection(self._pool) as reading:
            cinema_id: UUID | None = await reading.fetchval(_CINEMA, showtime_id)
        return cinema_id

    async def sale_of(self, booking_id: UUID) -> Sale | None:
        """The part of a booking that never changes, from the primary, because commands use it."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_SALE, booking_id)
        if row is None:
            return None
        return Sale(
            showtime_id=row["showtime_id"],
            cinema_id=row["cinema_id"],
            user_id=row["user_id"],
            claimed_by=row["claimed_by"],
            code=row["code"],
            created_at=row["created_at"],
            payment_id=row["payment_id"],
            method=row["method"],
            amount_minor=row["amount_minor"],
            currency=row["currency"],
        )

    async def reserve_key(self, request_key: bytes, showtime_id: UUID, now: datetime) -> bool:
        """Bind an idempotency key to a showtime; False if it is bound to another one.

        A key that led to no booking becomes free again once no command with it can be under way.
        """
        async with connection(self._pool) as writing:
            reserved = await writing.fetchval(
                _RESERVE_KEY,
                request_key,
                showtime_id,
                now,
                now - timedelta(seconds=UNDER_WAY_S),
                now - timedelta(seconds=IDEMPOTENCY_TTL_S),
            )
        return bool(reserved)

    async def forget_keys(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of expired keys; returns how many."""
        async with connection(self._pool) as writing:
            gone: int = await writing.fetchval(
                _FORGET_KEYS, now - timedelta(seconds=IDEMPOTENCY_TTL_S), limit
            )
        return gone


def _booking(row: Record) -> Booking:
    currency = row["currency"]
    refunded_minor = row["refunded_minor"]
    return Booking(
        id=row["id"],
        code=row["code"],
        showtime_id=row["showtime_id"],
        status=row["status"],
        seats=[
            HeldSeat(label, category, Money(price_minor, currency))
            for label, category, price_minor in _SEATS.decode(row["seats"] or "[]")
        ],
        total=Money(row["total_minor"], currency),
        created_at=row["created_at"],
        payment=Payment(
            row["payment_id"],
            row["method"],
            row["payment_status"],
            Money(row["amount_minor"], currency),
            Money(refunded_minor, currency) if refunded_minor else None,
        ),
    )
