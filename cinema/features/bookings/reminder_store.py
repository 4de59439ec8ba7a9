"""Who is to be reminded of a booking, in Postgres: before it begins, and before it is given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.bookings.mail_store import COUNTER_METHODS, MAILED, MailedBooking
from cinema.storage.database.transactions import Pool, PooledConnection, changing, connection

REMINDING: Final = 0x72_65_6D_69_6E_64
"""Names the right to write reminders, among the advisory locks of the database."""

_LOCK: Final = "select pg_try_advisory_xact_lock($1)"

# One that is moved to a later time is begun anew, if nobody was reminded so late.
_STARTING: Final = """
select t.id, t.starts_at,
    case when r.starts_at = t.starts_at then r.last_booking_id end as last_booking_id
from showtimes t left join showtime_reminders r on r.showtime_id = t.id
where t.starts_at > $1 and t.starts_at <= $2 and t.cancelled_at is null
    and (r.ended_at is null or r.ended_at < t.starts_at - $3::interval)
order by t.starts_at, t.id limit 1"""
_TO_REMIND: Final = f"""{MAILED}
    and b.showtime_id = $2 and b.status = 'confirmed' and b.created_at <= $3
    and ($4::uuid is null or b.id > $4)
order by b.id limit $5"""
_NOTE: Final = """
insert into showtime_reminders (showtime_id, starts_at, last_booking_id, ended_at)
values ($1, $2, $3, $4)
on conflict (showtime_id) do update set starts_at = excluded.starts_at,
    last_booking_id = excluded.last_booking_id, ended_at = excluded.ended_at"""
_UNPAID: Final = f"""{MAILED}
    and b.status = 'pending' and b.pay_until > $2 and b.pay_until <= $3 and b.created_at <= $4
    and not exists (select from messages told where told.dedupe_key = $5 || b.id::text)
order by b.pay_until, b.id limit $6"""
_IS_PENDING: Final = "select exists (select from bookings where id = $1 and status = 'pending')"
_STARTS: Final = """
select exists (
    select from bookings b join showtimes t on t.id = b.showtime_id
    where b.id = $1 and b.status = 'confirmed' and t.cancelled_at is null and t.starts_at = $2
)"""
# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from showtime_reminders where showtime_id = any(array(
        select showtime_id from showtime_reminders where starts_at < $1
        order by starts_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

KEPT: Final = timedelta(days=7)
"""How long it is known of a showtime that its customers were reminded: it may be moved meanwhile,
but not to the past."""


class Starting(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime whose customers are to be reminded, those behind a booking if one is named."""

    id: UUID
    starts_at: datetime
    last_booking_id: UUID | None


class RemindersRepository:
    """Reads of what somebody has to be reminded."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def is_ours(self, running: PooledConnection) -> bool:
        """Whether the caller's transaction may write reminders, until its end."""
        return bool(await running.fetchval(_LOCK, REMINDING))

    async def starting(
        self, running: PooledConnection, now: datetime, before: timedelta
    ) -> Starting | None:
        """The next showtime that starts within this time and has not had all its reminders."""
        row = await running.fetchrow(_STARTING, now, now + before, before)
        return None if row is None else Starting(**dict(row))

    async def to_remind(
        self, running: PooledConnection, showtime: Starting, booked_by: datetime, limit: int
    ) -> Sequence[MailedBooking]:
        """Its confirmed bookings of by then, in order of ids."""
        rows = await running.fetch(
            *(_TO_REMIND, COUNTER_METHODS, showtime.id, booked_by),
            *(showtime.last_booking_id, limit),
        )
        return [MailedBooking(**dict(row)) for row in rows]

    async def note(
        self,
        running: PooledConnection,
        showtime: Starting,
        last_booking_id: UUID | None,
        ended_at: datetime | None,
    ) -> None:
        """Note how far the reminders of a showtime are, with the caller's transaction."""
        await running.execute(_NOTE, showtime.id, showtime.starts_at, last_booking_id, ended_at)

    async def unpaid(
        self,
        running: PooledConnection,
        now: datetime,
        before: timedelta,
        *,
        key: str,
        limit: int,
    ) -> Sequence[MailedBooking]:
        """Bookings that are given up within this time, and are older than that.

        Those with a message whose key is `key` and their id are left out.
        """
        rows = await running.fetch(
            *(_UNPAID, COUNTER_METHODS, now, now + before, now - before, key, limit)
        )
        return [MailedBooking(**dict(row)) for row in rows]

    async def is_pending(self, booking_id: UUID) -> bool:
        """Whether a booking still waits for its payment. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_IS_PENDING, booking_id))

    async def starts(self, booking_id: UUID, starts_at: datetime) -> bool:
        """Whether a booking can be used, and its showtime starts then. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_STARTS, booking_id, starts_at))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of notes about showtimes that are over; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, limit)
        return gone
