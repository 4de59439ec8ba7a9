"""Attempts to pay, and what the ledger says, in Postgres.

Commits of showtimes change rows of payments too, and must not wait for a client: what is written
here is one statement each, and never a part of a longer transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.ledger.methods import Attempt, Progress
from cinema.features.ledger.parts import PART_METHODS, PUT_ASIDE_BY_OTHERS
from cinema.features.ledger.shapes import LedgerLine, LedgerTransaction
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, changing, connection

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_ATTEMPT: Final = """id, booking_id, method, status, amount_minor, refunded_minor, currency,
    reference, created_at, reserved, completes, series_id, asked_minor"""
_FIND: Final = f"select {_ATTEMPT} from payments where id = $1"
_BY_REFERENCE: Final = f"select {_ATTEMPT} from payments where method = $1 and reference = $2"
_UNDER_WAY: Final = f"""
select {_ATTEMPT} from payments
where booking_id = $1 and status in ('created', 'pending') order by created_at, id"""
_OF_METHODS: Final = f"""
select {_ATTEMPT} from payments
where booking_id = $1 and method = any($2) and status in ('created', 'pending')
order by created_at, id limit 1"""
# Of two who add at the same time, one waits in an index and then adds nothing. What other attempts
# have put aside is not paid again, and is named: it alone makes up the total with the new one. One
# that puts money aside itself looks again when it does.
_ADD: Final = f"""
insert into payments as p (
    id, booking_id, method, status, amount_minor, currency, created_at, completes
)
select $1, b.id, $3, 'created', b.total_minor - aside.amount_minor, b.currency, $4, aside.ids
from bookings b
cross join lateral (
    select coalesce(sum(part.amount_minor), 0)::bigint as amount_minor,
        coalesce(array_agg(part.id), '{{}}') as ids
    from payments part
    where part.booking_id = b.id and part.reserved and part.status in ('created', 'pending')
) aside
where b.id = $2 and b.status in ('pending', 'expired')
    and not exists (select from exchanges e where e.to_booking_id = b.id)
    and not exists (
        select from series_bookings part join series whole on whole.id = part.series_id
        where part.booking_id = b.id and whole.state in ('pending', 'committed')
            and whole.id is distinct from $5
    )
    and (aside.amount_minor < b.total_minor or b.total_minor = 0)
on conflict do nothing
returning {_ATTEMPT}"""
# Of a refund that is asked of somebody who knows the payment by another row, that row.
_SOURCE: Final = f"""
select {_ATTEMPT} from payments
where id = coalesce((
    select p.origin_id from payments p where p.id = $1 and p.reference is null
), $1)"""
_REST: Final = f"""
with rest as (
    select a.id, b.total_minor - aside.amount_minor as amount_minor, aside.ids
    from payments a join bookings b on b.id = a.booking_id
    cross join lateral ({PUT_ASIDE_BY_OTHERS}
    ) aside
    where a.id = $1 and a.status in ('created', 'pending')
)
update payments p set amount_minor = rest.amount_minor, completes = rest.ids, updated_at = $2
from rest where p.id = rest.id and rest.amount_minor >= 0
returning p.amount_minor"""
_GIVE_WAY: Final = """
update payments set status = 'cancelled', error_code = $2, updated_at = $3
where id = $1 and status in ('created', 'pending') and not reserved"""
# What is put aside may be enough: then it only has to be told to the showtime.
_ENOUGH: Final = f"""
select {_ATTEMPT} from payments p
where booking_id = $1 and reserved and status in ('created', 'pending')
    and amount_minor + coalesce((
        select sum(part.amount_minor) from payments part
        where part.id = any(p.completes) and part.status in ('created', 'pending')
    ), 0) >= (select total_minor from bookings where id = $1)
order by created_at, id limit 1"""
_NOTE: Final = f"""
update payments set status = $2, reference = coalesce($3, reference),
    error_code = coalesce($4, error_code), updated_at = $5
where id = $1 and status in ('created', 'pending')
returning {_ATTEMPT}"""
# An attempt that was added in the moment in which its booking ended: the end has not seen it, nor
# will another come. Whoever puts money aside is done with it long before.
_END_LEFT: Final = f"""
with left_over as (
    select p.id from payments p join bookings b on b.id = p.booking_id
    where p.status in ('created', 'pending') and b.status <> 'pending'
        and (p.reserved or p.method in ({", ".join(f"'{name}'" for name in PART_METHODS)}))
        and coalesce(p.updated_at, p.created_at) < $2
    order by p.id limit $3 for update of p skip locked
)
update payments p set status = 'failed', error_code = 'BOOKING_ENDED', updated_at = $1
from left_over where p.id = left_over.id"""
_PAYABLE: Final = """
select b.id, b.showtime_id, b.user_id, b.hold_id, b.code, b.status, b.total_minor, b.currency,
    coalesce(b.payment_id, (
        select one.id from payments one where one.booking_id = b.id
        order by one.created_at, one.id limit 1
    )) as payment_id,
    (select count(*) from booking_seats s where s.booking_id = b.id)::int as seat_count,
    exists (select from ledger l where l.kind = 'sale' and l.source = b.id) as was_sold
from bookings b where b.id = $1"""
_HEIRS: Final = """
select distinct b.id from payments p join bookings b on b.id = p.booking_id
where p.origin_id = $1 and b.status = 'confirmed'"""
_TRANSACTIONS: Final = """
select id, kind, source, currency, at, accounts, amounts from ledger where booking_id = $1
order by id limit $2"""
_CINEMA_OF: Final = """
select t.cinema_id from bookings b left join showtimes t on t.id = b.showtime_id where b.id = $1"""

LEFT_AFTER: Final = timedelta(minutes=1)
"""Longer than a request that puts money aside, and tells the showtime of it, can take."""

TRANSACTIONS_SHOWN: Final = 1000
"""A booking has a few; each of its seats can go back alone."""


# What of a showtime's sales is still owed counts as earned once it has started. A showtime for
# which nothing is owed has no such row, and is looked at again until it is too long ago.
_RECOGNISE: Final = """
with started as (
    select t.id from showtimes t
    where t.starts_at >= $2 and t.starts_at < $3
        and not exists (select from ledger r where r.kind = 'recognition' and r.source = t.id)
), owed as (
    select started.id, sold.currency, sold.amount
    from started
    cross join lateral (
        select l.currency, sum(line.amount)::bigint as amount
        from bookings b
        join ledger l on l.booking_id = b.id
        cross join lateral unnest(l.accounts, l.amounts) as line (account, amount)
        where b.showtime_id = started.id and line.account = 'deferred'
        group by l.currency
        having sum(line.amount) <> 0
    ) sold
    order by started.id limit $4
), written as (
    insert into ledger (kind, source, showtime_id, currency, at, accounts, amounts)
    select 'recognition', owed.id, owed.id, owed.currency, $1, array['deferred', 'revenue'],
        array[-owed.amount, owed.amount]
    from owed
    on conflict (kind, source) do nothing
    returning 1
)
select count(*) from written"""

RECOGNISED_AFTER: Final = timedelta(minutes=15)
"""Longer after the start than any command of before it can be under way."""

RECOGNISED_WITHIN: Final = timedelta(days=7)


class Payable(msgspec.Struct, frozen=True, kw_only=True):
    """What confirming needs of a booking; `payment_id` is the attempt that counts."""

    id: UUID
    showtime_id: UUID
    user_id: UUID
    hold_id: UUID
    code: str
    status: str
    total_minor: int
    currency: str
    payment_id: UUID
    seat_count: int
    was_sold: bool

    def was_paid_by(self, attempt_id: UUID) -> bool:
        """Whether this attempt has bought the seats, whatever became of them."""
        return self.was_sold and self.payment_id == attempt_id


class AttemptsRepository:
    """Reads and writes attempts to pay."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, attempt_id: UUID) -> Attempt | None:
        """The attempt of an id, from the primary."""
        return await self._one(_FIND, attempt_id)

    async def by_reference(self, method: str, reference: str) -> Attempt | None:
        """The attempt that a provider calls so."""
        return await self._one(_BY_REFERENCE, method, reference)

    async def under_way(self, booking_id: UUID) -> list[Attempt]:
        """The attempts of a booking from which money may still come, the oldest first."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_UNDER_WAY, booking_id)
        return [_attempt(row) for row in rows]

    async def under_way_by(self, booking_id: UUID, methods: Sequence[str]) -> Attempt | None:
        """The first attempt of a booking by one of these methods that is under way."""
        return await self._one(_OF_METHODS, booking_id, list(methods))

    async def add(
        self,
        attempt_id: UUID,
        booking_id: UUID,
        method: str,
        now: datetime,
        series_id: UUID | None = None,
    ) -> Attempt | None:
        """A new attempt to pay what is not put aside by others.

        None if there is one by this method under way, or nothing to pay, or the booking waits for
        another series than this.
        """
        return await self._one(_ADD, attempt_id, booking_id, method, now, series_id)

    async def source_of(self, attempt_id: UUID) -> Attempt | None:
        """The attempt of which refunds of this one are asked: itself, or one of its series."""
        return await self._one(_SOURCE, attempt_id)

    async def rest(self, attempt_id: UUID, now: datetime) -> int | None:
        """Have an attempt pay what is not put aside for its booking; how much that is.

        None if it is not under way any more.
        """
        async with connection(self._pool) as writing:
            rest_minor: int | None = await writing.fetchval(_REST, attempt_id, now)
        return rest_minor

    async def enough(self, booking_id: UUID) -> Attempt | None:
        """The attempt which, with what else is put aside, pays all of a pending booking."""
        return await self._one(_ENOUGH, booking_id)

    async def note(self, attempt_id: UUID, progress: Progress, now: datetime) -> Attempt | None:
        """What its method says of an attempt under way; None if it is not any longer.

        A success is not noted so: the event that books the seats does that.
        """
        assert progress.status != "succeeded"
        return await self._one(
            _NOTE, attempt_id, progress.status, progress.reference, progress.error_code, now
        )

    async def give_way(self, attempt_id: UUID, reason: str, now: datetime) -> None:
        """End an attempt, unless it has put money aside."""
        async with changing(self._pool) as writing:
            await writing.execute(_GIVE_WAY, attempt_id, reason, now)

    async def end_left(self, now: datetime, limit: int) -> int:
        """End attempts that keep money aside, or could, for bookings that have ended; how many.

        Their methods then give it back. Refuses RETRY.
        """
        async with changing(self._pool) as writing:
            done = await writing.execute(_END_LEFT, now, now - LEFT_AFTER, limit)
        return int(done.split()[-1])

    async def heirs(self, attempt_id: UUID) -> list[UUID]:
        """The bookings that are paid by money of this attempt since they were exchanged."""
        async with connection(self._pool) as reading:
            return [row["id"] for row in await reading.fetch(_HEIRS, attempt_id)]

    async def payable(self, booking_id: UUID) -> Payable | None:
        """What confirming needs of a booking, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PAYABLE, booking_id)
        return None if row is None else Payable(**dict(row))

    async def _one(self, statement: str, *values: object) -> Attempt | None:
        async with connection(self._pool) as acquired:
            row = await acquired.fetchrow(statement, *values)
        return None if row is None else _attempt(row)


class LedgerRepository:
    """Reads the ledger, and writes what follows from time alone."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def recognise(self, now: datetime, limit: int) -> int:
        """Count as earned what was sold for showtimes that have started; how many showtimes."""
        until = now - RECOGNISED_AFTER
        async with changing(self._pool) as writing:
            written: int = await writing.fetchval(
                _RECOGNISE, now, until - RECOGNISED_WITHIN, until, limit
            )
        return written

    async def cinema_of(self, booking_id: UUID) -> tuple[UUID | None] | None:
        """The cinema of a booking, which may be gone; None if there is no such booking."""
        row = await self._reads.fetchrow(_CINEMA_OF, booking_id)
        return None if row is None else (row["cinema_id"],)

    async def of_booking(self, booking_id: UUID) -> list[LedgerTransaction]:
        """The transactions of a booking, the oldest first."""
        rows = await self._reads.fetch(_TRANSACTIONS, booking_id, TRANSACTIONS_SHOWN)
        return [
            LedgerTransaction(
                id=row["id"],
                kind=row["kind"],
                source=row["source"],
                at=row["at"],
                currency=row["currency"],
                lines=[
                    LedgerLine(account, amount)
                    for account, amount in zip(row["accounts"], row["amounts"], strict=True)
                ],
            )
            for row in rows
        ]


def _attempt(row: Record) -> Attempt:
    return Attempt(**dict(row))
