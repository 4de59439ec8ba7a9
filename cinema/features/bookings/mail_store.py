"""What the mails about confirmed bookings say, in Postgres, and of which they were written.

Bookings are read from `public_events`, from a mark that one transaction at a time moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.ledger.methods import AT_COUNTER
from cinema.storage.database.transactions import Pool, PooledConnection, connection

CONFIRMED: Final = "booking.confirmed"

# Another node that writes mails just now has the row. Without a new event it is not even locked.
_MARK: Final = """
select mark.position from booking_mail_mark mark
where exists (select from public_events e where e.position > mark.position)
for update of mark skip locked"""
_FRESH: Final = """
select position, booking_id, type from public_events where position > $1
order by position limit $2"""
_MOVE: Final = "update booking_mail_mark set position = $1"

# Guests have a mail of their own. What staff sell at the counter is on their account, and printed.
_MAILS: Final = """
select b.id, b.code, b.total_minor, b.currency, u.email, u.first_name, u.language,
    m.title as film, c.name as cinema, concat_ws(', ', nullif(c.address, ''), c.city) as address,
    s.name as screen,
    to_char(t.starts_at at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as starts, t.ends_at,
    (
        select string_agg(seat.seat, ', ' order by seat.position) from booking_seats seat
        where seat.booking_id = b.id and seat.live
    ) as seats
from bookings b
join users u on u.id = b.user_id and u.deleted_at is null
join showtimes t on t.id = b.showtime_id
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
join screens s on s.id = t.screen_id
where b.id = any($1) and b.status = 'confirmed' and t.cancelled_at is null
    and (u.role = 'customer' or not exists (
        select from payments p where p.booking_id = b.id and p.method = any($2)
    ))
order by b.id"""
_IS_LIVE: Final = """
select exists (
    select from bookings b join showtimes t on t.id = b.showtime_id
    where b.id = $1 and b.status = 'confirmed' and t.cancelled_at is null
)"""


class Fresh(msgspec.Struct, frozen=True):
    """The bookings that were confirmed behind the mark, up to a position.

    If it `is_full` there may be more.
    """

    position: int
    booking_ids: list[UUID]
    is_full: bool


class BookingMail(msgspec.Struct, frozen=True, kw_only=True):
    """A booking as the mail about it tells; `starts` is on the cinema's clock."""

    id: UUID
    code: str
    total_minor: int
    currency: str
    email: str
    first_name: str
    language: str
    film: str
    cinema: str
    address: str
    screen: str
    starts: str
    ends_at: datetime
    seats: str


class BookingMailsRepository:
    """Reads what was booked, and keeps the mark."""

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
        confirmed = [row["booking_id"] for row in rows if row["type"] == CONFIRMED]
        return Fresh(rows[-1]["position"], confirmed, len(rows) == limit)

    async def mails(
        self, running: PooledConnection, booking_ids: Sequence[UUID]
    ) -> list[BookingMail]:
        """Those of these bookings of which somebody with an account has to be told."""
        rows = await running.fetch(_MAILS, list(booking_ids), list(AT_COUNTER))
        return [BookingMail(**dict(row)) for row in rows]

    async def move(self, running: PooledConnection, position: int) -> None:
        """Note that all mails up to a position are written, with the caller's transaction."""
        await running.execute(_MOVE, position)

    async def is_live(self, booking_id: UUID) -> bool:
        """Whether a booking can still be used. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_IS_LIVE, booking_id))
