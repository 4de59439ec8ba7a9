"""Loyalty points in Postgres.

As with gift cards, a balance is changed in one statement with the entry that says why. Points that
have expired are taken by a statement of its own before any others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.money import Money
from cinema.features.ledger.methods import RefundOrder
from cinema.features.ledger.parts import CAN_PUT_ASIDE, HOW_IT_STANDS, PUT_ASIDE, WANTED, decided
from cinema.features.loyalty.rules import Earning, months_later
from cinema.features.loyalty.shapes import Expiring, PointsBalance, PointsEntry
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, changing, connection

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

# Sums of what was given, and what of that has expired at $2 or before.
_GIVEN_UNTIL: Final = """
    select coalesce(sum(e.amount_minor), 0)::bigint from loyalty_entries e
    where e.customer_id = l.customer_id and e.currency = l.currency and e.expires_at <= $2"""
_BALANCES: Final = f"""
select l.currency, l.balance_minor - greatest(0, gone.until_now - l.consumed_minor) as points,
    next.at as expires_at,
    next.until_then - greatest(l.consumed_minor, gone.until_now) as expiring
from loyalty_accounts l
cross join lateral ({_GIVEN_UNTIL}) gone (until_now)
left join lateral (
    select at, until_then from (
        select e.expires_at as at,
            sum(e.amount_minor) over (order by e.expires_at)::bigint as until_then
        from loyalty_entries e
        where e.customer_id = l.customer_id and e.currency = l.currency
            and e.expires_at is not null
    ) ends
    where at > $2 and until_then > greatest(l.consumed_minor, gone.until_now)
    order by at limit 1
) next on true
where l.customer_id = $1
order by l.currency"""
_HISTORY: Final = """
select source, kind, amount_minor, missing_minor, currency, booking_id, expires_at, at
from loyalty_entries
where customer_id = $1 and ($2::timestamptz is null or (at, source) < ($2, $3))
order by at desc, source desc limit $4"""

# One account ($1 and $3), or all that are to be looked at. One that gets points in this moment may
# be looked at too late, but not later than in 30 days; nobody can use these points in between.
_EXPIRE: Final = f"""
with looked as (
    update loyalty_accounts l
    set last_minor = greatest(0, at.gone_minor - l.consumed_minor),
        balance_minor = l.balance_minor - greatest(0, at.gone_minor - l.consumed_minor),
        consumed_minor = greatest(l.consumed_minor, at.gone_minor),
        look_at = at.next_at
    from (
        select l.customer_id, l.currency, ({_GIVEN_UNTIL}) as gone_minor,
            least($2 + interval '30 days', (
                select min(e.expires_at) from loyalty_entries e
                where e.customer_id = l.customer_id and e.currency = l.currency
                    and e.expires_at > $2
            )) as next_at
        from loyalty_accounts l
        where {{which}}
    ) at
    where l.customer_id = at.customer_id and l.currency = at.currency
    returning l.customer_id, l.currency, l.last_minor as amount_minor
), written as (
    insert into loyalty_entries (customer_id, currency, kind, source, amount_minor, at)
    select customer_id, currency, 'expired', gen_random_uuid(), -amount_minor, $2
    from looked where amount_minor > 0
    returning source, currency, amount_minor
), told as (
    insert into ledger (kind, source, currency, at, accounts, amounts)
    select 'points_expired', source, currency, $2, array['revenue', 'points'],
        array[amount_minor, -amount_minor]
    from written
)
select count(*) from looked"""
_EXPIRE_ONE: Final = _EXPIRE.format(which="l.customer_id = $1 and l.currency = $3")
_EXPIRE_DUE: Final = _EXPIRE.format(
    which="""(l.customer_id, l.currency) in (
            select due.customer_id, due.currency from loyalty_accounts due
            where due.look_at <= $2 and due.balance_minor > 0
            order by due.look_at limit $1 for update skip locked
        ) and $3::text is null"""
)

_OF_ATTEMPT: Final = """
select coalesce(g.claimed_by, b.user_id) as customer_id, p.currency
from payments p join bookings b on b.id = p.booking_id left join guests g on g.id = b.user_id
where p.id = $1"""
_RESERVE: Final = f"""
with attempt as (
    select p.id, p.booking_id, p.currency from payments p
    where {CAN_PUT_ASIDE} and p.method = 'points'
    for update
), wanted as ({WANTED}
), taken as (
    update loyalty_accounts l
    set last_minor = least(l.balance_minor, w.amount_minor),
        balance_minor = l.balance_minor - least(l.balance_minor, w.amount_minor),
        consumed_minor = l.consumed_minor + least(l.balance_minor, w.amount_minor)
    from wanted w
    where l.customer_id = $3 and l.currency = w.currency and l.balance_minor > 0
        and w.amount_minor > 0
    returning w.id as payment_id, w.booking_id, w.ids, l.currency, l.last_minor as amount_minor
), used as (
    insert into loyalty_uses (payment_id, customer_id, currency, amount_minor)
    select payment_id, $3, currency, amount_minor from taken
), written as (
    insert into loyalty_entries (
        customer_id, currency, kind, source, booking_id, amount_minor, at
    )
    select $3, currency, 'reserved', payment_id, booking_id, -amount_minor, $2 from taken
){PUT_ASIDE}"""
_STANDING: Final = f"""
select {HOW_IT_STANDS},
    coalesce((
        select l.balance_minor from loyalty_accounts l
        where l.customer_id = coalesce(g.claimed_by, b.user_id) and l.currency = p.currency
    ), 0) as balance_minor
from payments p
join bookings b on b.id = p.booking_id
left join guests g on g.id = b.user_id
where p.id = $1"""
_DECIDE: Final = f"""
with decided as ({decided("loyalty_uses")}
    returning u.payment_id, u.customer_id, u.currency, u.amount_minor, u.state, p.booking_id
), written as (
    insert into loyalty_entries (
        customer_id, currency, kind, source, booking_id, amount_minor, at
    )
    select customer_id, currency, 'returned', payment_id, booking_id, amount_minor, $1
    from decided where state = 'returned'
), locked as (
    select customer_id, currency from loyalty_accounts
    where (customer_id, currency) in (
        select customer_id, currency from decided where state = 'returned'
    )
    order by customer_id, currency for update
), credited as (
    update loyalty_accounts l
    set balance_minor = l.balance_minor + of_account.amount_minor,
        consumed_minor = l.consumed_minor - of_account.amount_minor,
        look_at = least(l.look_at, $1)
    from (
        select customer_id, currency, sum(amount_minor)::bigint as amount_minor from decided
        where state = 'returned' group by customer_id, currency
    ) of_account join locked using (customer_id, currency)
    where l.customer_id = of_account.customer_id and l.currency = of_account.currency
)
select count(*) from decided"""
_REFUND: Final = """
with refunded as (
    insert into loyalty_entries (
        customer_id, currency, kind, source, booking_id, amount_minor, expires_at, at
    )
    select customer_id, currency, 'refunded', $2, $3, $4, $6, $5
    from loyalty_uses where payment_id = $1
    on conflict (kind, source) do nothing
    returning customer_id, currency, amount_minor
)
update loyalty_accounts l
set balance_minor = l.balance_minor + r.amount_minor, look_at = least(l.look_at, $6)
from refunded r where l.customer_id = r.customer_id and l.currency = r.currency"""

_DUE: Final = """
select booking_id, max(id) as last_id, max(percent) as percent,
    max(valid_months) as valid_months
from loyalty_due group by booking_id order by min(id) limit $1"""
# Staff buy for others, and guests have no account.
_FACTS: Final = """
select u.id as customer_id, b.currency, e.percent, e.valid_months, e.earned_minor,
    e.customer_id as earner_id, coalesce((
        select sum(p.amount_minor - p.refunded_minor) from payments p
        where p.booking_id = b.id and p.method <> 'points'
            and p.status in ('succeeded', 'partially_refunded', 'refunded')
    ), 0)::bigint as paid_minor
from bookings b
left join guests g on g.id = b.user_id
left join users u on u.id = coalesce(g.claimed_by, b.user_id) and u.role = 'customer'
    and u.deleted_at is null
left join loyalty_earnings e on e.booking_id = b.id
where b.id = $1"""
# Only if what the booking had earned is what it was when the facts were read: somebody else may be
# at it. A balance does not go below 0, whatever was put aside meanwhile.
_CHANGE: Final = """
with moved as (
    insert into loyalty_earnings as e (
        booking_id, percent, valid_months, customer_id, currency, earned_minor
    )
    values ($1, $2, $3, $4, $5, $7::bigint + $8::bigint)
    on conflict (booking_id) do update set earned_minor = excluded.earned_minor
    where e.earned_minor = $7
    returning booking_id
), changed as (
    insert into loyalty_accounts as l (customer_id, currency, balance_minor, last_minor, look_at)
    select $4, $5, greatest($8, 0), greatest($8, 0), $9 from moved where $8 <> 0
    on conflict (customer_id, currency) do update
    set last_minor = greatest($8, -l.balance_minor),
        balance_minor = l.balance_minor + greatest($8, -l.balance_minor),
        consumed_minor = l.consumed_minor + greatest(0, least(-$8, l.balance_minor)),
        look_at = least(l.look_at, $9)
    returning last_minor
), written as (
    insert into loyalty_entries (customer_id, currency, kind, source, booking_id, amount_minor,
        missing_minor, expires_at, at)
    select $4, $5, case when $8 > 0 then 'earned' else 'taken_back' end, gen_random_uuid(), $1,
        last_minor, last_minor - $8, case when $8 > 0 then $9::timestamptz end, $10
    from changed
    returning kind, source, amount_minor
), told as (
    insert into ledger (kind, source, booking_id, currency, at, accounts, amounts)
    select 'points_' || kind, source, $1, $5, $10, array['revenue', 'points'],
        array[amount_minor, -amount_minor]
    from written where amount_minor <> 0
), done as (
    delete from loyalty_due where booking_id = $1 and id <= $6 and exists (select from moved)
)
select exists (select from moved)"""
_NOTHING_DUE: Final = "delete from loyalty_due where booking_id = $1 and id <= $2"

USABLE_AFTER_REFUND: Final = timedelta(days=180)
"""For so long points can be used that went back to their customer."""


class PointsStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with an attempt to pay with points."""

    is_reserved: bool
    pays_all: bool
    balance_minor: int


class DueBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A booking to look at, as far as `last_id`; the rate, if it was confirmed lately."""

    booking_id: UUID
    last_id: int
    percent: int | None
    valid_months: int | None


class PointsRepository:
    """Reads and writes points."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    # --- customers

    async def balances(self, customer_id: UUID, now: datetime) -> list[PointsBalance]:
        """What a customer has, by currency, from the primary."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_BALANCES, customer_id, now)
        return [
            PointsBalance(
                points=row["points"],
                worth=Money(row["points"], row["currency"]),
                expiring=None
                if row["expires_at"] is None
                else Expiring(row["expiring"], row["expires_at"]),
            )
            for row in rows
        ]

    async def history(
        self, customer_id: UUID, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[PointsEntry]:
        """What has changed the balances of a customer, the newest first."""
        moment, last_id = after or (None, None)
        rows = await self._reads.fetch(_HISTORY, customer_id, moment, last_id, limit)
        return [
            PointsEntry(
                id=row["source"],
                kind=row["kind"],
                points=row["amount_minor"],
                missing=row["missing_minor"],
                currency=row["currency"],
                booking_id=row["booking_id"],
                expires_at=row["expires_at"],
                at=row["at"],
            )
            for row in rows
        ]

    async def expire(self, now: datetime, limit: int) -> int:
        """Take what has expired; how many accounts were looked at."""
        async with changing(self._pool) as writing:
            looked: int = await writing.fetchval(_EXPIRE_DUE, limit, now, None)
        return looked

    # --- bookings

    async def reserve(self, payment_id: UUID, now: datetime) -> PointsStanding | None:
        """Put points aside for an attempt: all that it wants, or all there are. May be repeated."""
        async with changing(self._pool) as writing:
            row = await writing.fetchrow(_OF_ATTEMPT, payment_id)
            if row is not None:
                await writing.fetchval(_EXPIRE_ONE, row["customer_id"], now, row["currency"])
                await writing.execute(_RESERVE, payment_id, now, row["customer_id"])
        return await self.standing(payment_id)

    async def standing(self, payment_id: UUID) -> PointsStanding | None:
        """How it stands with an attempt."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_STANDING, payment_id)
        return None if row is None else PointsStanding(**dict(row))

    async def decide(self, now: datetime, limit: int) -> int:
        """Give back what bookings that have ended put aside, and note what was used; how many."""
        async with changing(self._pool) as writing:
            decided: int = await writing.fetchval(_DECIDE, now, limit)
        return decided

    async def refund(self, payment_id: UUID, order: RefundOrder, now: datetime) -> None:
        """Give points of an attempt back, once."""
        until = now + USABLE_AFTER_REFUND
        async with changing(self._pool) as writing:
            await writing.execute(
                _REFUND, payment_id, order.id, order.booking_id, order.amount_minor, now, until
            )

    # --- earned

    async def due(self, limit: int) -> Sequence[DueBooking]:
        """Bookings to look at, the oldest first."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_DUE, limit)
        return [DueBooking(**dict(row)) for row in rows]

    async def look_at(self, due: DueBooking, now: datetime) -> bool:
        """Give or take back what follows from a booking; False if somebody else was at it.

        What is due was read before its facts, so whatever comes later is due again.
        """
        booking_id = due.booking_id
        async with changing(self._pool) as running:
            row = await running.fetchrow(_FACTS, booking_id)
            earner_id = None if row is None else row["earner_id"] or row["customer_id"]
            percent = None if row is None else row["percent"] or due.percent
            months = None if row is None else row["valid_months"] or due.valid_months
            if row is None or earner_id is None or percent is None or months is None:
                await running.execute(_NOTHING_DUE, booking_id, due.last_id)
                return True
            earning = Earning(
                percent=percent,
                paid_minor=row["paid_minor"],
                earned_minor=row["earned_minor"] or 0,
            )
            currency = row["currency"]
            if earning.change_minor < 0:
                await running.fetchval(_EXPIRE_ONE, earner_id, now, currency)
            return bool(
                await running.fetchval(
                    *(_CHANGE, booking_id, percent, months, earner_id, currency, due.last_id),
                    *(earning.earned_minor, earning.change_minor, months_later(now, months), now),
                )
            )
