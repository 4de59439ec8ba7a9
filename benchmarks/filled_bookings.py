"""Bookings of a large chain, written by SQL as if they had been sold, as reports read them."""

from collections.abc import Callable

import asyncpg

BOOKINGS_EACH = 60
"""Bookings of each showtime, of two seats each."""

SHOWTIMES_AT_ONCE = 1000

BYTES_EACH = 2500
"""Disk that a booking takes with its seats, payment, transactions and their indexes, and as much
again of the write-ahead log while it is written."""

_SHOWTIMES = "select count(*) from showtimes where status = 'scheduled'"

# One in ten was given back, half of its price.
_BOOKINGS = """
with shown as (
    select id, starts_at from (
        select id, starts_at, row_number() over (order by id) as n from showtimes
        where status = 'scheduled'
    ) numbered where n between $1 and $2
), sold as (
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        created_at, tax_minor)
    select id, id::text, showtime_id, id, id,
        case when k % 10 = 0 then 'cancelled' else 'confirmed' end, 2500, 'EUR',
        starts_at - k * interval '1 hour', 164
    from (
        select gen_random_uuid() as id, shown.id as showtime_id, starts_at, k
        from shown cross join generate_series(1, $3) k
    ) made
    returning id, showtime_id, status, created_at
), seats as (
    insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor,
        type, tax_minor, live)
    select id, place, showtime_id, left(id::text, 13) || '-' || place, 'regular', 1250,
        case place when 0 then 'adult' else 'child' end, 82, status = 'confirmed'
    from sold, generate_series(0, 1) place
), paid as (
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    select id, id, 'stripe', 'succeeded', 2500, 'EUR', created_at from sold
), let_in as (
    insert into ticket_entries (booking_id, place, showtime_id, inside, entered_at, scanner_id,
        scanner)
    select sold.id, 0, showtime_id, true, now(), sold.id, 'Door'
    from sold join shown on shown.id = sold.showtime_id
    where status = 'confirmed' and shown.starts_at < now()
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select line.kind, sold.id, sold.id, showtime_id, 'EUR', created_at, line.accounts, line.amounts
    from sold cross join lateral (values
        ('sale', true, array['customer', 'deferred', 'tax'], array[2500, -2336, -164]::bigint[]),
        ('payment', true, array['stripe', 'customer'], array[2500, -2500]::bigint[]),
        ('cancellation', status = 'cancelled', array['deferred', 'customer'],
            array[1250, -1250]::bigint[]),
        ('refund', status = 'cancelled', array['customer', 'stripe'], array[1250, -1250]::bigint[])
    ) line (kind, is_there, accounts, amounts)
    where line.is_there
)
select count(*) from sold
"""


async def fill_bookings(dsn: str, bookings: int, say: Callable[[str], None]) -> int:
    """Sell so many bookings for the showtimes that are there; how many were written."""
    connection = await asyncpg.connect(dsn, command_timeout=3600)
    written = 0
    try:
        await connection.execute("set synchronous_commit = off")
        showtimes: int = await connection.fetchval(_SHOWTIMES)
        first = 1
        while first <= showtimes and written < bookings:
            last = first + SHOWTIMES_AT_ONCE - 1
            written += await connection.fetchval(_BOOKINGS, first, last, BOOKINGS_EACH)
            first = last + 1
            say(f"{written:,} of {bookings:,} bookings")
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()
    return written
