"""What must always be true of money, whatever was asked for, and whatever happened to nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cinema.storage.database.pool import AnyConnection

FAULTS = """
with lines as (
    select booking_id,
        sum(amount) filter (where account = 'customer') as owed,
        sum(amount) filter (
            where account = 'customer' and kind in ('sale', 'seat_change', 'cancellation')
        ) as total,
        -sum(amount) filter (where account = 'customer' and kind = 'payment') as paid,
        sum(amount) filter (
            where account = 'customer' and kind in ('refund', 'refund_failed')) as refunded,
        -sum(amount) filter (where account = 'customer' and kind = 'cancellation') as due,
        bool_or(kind = 'sale') as was_sold
    from ledger_lines where booking_id is not null group by booking_id
), rows as (
    select booking_id, sum(amount_minor) filter (
            where status in ('succeeded', 'refunded', 'partially_refunded')) as paid,
        sum(refunded_minor) as refunded,
        count(*) filter (
            where status in ('succeeded', 'partially_refunded')
                and not for_change and not reserved) as kept
    from payments group by booking_id
), back as (
    select booking_id, sum(amount_minor) as asked,
        sum(amount_minor) filter (where status = 'succeeded') as settled
    from refunds group by booking_id
)
select b.id::text, b.status, b.total_minor, l.*, r.*, k.*
from bookings b left join lines l on l.booking_id = b.id left join rows r on r.booking_id = b.id
left join back k on k.booking_id = b.id
where coalesce(l.paid, 0) <> coalesce(r.paid, 0)
    or coalesce(r.refunded, 0) <> coalesce(k.asked, 0)
    or coalesce(l.refunded, 0) <> coalesce(k.settled, 0)
    or coalesce(k.asked, 0) > coalesce(l.paid, 0)
    or (b.status = 'confirmed' and (
        b.total_minor <> coalesce(l.total, 0)
        or coalesce(l.owed, 0) <> coalesce(k.settled, 0) - coalesce(k.asked, 0)
        or (b.total_minor > 0 and not coalesce(l.was_sold, false))
        or coalesce(r.kept, 0) > 1))"""
"""Bookings of which rows, refunds and the ledger do not say the same."""


TILL_FAULTS = """
with moved as (
    select t.tender, p.amount_minor from cash_takings t join payments p on p.id = t.payment_id
    where p.status in ('succeeded', 'partially_refunded', 'refunded')
    union all select tender, amount_minor from cash_takings where amount_minor is not null
    union all select tender, -amount_minor from cash_payouts
)
select tender, coalesce(sum(m.amount_minor), 0) as moved, (
    select coalesce(sum(amount), 0) from ledger_lines where account = tender
) as written
from (values ('cash'), ('terminal')) as tenders (tender) left join moved m using (tender)
group by tender
having coalesce(sum(m.amount_minor), 0) <> (
    select coalesce(sum(amount), 0) from ledger_lines where account = tender
) or (tender = 'cash' and sum(m.amount_minor) < 0)"""
"""Where tills and the ledger do not say the same, or more cash was handed out than there was."""

UNBALANCED = """
select currency, sum(amount) as sum from ledger_lines group by currency having sum(amount) <> 0"""
"""Currencies in which money came from nowhere, or went there."""


UNPAID = """
select b.id::text, b.status, b.total_minor, count(p.id) as paying
from bookings b left join payments p on p.booking_id = b.id
    and p.status in ('succeeded', 'partially_refunded') and p.amount_minor > p.refunded_minor
where b.status = 'confirmed' and b.total_minor > 0
group by b.id having count(p.id) = 0"""
"""Confirmed, and nobody has paid for them."""

PAID_TWICE = """
select s.showtime_id::text, s.seat, array_agg(s.booking_id::text) as bookings
from booking_seats s join bookings b on b.id = s.booking_id
where s.live and b.status = 'confirmed'
group by s.showtime_id, s.seat having count(*) > 1"""
"""Seats that were sold to two."""

AT_REST = """
select 'payment ' || p.status as what, p.id::text from payments p
where p.status in ('created', 'pending')
union all select 'booking', id::text from bookings where status = 'pending'
union all select 'refund', id::text from refunds where status = 'pending'
union all select kind, name from stripe_tasks where ended_at is null and kind not in ('day', 'look')
union all select 'document', booking_id::text from invoices_due
union all select 'invoice', b.id::text from bookings b
where b.status = 'confirmed' and b.total_minor > 0 and not exists (
    select from invoices i where i.booking_id = b.id and i.kind = 'invoice'
)
limit 20"""
"""What is under way: nothing is so for ever, and each confirmed booking gets its invoice."""

SALES = """
select b.id::text, b.status, b.total_minor, (
    select coalesce(sum(l.amount), 0)::bigint from ledger_lines l
    where l.booking_id = b.id and l.account = 'stripe'
) as stripe
from bookings b where b.id = any($1::uuid[])"""


async def at_rest(database: AnyConnection) -> list[str]:
    """What is not at rest."""
    return [f"{row['what']} {row['id']}" for row in await database.fetch(AT_REST)]


async def sales(database: AnyConnection, bookings: Sequence[str]) -> list[Any]:
    """Bookings with what they cost and what the ledger says that Stripe has of them."""
    return list(await database.fetch(SALES, bookings))


async def money_faults(database: AnyConnection) -> list[dict[str, Any]]:
    """What is wrong with the money: each statement sees all of it at one moment."""
    return [
        dict(row)
        for query in (FAULTS, TILL_FAULTS, UNBALANCED, UNPAID, PAID_TWICE)
        for row in await database.fetch(query)
    ]
