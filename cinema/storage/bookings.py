"""Bookings as Postgres shows them; only the kernel's appends write them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

from cinema.domain.money import Money
from cinema.domain.reservations import Booking, HeldSeat, Payment
from cinema.storage.transactions import Pool, connection

# A whole cancellation keeps showing the seats that it had; a part given back before does not.
_SELECT: Final = """
select b.id::text, b.code, b.showtime_id::text, b.status, b.total_minor, b.currency,
    b.created_at, p.id::text as payment_id, p.method, p.status as payment_status,
    p.refunded_minor,
    (
        select json_agg(json_build_array(s.seat, s.category, s.price_minor) order by s.position)
        from booking_seats s
        where s.booking_id = b.id and (s.live or b.status = 'cancelled')
    ) as seats
from bookings b
join payments p on p.booking_id = b.id
"""
_BY_ID: Final = _SELECT + "where b.id = $1 and ($2::uuid is null or b.user_id = $2)"
_OF_USER: Final = (
    _SELECT
    + """
join showtimes t on t.id = b.showtime_id
where b.user_id = $1
    and ($2::text is null
        or ($2 = 'upcoming' and t.ends_at > $3) or ($2 = 'past' and t.ends_at <= $3))
    and ($4::timestamptz is null or (b.created_at, b.id) < ($4, $5::text::uuid))
order by b.created_at desc, b.id desc
limit $6"""
)
_PLACE: Final = "select showtime_id, user_id from bookings where id = $1"
_BY_KEY: Final = "select showtime_id from bookings where request_key = $1"

_SEATS: Final = msgspec.json.Decoder(list[tuple[str, str, int]])


class BookingsRepository:
    """Reads bookings."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, booking_id: bytes, user_id: bytes | None) -> Booking | None:
        """A booking, of one user only if given."""
        owner = None if user_id is None else UUID(user_id)
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, UUID(booking_id), owner)
        return None if row is None else _booking(row)

    async def list_of_user(
        self,
        user_id: bytes,
        *,
        when: Literal["upcoming", "past"] | None,
        now: datetime,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Booking]:
        """A user's bookings, newest first."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OF_USER, UUID(user_id), when, now, moment, last_id, limit)
        return [_booking(row) for row in rows]

    async def place_of(self, booking_id: bytes) -> tuple[bytes, bytes] | None:
        """Showtime and owner of a booking."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PLACE, UUID(booking_id))
        return None if row is None else (row[0].bytes, row[1].bytes)

    async def showtime_of_key(self, request_key: bytes) -> bytes | None:
        """The showtime booked under an idempotency key."""
        async with connection(self._pool) as reading:
            found = await reading.fetchval(_BY_KEY, request_key)
        return None if found is None else bytes(found.bytes)


def _booking(row: asyncpg.Record) -> Booking:
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
            Money(refunded_minor, currency) if refunded_minor else None,
        ),
    )
