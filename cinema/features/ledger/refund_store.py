"""Refunds in Postgres: those that wait for a provider, and those that staff ask for.

As with attempts, each write is one statement: commits of showtimes change the same payments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from cinema.domain.money import Money
from cinema.features.accounts.user_store import Act
from cinema.features.ledger.disputes import DISPUTED
from cinema.features.ledger.methods import ASK_NOBODY
from cinema.features.ledger.methods import AT_COUNTER as COUNTER_METHODS
from cinema.features.ledger.parts import PART_METHODS
from cinema.features.ledger.refund_rules import Undone
from cinema.features.ledger.rules import ACCOUNT_OF, REFUND_FAILED
from cinema.features.ledger.shapes import Refund
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, changing, connection

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

AT_ONCE: Final = ", ".join(f"'{name}'" for name in sorted(ASK_NOBODY))
"""Methods that need not be asked, for SQL."""

FIRST_STATUS: Final = (
    f"case when w.method in ({AT_ONCE}) then 'succeeded' when w.method in ("
    + ", ".join(f"'{name}'" for name in sorted(COUNTER_METHODS))
    + ") then 'at_counter' else 'pending' end"
)
"""The status with which a refund of a payment `w` begins, for SQL."""

ACCOUNT: Final = (
    "case w.method "
    + " ".join(f"when '{method}' then '{account}'" for method, account in ACCOUNT_OF.items())
    + " else 'cash' end"
)
"""Where the money of a payment `w` is, for SQL."""

SOURCE: Final = (
    "case {0}.asked_again when 0 then {0}.id"
    " else md5({0}.id::text || ':again:' || {0}.asked_again)::uuid end"
)
"""What the ledger calls a refund, for SQL: each time that it is asked for has a name of its own."""

CARRIED: Final = (
    "{0}.origin_id is not null and {0}.method not in ("
    + ", ".join(f"'{name}'" for name in PART_METHODS)
    + ")"
)
"""Whether a payment brought money from a booking that was exchanged, and can give it back without
seats, for SQL."""

GIVES: Final = f"""(
    select one.id from payments one
    where one.booking_id = b.id and one.status in ('succeeded', 'partially_refunded')
        and one.refunded_minor + $3 <= one.amount_minor
        and ((one.id = coalesce(b.payment_id, one.id) and not one.for_change)
            or ({CARRIED.format("one")}))
    order by one.for_change, one.created_at, one.id limit 1
)"""
"""The payment of a booking `b` that gives $3 back without seats, for SQL: one that has so much."""

WAITING: Final = ("pending", "at_counter", "failed")
"""The statuses of refunds whose money is not back."""

_SHOWN: Final = """r.id, r.booking_id, r.payment_id, r.kind, r.amount_minor, r.currency, r.status,
    r.reason, r.reference, r.error_code, r.attempts, r.created_at, r.settled_at"""
_CLAIM: Final = """
with due as (
    select id from refunds where status = 'pending' and next_try_at <= $1
    order by next_try_at limit $3 for update skip locked
)
update refunds r set next_try_at = $2, attempts = r.attempts + 1
from due where r.id = due.id
returning r.id, r.payment_id, r.booking_id, r.kind, r.amount_minor, r.currency, r.reference,
    r.attempts, r.asked_again"""
DUE: Final = """exists (
    select from refunds where status = 'pending' and next_try_at <= {0}::timestamptz
)"""
# One that is asked for the first time belongs to whoever asks.
_HURRY: Final = """
update refunds set next_try_at = $2
where payment_id in (select id from payments where id = $1 or origin_id = $1)
    and status = 'pending' and next_try_at > $2
    and (reference is not null or error_code is not null)"""
# Who was refused for a dispute that was lost just now need not wait for it.
_PUT_OFF: Final = f"""
update refunds r set reference = coalesce($4, reference), error_code = $5,
    next_try_at = case
        when $5 = '{DISPUTED}'
            and exists (
                select from disputes d where d.payment_id = r.payment_id and d.status = 'lost'
            )
            and not exists (
                select from disputes d where d.payment_id = r.payment_id and d.is_open
            )
        then r.created_at
        else $3
    end
where id = $1 and attempts = $2 and status = 'pending'"""
_FAIL: Final = """
update refunds set status = 'failed', reference = coalesce($2, reference), error_code = $3
where id = $1 and status = 'pending'"""
# What a provider calls by this reference and says to have failed has not succeeded since: whoever
# says so has asked before.
_SETTLE: Final = f"""
with settled as (
    update refunds r set status = 'succeeded', settled_at = $2,
        reference = coalesce($3, reference), error_code = null
    where r.id = $1
        and (r.status = 'pending' or (r.status = 'failed' and r.reference is distinct from $3))
    returning r.*
)
insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
select 'refund', {SOURCE.format("s")}, s.booking_id, s.showtime_id, s.currency, $2,
    array['customer', $4], array[s.amount_minor, -s.amount_minor]
from settled s
on conflict (kind, source) do nothing
returning true"""
# Money that had gone back is ours again. What came before this was asked for again is old news.
_UNDO: Final = f"""
with told as (
    select id, status as former from refunds
    where id = $1 and status in ('pending', 'succeeded') and asked_again = $5
        and coalesce(reference, $2) = $2
    for update
), undone as (
    update refunds r set status = 'failed', reference = $2, error_code = $3, settled_at = null
    from told
    where r.id = told.id
    returning r.*, told.former
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select '{REFUND_FAILED}', {SOURCE.format("u")}, u.booking_id, u.showtime_id, u.currency, $4,
        array[$6, 'customer'], array[u.amount_minor, -u.amount_minor]
    from undone u where u.former = 'succeeded'
    on conflict (kind, source) do nothing
)
select former from undone"""
# The money that came is written down with the refund of it. An attempt that has paid its booking is
# none of these: the showtime has accepted it.
_UNWANTED: Final = """
with attempt as (
    update payments p set status = 'refunded', refunded_minor = p.amount_minor,
        last_refund_minor = p.amount_minor, error_code = $3, method = $6, updated_at = $4
    where p.id = $1 and p.status in ('created', 'pending', 'failed', 'cancelled')
        and p.amount_minor > 0
    returning p.*
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'payment', p.id, p.booking_id, b.showtime_id, p.currency, $4, array[$5, 'customer'],
        array[p.amount_minor, -p.amount_minor]
    from attempt p join bookings b on b.id = p.booking_id
    on conflict (kind, source) do nothing
)
insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency, status,
    reason, next_try_at, created_at)
select $2, p.id, p.booking_id, b.showtime_id, 'unwanted', p.amount_minor, p.currency, 'pending', $3,
    $4, $4
from attempt p join bookings b on b.id = p.booking_id
on conflict (payment_id) where kind = 'unwanted' do nothing
returning true"""
_PAY_OUT: Final = f"""
with paid as (
    update refunds r set status = 'succeeded', settled_at = $2, reference = nullif($4, '')
    where r.id = $1 and r.status = 'at_counter'
    returning r.*
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'refund', p.id, p.booking_id, p.showtime_id, p.currency, $2, array['customer', $3],
        array[p.amount_minor, -p.amount_minor]
    from paid p
)
select {_SHOWN} from paid r"""
_BY_KEY: Final = f"select {_SHOWN}, r.fingerprint from refunds r where r.request_key = $1"
_BY_ID: Final = f"""
select {_SHOWN}, t.cinema_id from refunds r left join showtimes t on t.id = r.showtime_id
where r.id = $1"""
_LIST: Final = f"""
select {_SHOWN} from refunds r left join showtimes t on t.id = r.showtime_id
where r.status = $1 and ($2::uuid[] is null or t.cinema_id = any($2))
    and ($3::timestamptz is null or (r.created_at, r.id) > ($3, $4))
order by r.created_at, r.id limit $5"""
_TRY_AGAIN: Final = f"""
with again as (
    update refunds r set status = 'pending', next_try_at = $2, attempts = 0, reference = null,
        asked_again = r.asked_again + 1
    where r.id = $1 and r.status = 'failed'
    returning r.*
), noted as (
    insert into audit_log (id, at, actor_id, action, target_id, before, after, request_id, address)
    select $3, $2, $4, 'refund_retried', again.booking_id, '{{}}',
        jsonb_build_object('refund', again.id), $5, $6
    from again
)
select {_SHOWN} from again r"""
# Money goes back without seats: never more than is left of one payment. It is asked of the one that
# was paid first, however often its booking was exchanged.
_GOODWILL: Final = f"""
with taken as (
    update payments p set refunded_minor = p.refunded_minor + $3, last_refund_minor = $3,
        status = case when p.refunded_minor + $3 >= p.amount_minor then 'refunded'
            else 'partially_refunded' end,
        updated_at = $4
    from bookings b
    where b.id = $2 and p.booking_id = b.id and p.status in ('succeeded', 'partially_refunded')
        and p.refunded_minor + $3 <= p.amount_minor and p.id = {GIVES}
    returning coalesce(p.origin_id, p.id) as payment_id, p.booking_id, p.method, p.currency,
        b.showtime_id
), reduced as (
    update bookings b set total_minor = b.total_minor - $3 from taken
    where b.id = taken.booking_id and b.status = 'confirmed'
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select line.kind, $1, w.booking_id, w.showtime_id, w.currency, $4,
        array[line.to_account, line.of_account], array[$3, -$3]
    from taken w left join showtimes t on t.id = w.showtime_id
    cross join lateral (values
        ('cancellation', case when t.starts_at > $4 then 'deferred' else 'revenue' end, 'customer',
            true),
        ('refund', 'customer', {ACCOUNT}, w.method in ({AT_ONCE}))
    ) line (kind, to_account, of_account, is_there)
    where line.is_there
), noted as (
    insert into audit_log (id, at, actor_id, action, target_id, before, after, request_id, address)
    select $8, $4, $5, 'refund_made', w.booking_id, '{{}}',
        jsonb_build_object('refund', $1, 'amount_minor', $3, 'reason', $6::text), $9, $10
    from taken w
)
insert into refunds as r (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency,
    status, reason, requested_by, request_key, fingerprint, next_try_at, created_at, settled_at)
select $1, w.payment_id, w.booking_id, w.showtime_id, 'goodwill', $3, w.currency,
    {FIRST_STATUS}, $6, $5, $7, $11, $4, $4,
    case when w.method in ({AT_ONCE}) then $4 end
from taken w
returning {_SHOWN}"""
# Of the money of an attempt, also where an exchange has carried it, $2 is away. What has not been
# given back of that was taken by the bank: its booking had been given back by the policy, or nobody
# remembers it. Money went back without seats, and nobody is asked for it. What went on gift cards
# was not away before.
_LOSE: Final = f"""
with short as (
    select $2 - p.refunded_minor + coalesce((
        select sum(r.amount_minor) from refunds r
        where r.payment_id = p.id and (r.kind = 'exchange' or r.to_card is not null)
    ), 0) - coalesce((
        select sum(r.amount_minor) from refunds r
        where r.payment_id = p.id and r.booking_id <> p.booking_id
    ), 0) as amount_minor
    from payments p where p.id = $1
), family as (
    select p.id, p.amount_minor - p.refunded_minor as left_minor,
        coalesce(sum(p.amount_minor - p.refunded_minor) over (
            order by p.created_at, p.id rows between unbounded preceding and 1 preceding
        ), 0) as before_minor,
        case when p.id = $1 then $3 else md5($3::uuid::text || ':' || p.id)::uuid end as refund_id
    from payments p
    where (p.id = $1 or p.origin_id = $1) and p.status in ('succeeded', 'partially_refunded')
        and p.refunded_minor < p.amount_minor
), parts as (
    select f.id, f.refund_id,
        least(f.left_minor, short.amount_minor - f.before_minor)::bigint as amount_minor
    from family f, short
    where short.amount_minor > f.before_minor
), taken as (
    update payments p
    set last_refund_minor = least(part.amount_minor, p.amount_minor - p.refunded_minor),
        refunded_minor = p.refunded_minor
            + least(part.amount_minor, p.amount_minor - p.refunded_minor),
        status = case when p.refunded_minor + part.amount_minor >= p.amount_minor then 'refunded'
            else 'partially_refunded' end,
        updated_at = $5
    from parts part, bookings b
    where p.id = part.id and b.id = p.booking_id
        and p.status in ('succeeded', 'partially_refunded')
        and p.refunded_minor < p.amount_minor
        and not exists (select from refunds r where r.id = part.refund_id)
    returning part.refund_id, coalesce(p.origin_id, p.id) as payment_id, p.booking_id, p.method,
        p.currency, b.showtime_id, p.last_refund_minor as amount_minor
), reduced as (
    update bookings b set total_minor = b.total_minor - taken.amount_minor from taken
    where b.id = taken.booking_id and b.status = 'confirmed'
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select line.kind, w.refund_id, w.booking_id, w.showtime_id, w.currency, $5,
        array[line.to_account, line.of_account], array[w.amount_minor, -w.amount_minor]
    from taken w left join showtimes t on t.id = w.showtime_id
    cross join lateral (values
        ('cancellation', case when t.starts_at > $5 then 'deferred' else 'revenue' end, 'customer'),
        ('refund', 'customer', {ACCOUNT})
    ) line (kind, to_account, of_account)
)
insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency, status,
    reason, reference, next_try_at, created_at, settled_at)
select w.refund_id, w.payment_id, w.booking_id, w.showtime_id, 'goodwill', w.amount_minor,
    w.currency, 'succeeded', 'DISPUTE_LOST', $4, $5, $5, $5
from taken w
on conflict (id) do nothing
returning true"""
# Each of these reads an index of its own.
_WAITING: Final = " union all ".join(
    f"select '{status}' as status, count(*) as count, min(created_at) as oldest_at "
    f"from refunds where status = '{status}'"
    for status in WAITING
)

_AUDIT: Final = """
insert into audit_log (id, at, actor_id, action, target_id, before, after, request_id, address)
values ($1, $2, $3, 'refund_made', $4, '{}', $5::text::jsonb, $6, $7)"""


class WaitingRefunds(msgspec.Struct, frozen=True):
    """How many refunds of a status there are, and when the oldest of them was made."""

    status: str
    count: int
    oldest_at: datetime | None


class DueRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that is to be asked for now, by whoever has claimed its attempt."""

    id: UUID
    payment_id: UUID
    booking_id: UUID
    kind: str
    amount_minor: int
    currency: str
    reference: str | None
    attempts: int
    asked_again: int


class Goodwill(msgspec.Struct, frozen=True, kw_only=True):
    """Money that staff give back without seats."""

    id: UUID
    booking_id: UUID
    amount_minor: int
    reason: str
    request_key: bytes | None
    fingerprint: bytes | None
    act: Act


async def pay_out(
    running: PooledConnection, refund_id: UUID, account: str, reference: str, now: datetime
) -> Refund | None:
    """Money of a refund was handed out at a till, within the transaction of the till.

    None if it does not wait there (any longer).
    """
    row = await running.fetchrow(_PAY_OUT, refund_id, now, account, reference)
    return None if row is None else _refund(row)


class RefundsRepository:
    """Reads and writes refunds."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def claim(self, now: datetime, until: datetime, limit: int) -> list[DueRefund]:
        """Claim refunds that are due; no other node gets them until then."""
        async with changing(self._pool) as writing:
            rows = await writing.fetch(_CLAIM, now, until, limit)
        return [DueRefund(**dict(row)) for row in rows]

    async def waiting(self) -> list[WaitingRefunds]:
        """The refunds whose money is not back, for each of `WAITING`."""
        async with connection(self._pool) as reading:
            return [WaitingRefunds(*row) for row in await reading.fetch(_WAITING)]

    async def put_off(
        self, due: DueRefund, until: datetime, reference: str | None, error_code: str | None
    ) -> None:
        """Ask again later."""
        values = (due.id, due.attempts, until, reference, error_code)
        async with changing(self._pool) as writing:
            await writing.execute(_PUT_OFF, *values)

    async def hurry(self, payment_id: UUID, now: datetime) -> None:
        """Ask for the refunds of an attempt now that its provider works on."""
        async with changing(self._pool) as writing:
            await writing.execute(_HURRY, payment_id, now)

    async def fail(self, refund_id: UUID, reference: str | None, error_code: str | None) -> None:
        """The provider has refused it: staff have to look at it."""
        async with changing(self._pool) as writing:
            await writing.execute(_FAIL, refund_id, reference, error_code)

    async def settle(
        self, refund_id: UUID, reference: str | None, account: str, now: datetime
    ) -> bool:
        """The money is back; False if that was known before."""
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_SETTLE, refund_id, now, reference, account))

    async def undo(
        self, refund: Undone, account: str, now: datetime
    ) -> Literal["pending", "succeeded"] | None:
        """Note that a refund has failed after all; what it was before, None if that was known."""
        values = (refund.id, refund.reference, refund.error_code, now, refund.again, account)
        async with changing(self._pool) as writing:
            former: Literal["pending", "succeeded"] | None = await writing.fetchval(_UNDO, *values)
        return former

    async def unwanted(
        self,
        attempt_id: UUID,
        refund_id: UUID,
        reason: str,
        method: str,
        account: str,
        now: datetime,
    ) -> bool:
        """All money of an attempt goes back; False if it does already, or has paid its booking."""
        values = (attempt_id, refund_id, reason, now, account, method)
        async with changing(self._pool) as writing:
            made = await writing.fetchval(_UNWANTED, *values)
        return bool(made)

    async def lose(
        self, attempt_id: UUID, away_minor: int, refund_id: UUID, reference: str, now: datetime
    ) -> bool:
        """A bank has taken money of an attempt, of which so much is away in all.

        False if all of that was given back already, or that was known.
        """
        values = (attempt_id, away_minor, refund_id, reference, now)
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_LOSE, *values))

    async def by_key(self, request_key: bytes) -> tuple[Refund, bytes] | None:
        """The refund that a request has made, and the request's fingerprint."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_KEY, request_key)
        return None if row is None else (_refund(row), row["fingerprint"])

    async def find(self, refund_id: UUID) -> tuple[Refund, UUID | None] | None:
        """A refund, and its cinema."""
        row = await self._reads.fetchrow(_BY_ID, refund_id)
        return None if row is None else (_refund(row), row["cinema_id"])

    async def list(
        self,
        status: str,
        cinema_ids: Collection[UUID] | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Refund]:
        """Refunds of these cinemas (None: of all), the oldest first."""
        moment, last_id = after or (None, None)
        cinemas = None if cinema_ids is None else list(cinema_ids)
        rows = await self._reads.fetch(_LIST, status, cinemas, moment, last_id, limit)
        return [_refund(row) for row in rows]

    async def try_again(self, refund_id: UUID, act: Act) -> Refund | None:
        """Ask for a failed refund again; None if it is not one (any longer)."""
        client = act.client
        async with changing(self._pool) as writing:
            row = await writing.fetchrow(
                *(_TRY_AGAIN, refund_id, act.at, act.entry_id, act.by),
                *(client.request_id, client.address),
            )
        return None if row is None else _refund(row)

    async def note(self, booking_id: UUID, after: Mapping[str, Any], act: Act) -> None:
        """Note in the audit log that staff give seats of a booking back."""
        values = (act.entry_id, act.at, act.by, booking_id, msgspec.json.encode(after).decode())
        async with changing(self._pool) as writing:
            await writing.execute(_AUDIT, *values, act.client.request_id, act.client.address)

    async def give(self, goodwill: Goodwill) -> Refund | None:
        """Give money back; None if not so much is left. Refuses RETRY."""
        act = goodwill.act
        async with changing(self._pool) as writing:
            row = await writing.fetchrow(
                *(_GOODWILL, goodwill.id, goodwill.booking_id, goodwill.amount_minor, act.at),
                *(act.by, goodwill.reason, goodwill.request_key, act.entry_id),
                *(act.client.request_id, act.client.address, goodwill.fingerprint),
            )
        return None if row is None else _refund(row)


def _refund(row: Record) -> Refund:
    return Refund(
        id=row["id"],
        booking_id=row["booking_id"],
        payment_id=row["payment_id"],
        kind=row["kind"],
        amount=Money(row["amount_minor"], row["currency"]),
        status=row["status"],
        reason=row["reason"],
        error_code=row["error_code"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
    )
