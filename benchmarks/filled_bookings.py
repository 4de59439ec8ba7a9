"""Bookings of a large chain, written by SQL as if they had been sold, as reports read them."""

from collections.abc import Callable

import asyncpg

BOOKINGS_EACH = 60
"""Bookings of each showtime, of two seats each."""

SHOWTIMES_AT_ONCE = 1000

BYTES_EACH = 2600
"""Disk that a booking takes with its seats, payment, transactions, exposures and their indexes, and
as much again of the write-ahead log while it is written."""

TILLS = ("Till 1", "Till 2")

_SHOWTIMES = "select count(*) from showtimes where status = 'scheduled'"

# A session for each till and day, closed on the next one; a day that is still to come has none.
_SESSIONS = """
insert into cash_sessions (id, cinema_id, business_date, till, currency, opening_minor, opened_at,
    opened_by, counted_minor, expected_minor, closed_at, closed_by)
select md5(cinema.id::text || day || till)::uuid, cinema.id, day, till, 'EUR', 20000,
    day + time '10:00', cinema.id, 90000 + extract(day from day)::int, 90000,
    day + interval '1 day', cinema.id
from cinemas cinema
cross join (select distinct local_date as day from showtimes where starts_at < now()) days
cross join unnest($1::text[]) till
"""

# One in ten was given back, half of its price, and one in ten was paid at a till. One in sixty had
# been shown a page of ten films the day before; every other of those had opened the film.
_BOOKINGS = """
with shown as (
    select * from (
        select *, row_number() over (order by id) as n from showtimes where status = 'scheduled'
    ) numbered where n between $1 and $2
), made as (
    select gen_random_uuid() as id, shown.id as showtime_id, movie_id, cinema_id, local_date, k,
        starts_at - k * interval '1 hour' as created_at, starts_at < now() as is_past,
        case when k % 10 = 0 then 'cancelled' else 'confirmed' end as status,
        case when k % 10 = 5 then 'counter' else 'stripe' end as method,
        case when k % 10 = 5 then 'cash' else 'stripe' end as account
    from shown cross join generate_series(1, $3::int) k
), sold as (
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        created_at, tax_minor)
    select id, id::text, showtime_id, id, id, status, 2500, 'EUR', created_at, 164 from made
    returning id
), seats as (
    insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor,
        type, tax_minor, live)
    select id, place, showtime_id, left(id::text, 13) || '-' || place, 'regular', 1250,
        case place when 0 then 'adult' else 'child' end, 82, status = 'confirmed'
    from made, generate_series(0, 1) place
), paid as (
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    select id, id, method, 'succeeded', 2500, 'EUR', created_at from made
), taken as (
    insert into cash_takings (payment_id, session_id, tender, taken_at)
    select id, md5(cinema_id::text || local_date || ($4::text[])[1 + k / 10 % 2])::uuid,
        case when k % 3 = 0 then 'terminal' else 'cash' end, created_at
    from made where method = 'counter' and is_past
), let_in as (
    insert into ticket_entries (booking_id, place, showtime_id, inside, entered_at, scanner_id,
        scanner)
    select id, 0, showtime_id, true, now(), id, 'Door' from made
    where status = 'confirmed' and is_past
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select line.kind, id, id, showtime_id, 'EUR', created_at, line.accounts, line.amounts
    from made cross join lateral (values
        ('sale', true, array['customer', 'deferred', 'tax'], array[2500, -2336, -164]::bigint[]),
        ('payment', true, array[account, 'customer'], array[2500, -2500]::bigint[]),
        ('cancellation', status = 'cancelled', array['deferred', 'customer'],
            array[1250, -1250]::bigint[]),
        ('refund', status = 'cancelled', array['customer', account], array[1250, -1250]::bigint[])
    ) line (kind, is_there, accounts, amounts)
    where line.is_there
), pages as (
    select gen_random_uuid() as id, made.id as user_id, place,
        get_byte(uuid_send(made.id), 15) % 2 = 0 as is_control,
        case place when 1 then movie_id else ('00000000-0000-7000-8000-'
            || lpad(to_hex(1 + get_byte(uuid_send(made.id), 14) + place), 12, '0'))::uuid end
            as movie_id,
        created_at - interval '1 day' as shown_at
    from made cross join generate_series(1, 10) place
    where k = 1 and is_past
), exposed as (
    insert into recommendation_exposures (id, user_id, movie_id, place, propensity, explored,
        reason, model_version, shown_at, experiment, arm, is_control)
    select id, user_id, movie_id, place, 1, false, 'showing_soon', 1, shown_at, 'ranking',
        case when is_control then 'popular' else 'full' end, is_control
    from pages
), opened as (
    insert into recommendation_events (id, user_id, movie_id, kind, exposure_id, at)
    select id, user_id, movie_id, 'click', id, shown_at + interval '1 minute'
    from pages where place = 1 and get_byte(uuid_send(id), 15) % 2 = 0
), funnels as (
    insert into showtime_funnels (showtime_id, holds, released, expired, checkouts, confirmed)
    select id, $3 * 3 / 2, $3 / 4, $3 / 8, $3 * 9 / 8, $3 from shown
    where ends_at < now() - interval '1 hour'
    on conflict (showtime_id) do update set holds = excluded.holds, released = excluded.released,
        expired = excluded.expired, checkouts = excluded.checkouts, confirmed = excluded.confirmed
), visits as (
    insert into showtime_visits (showtime_id, seat_maps, checkout_pages)
    select id, $3 * 4, $3 * 9 / 8 from shown
)
select count(*) from sold
"""


async def fill_bookings(dsn: str, bookings: int, say: Callable[[str], None]) -> int:
    """Sell so many bookings for the showtimes that are there; how many were written."""
    connection = await asyncpg.connect(dsn, command_timeout=3600)
    written = 0
    try:
        await connection.execute("set synchronous_commit = off")
        await connection.execute(_SESSIONS, list(TILLS))
        showtimes: int = await connection.fetchval(_SHOWTIMES)
        first = 1
        while first <= showtimes and written < bookings:
            last = first + SHOWTIMES_AT_ONCE - 1
            written += await connection.fetchval(
                *(_BOOKINGS, first, last, BOOKINGS_EACH, list(TILLS))
            )
            first = last + 1
            say(f"{written:,} of {bookings:,} bookings")
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()
    return written
