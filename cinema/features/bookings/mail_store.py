"""What the mails about bookings say, in Postgres, and up to which event they were written.

What happened is read from `public_events`, from a mark that one transaction at a time moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, cast
from uuid import UUID

import msgspec

from cinema.features.ledger.methods import AT_COUNTER
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection

TOLD: Final = ("booking.confirmed", "booking.changed", "booking.cancelled", "refund.succeeded")
"""The types of events that lead to mails."""

# Another node that writes mails just now has the row. Without a new event it is not even locked.
_MARK: Final = """
select mark.position from booking_mail_mark mark
where exists (select from public_events e where e.position > mark.position)
for update of mark skip locked"""
_FRESH: Final = """
select position, id, booking_id, type, data::text from public_events where position > $1
order by position limit $2"""
_MOVE: Final = "update booking_mail_mark set position = $1"

# Not by `exists`: see `FRESH` of webhooks.
DUE: Final = """coalesce(
    (select max(position) from public_events) > (select position from booking_mail_mark), false
)"""
"""Whether something has happened behind the mark."""

# What is on the account of staff who sold it at the counter was printed there.
MAILED: Final = """
select b.id, b.code, b.status, b.total_minor, b.currency, b.pay_until,
    coalesce(u.email, claimant.email, g.email) as email,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.language, claimant.language, o.language, '') as language,
    u.id is not null as has_account, coalesce(u.id, claimant.id) is not null as has_page,
    m.title as film, c.name as cinema, c.time_zone,
    concat_ws(', ', nullif(c.address, ''), c.city) as address, s.name as screen,
    to_char(t.starts_at at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as starts,
    to_char(b.pay_until at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as until,
    t.starts_at, t.ends_at, t.cancelled_at is not null as is_called_off,
    (
        select string_agg(seat.seat, ', ' order by seat.position) from booking_seats seat
        where seat.booking_id = b.id and seat.live
    ) as seats
from bookings b
left join users u on u.id = b.user_id and u.deleted_at is null
left join guests g on g.id = b.user_id
left join users claimant on claimant.id = g.claimed_by and claimant.deleted_at is null
left join guest_orders o on o.booking_id = b.id
join showtimes t on t.id = b.showtime_id
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
join screens s on s.id = t.screen_id
where coalesce(u.email, claimant.email, g.email) is not null
    and (coalesce(u.role, 'customer') = 'customer' or not exists (
        select from payments p where p.booking_id = b.id and p.method = any($1)
    ))"""
"""Bookings of which there may be a mail; $1 is `COUNTER_METHODS`, and a caller adds which."""

COUNTER_METHODS: Final = sorted(AT_COUNTER)

_BOOKINGS: Final = MAILED + " and b.id = any($2)"
_EXCHANGED: Final = """
select from_booking_id from exchanges
where from_booking_id = any($1) and state in ('committed', 'done')"""
# What came too late has a mail of its own, and cash is handed over.
_REFUNDS: Final = """
select r.id from refunds r join payments p on p.id = r.payment_id
where r.id = any($1) and r.kind <> 'unwanted' and not p.method = any($2)"""
_IS_LIVE: Final = """
select exists (
    select from bookings b join showtimes t on t.id = b.showtime_id
    where b.id = $1 and b.status = 'confirmed' and t.cancelled_at is null
)"""

EventType = Literal["booking.confirmed", "booking.changed", "booking.cancelled", "refund.succeeded"]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """An event of which somebody may have to be told; `data` is what partners are told."""

    id: UUID
    type: EventType
    booking_id: UUID
    data: dict[str, Any]


class Fresh(msgspec.Struct, frozen=True):
    """What happened behind the mark, up to a position. If it `is_full` there may be more."""

    position: int
    happenings: list[Happening]
    is_full: bool


class MailedBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A booking as mails tell of it; texts of times are on the cinema's clock.

    `has_account`: it was booked with an account. `has_page`: an account can see it, also one that
    has claimed the guest who booked it.
    """

    id: UUID
    code: str
    status: str
    total_minor: int
    currency: str
    pay_until: datetime | None
    email: str
    first_name: str
    language: str
    has_account: bool
    has_page: bool
    film: str
    cinema: str
    time_zone: str
    address: str
    screen: str
    starts: str
    until: str | None
    starts_at: datetime
    ends_at: datetime
    is_called_off: bool
    seats: str | None


class BookingMailsRepository:
    """Reads what happened to bookings, and keeps the mark."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fresh(self, running: PooledConnection, limit: int) -> Fresh | None:
        """What is behind the mark, of a bounded number of events; None if nothing is.

        The mark is the caller's until the end of the transaction; None too if it is another's.
        """
        mark = await running.fetchval(_MARK)
        if mark is None:
            return None
        rows = await running.fetch(_FRESH, mark, limit)
        if not rows:
            return None
        happened = [_happening(row) for row in rows if row["type"] in TOLD]
        return Fresh(rows[-1]["position"], happened, len(rows) == limit)

    async def bookings(
        self, running: PooledConnection, booking_ids: Sequence[UUID]
    ) -> dict[UUID, MailedBooking]:
        """Those of these bookings of which somebody can be told."""
        rows = await running.fetch(_BOOKINGS, COUNTER_METHODS, list(booking_ids))
        return {row["id"]: MailedBooking(**dict(row)) for row in rows}

    async def exchanged(
        self, running: PooledConnection, booking_ids: Sequence[UUID]
    ) -> frozenset[UUID]:
        """Those of these bookings that were given for another one: of that one is told."""
        rows = await running.fetch(_EXCHANGED, list(booking_ids))
        return frozenset(row["from_booking_id"] for row in rows)

    async def sent_refunds(
        self, running: PooledConnection, refund_ids: Sequence[UUID]
    ) -> frozenset[UUID]:
        """Those of these refunds that went to somebody who has not been told of them."""
        rows = await running.fetch(_REFUNDS, list(refund_ids), COUNTER_METHODS)
        return frozenset(row["id"] for row in rows)

    async def move(self, running: PooledConnection, position: int) -> None:
        """Note that all mails up to a position are written, with the caller's transaction."""
        await running.execute(_MOVE, position)

    async def is_live(self, booking_id: UUID) -> bool:
        """Whether a booking can still be used. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_IS_LIVE, booking_id))


def _happening(row: Record) -> Happening:
    return Happening(
        id=UUID(bytes=row["id"].bytes),
        type=cast(EventType, row["type"]),
        booking_id=UUID(bytes=row["booking_id"].bytes),
        data=msgspec.json.decode(row["data"]),
    )
