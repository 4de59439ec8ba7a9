"""What is to be done about Stripe's payments, in Postgres: tasks, returns, disputes, differences.

A task is one row, named by what it is about, so that what is told twice is done once. Like in the
ledger's store, each write is one statement: commits of showtimes change rows of payments too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from cinema.domain.money import Money
from cinema.features.ledger.methods import Attempt
from cinema.features.payments.shapes import Difference
from cinema.integrations.stripe.amounts import minor_amount
from cinema.integrations.stripe.objects import Dispute
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, changing, connection

TaskKind = Literal["event", "look", "settle", "return", "day"]

_TELL: Final = """
insert into stripe_tasks (kind, name, detail, created_at, due_at)
values ($1, $2, $3::text::jsonb, $4, $5)
on conflict (kind, name) do nothing
returning true"""
# From the first day behind the last one that is known; only the given one if none is.
_DAYS: Final = """
insert into stripe_tasks (kind, name, detail, created_at, due_at)
select 'day', to_char(day, 'YYYY-MM-DD'), '{}', $3, $3
from generate_series(
    greatest($1::date - ($2::int - 1), coalesce((
        select max(name)::date + 1 from stripe_tasks where kind = 'day'
    ), $1::date))::timestamp,
    $1::date::timestamp, interval '1 day'
) day
on conflict (kind, name) do nothing"""
_CLAIM_ONE: Final = """
update stripe_tasks set attempts = attempts + 1, due_at = $4
where kind = $1 and name = $2 and ended_at is null and due_at <= $3
returning kind, name, detail::text, attempts, created_at"""
_IS_OWED: Final = """
select exists (select from refunds where payment_id = $1 and kind = 'unwanted')
    or exists (select from stripe_tasks where kind = 'return' and name = $1::uuid::text)"""
_CLAIM: Final = """
update stripe_tasks task set attempts = task.attempts + 1,
    due_at = case when task.kind = 'settle' then $3::timestamptz else $2 end
from (
    select kind, name from stripe_tasks
    where ended_at is null and due_at <= $1
    order by due_at limit $4
    for update skip locked
) due
where task.kind = due.kind and task.name = due.name
returning task.kind, task.name, task.detail::text, task.attempts, task.created_at"""
DUE: Final = """exists (
    select from stripe_tasks where ended_at is null and due_at <= {0}::timestamptz
)"""
_MINE: Final = "where kind = $1 and name = $2 and attempts = $3 and ended_at is null"
_END: Final = f"update stripe_tasks set ended_at = $4, outcome = $5 {_MINE}"  # noqa: S608
_PUT_OFF: Final = f"""
update stripe_tasks set due_at = $4, error = left($5, 500) {_MINE}"""  # noqa: S608
_STATE: Final = """
select count(*) filter (where ended_at is null and kind <> 'look') as waiting,
    count(*) filter (where outcome = 'given_up') as given_up,
    min(due_at) filter (where ended_at is null) as oldest_at
from stripe_tasks where ended_at is null or outcome = 'given_up'"""
_DIFFERENT: Final = "select count(*) from payment_differences where resolved_at is null"
_FORGET: Final = """
with gone as (
    delete from stripe_tasks where ctid = any(array(
        select ctid from stripe_tasks
        where ended_at < $1 and outcome is distinct from 'given_up' and not (
            kind = 'day' and name = (select max(name) from stripe_tasks where kind = 'day')
        )
        order by ended_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""
# Money that came and buys nothing: it is owed to the customer from this statement on, which also
# asks for the refund. Only whoever has the task may say so, and whoever comes after finds that it
# has ended.
_OWE: Final = """
with ended as (
    update stripe_tasks set ended_at = $4, outcome = 'owed'
    where kind = 'settle' and name = $1::uuid::text and attempts = $2 and ended_at is null
    returning 1
), owed as (
    insert into stripe_tasks (kind, name, detail, created_at, due_at)
    select 'return', $1::uuid::text, $3::text::jsonb, $4, $4 from ended
    on conflict (kind, name) do nothing
), noted as (
    update payments p set status = 'refunded', refunded_minor = p.amount_minor,
        last_refund_minor = p.amount_minor, error_code = $5, updated_at = $4
    where p.id = $1 and p.status in ('created', 'pending', 'failed', 'cancelled')
        and exists (select from ended)
    returning p.id, p.booking_id, p.amount_minor, p.currency
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'payment', p.id, p.booking_id, b.showtime_id, p.currency, $4,
        array['stripe', 'customer'], array[p.amount_minor, -p.amount_minor]
    from noted p join bookings b on b.id = p.booking_id
    on conflict (kind, source) do nothing
), asked as (
    insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency,
        status, reason, next_try_at, created_at)
    select $6, p.id, p.booking_id, b.showtime_id, 'unwanted', p.amount_minor, p.currency,
        'pending', $5, $4, $4
    from noted p join bookings b on b.id = p.booking_id
    on conflict (payment_id) where kind = 'unwanted' do nothing
)
select exists (select from ended)"""
_NAMED: Final = """
update payments set reference = $2, updated_at = $3
where id = $1 and method = 'stripe' and reference is null"""
_ADDRESSEE: Final = """
select b.code, coalesce(m.title, '') as film, coalesce(c.name, '') as cinema,
    coalesce(to_char(t.starts_at at time zone c.time_zone, 'YYYY-MM-DD HH24:MI'), '') as starts,
    coalesce(u.email, claimant.email, g.email) as email,
    coalesce(u.first_name, claimant.first_name, '') as first_name,
    coalesce(u.language, claimant.language, o.language, '') as language
from bookings b
left join showtimes t on t.id = b.showtime_id
left join movies m on m.id = t.movie_id
left join cinemas c on c.id = t.cinema_id
left join users u on u.id = b.user_id and u.deleted_at is null
left join guests g on g.id = b.user_id
left join users claimant on claimant.id = g.claimed_by and claimant.deleted_at is null
left join guest_orders o on o.booking_id = b.id
where b.id = $1"""
# A dispute that was decided is never open again, whatever is told later.
_DISPUTE: Final = """
insert into disputes as d (id, payment_id, booking_id, status, is_open, amount_minor, currency,
    opened_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (id) do update set status = excluded.status, is_open = excluded.is_open,
    updated_at = excluded.updated_at
    where d.is_open
returning true"""
_DISPUTE_OF: Final = """
select id, is_open, status = 'lost' as is_lost from disputes where payment_id = $1
order by is_open desc, updated_at desc limit 1"""
_LOST: Final = """
select amount_minor as amount, currency from disputes
where payment_id = $1 and status = 'lost' and id <> $2"""
# What is asked for at the same time takes its part of a lost dispute in one order, whoever asks.
_GIVEN_BEFORE: Final = """
select coalesce(sum(r.amount_minor), 0)::bigint
from refunds r left join refunds own on own.id = $2
where r.payment_id = $1 and r.id <> $2 and r.kind <> 'exchange' and r.to_card is null
    and (r.status = 'succeeded'
        or (r.status = 'pending' and (r.created_at, r.id) < (own.created_at, own.id)))"""
_OPEN_DISPUTES: Final = "select id from disputes where is_open order by opened_at limit 1000"
_DIFFER: Final = """
insert into payment_differences (kind, name, day, payment_id, ours, theirs, found_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (kind, name) do nothing
returning true"""
_AGREE: Final = """
update payment_differences set resolved_at = $3
where name = $1 and kind = any($2) and resolved_at is null"""
_DIFFERENCES: Final = """
select id, kind, name as object_id, day, payment_id, ours, theirs, found_at, resolved_at
from payment_differences
where ($1::timestamptz is null or (found_at, id) < ($1, $2)) and ($3 or resolved_at is null)
order by found_at desc, id desc limit $4"""
_NOT_THERE: Final = """
select coalesce(sum(amount_minor), 0)::bigint from refunds
where (to_card is not null or status = 'failed') and (
    payment_id = $1 or (kind = 'unwanted' and payment_id in (
        select part.id from payments part where part.origin_id = $1
    ))
)"""
# What was carried to another booking did not go back; what goes back of that one is asked of this.
_WENT_BACK: Final = """(p.refunded_minor - coalesce((
        select sum(r.amount_minor) from refunds r
        where r.payment_id = p.id and r.kind = 'exchange'
    ), 0) + coalesce((
        select sum(r.amount_minor) from refunds r
        where r.payment_id = p.id and r.booking_id <> p.booking_id
    ), 0) + coalesce((
        select sum(r.amount_minor) from refunds r join payments part on part.id = r.payment_id
        where part.origin_id = p.id and r.kind = 'unwanted'
    ), 0))::bigint as refunded_minor"""
_BACK_OF: Final = f"select {_WENT_BACK} from payments p where p.id = $1"  # noqa: S608
_ATTEMPTS_OF: Final = f"""
select id, booking_id, method, status, amount_minor, {_WENT_BACK}, currency, reference,
    created_at, completes, series_id, asked_minor
from payments p where method = 'stripe' and reference = any($1)"""  # noqa: S608
_PAID_BETWEEN: Final = f"""
select id, booking_id, method, status, amount_minor, {_WENT_BACK}, currency, reference,
    created_at, completes, series_id, asked_minor
from payments p
where method = 'stripe' and reference is not null and created_at >= $1 and created_at < $2
    and status in ('succeeded', 'refunded', 'partially_refunded') and id > $3
order by id limit $4"""  # noqa: S608  (a constant of this module)

KEPT: Final = timedelta(days=35)
"""How long it is known that an event was handled: people can send events of 30 days again."""

PAGE: Final = 500

DAYS_BACK: Final = 60
"""Longer than any chain is closed. Days before that are left to an accountant."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed task; `attempts` is the number of this attempt."""

    kind: TaskKind
    name: str
    detail: Mapping[str, Any]
    attempts: int
    created_at: datetime


class TasksState(msgspec.Struct, frozen=True, kw_only=True):
    """What waits, and since when it could be done; what was given up; what differs."""

    waiting: int
    given_up: int
    oldest_at: datetime | None
    differences: int


class DisputeOf(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with a dispute about a payment."""

    id: str
    is_open: bool
    is_lost: bool


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """To whom a message about a booking goes; without an address nobody can be told."""

    code: str
    film: str
    cinema: str
    starts: str
    email: str | None
    first_name: str
    language: str


class StripeRepository:
    """Tasks about payments by Stripe, and what came of them."""

    def __init__(self, pool: Pool, *, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._now = now

    async def add(
        self, kind: TaskKind, name: str, detail: Mapping[str, Any], due_at: datetime | None = None
    ) -> bool:
        """A new task; False if there is or was one of this name."""
        now = self._now()
        return bool(await self._value(_TELL, kind, name, _json(detail), now, due_at or now))

    async def add_days(self, last: date) -> None:
        """Tasks for this day and all before it that have none since the last known one.

        At most `DAYS_BACK`; if no day is known, it is the first.
        """
        await self._run(_DAYS, last, DAYS_BACK, self._now())

    async def claim(self, lease: timedelta, settle_lease: timedelta, limit: int) -> Sequence[Task]:
        """Tasks that are due, for this caller alone as long as the lease of their kind lasts."""
        now = self._now()
        async with changing(self._pool) as writing:
            rows = await writing.fetch(_CLAIM, now, now + lease, now + settle_lease, limit)
        return [_task(row) for row in rows]

    async def claim_one(self, kind: TaskKind, name: str, lease: timedelta) -> Task | None:
        """One task, if it is due and nobody has it."""
        now = self._now()
        async with changing(self._pool) as writing:
            row = await writing.fetchrow(_CLAIM_ONE, kind, name, now, now + lease)
        return None if row is None else _task(row)

    async def end(self, task: Task, outcome: str) -> None:
        """A task is done. The writes of an attempt that has lost its task change nothing."""
        await self._run(_END, task.kind, task.name, task.attempts, self._now(), outcome)

    async def put_off(self, task: Task, wait: timedelta, reason: str = "") -> None:
        """A task is due again later."""
        due_at = self._now() + wait
        await self._run(_PUT_OFF, task.kind, task.name, task.attempts, due_at, reason)

    async def state(self) -> TasksState:
        """What waits and what differs."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_STATE)
            differences = await reading.fetchval(_DIFFERENT)
        assert row is not None
        return TasksState(**dict(row), differences=differences)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete tasks that ended long ago, but not that of the last day; how many."""
        return int(await self._value(_FORGET, now - KEPT, limit))

    async def owe(self, task: Task, reason: str, refund_id: UUID) -> bool:
        """The money of the attempt that a task is to settle goes back to the customer.

        False if the task is somebody else's by now.
        """
        detail = _json({"reason": reason})
        values = (UUID(task.name), task.attempts, detail, self._now(), reason, refund_id)
        return bool(await self._value(_OWE, *values))

    async def is_owed(self, payment_id: UUID) -> bool:
        """Whether the money of an attempt goes back, or went back, because it buys nothing."""
        return bool(await self._value(_IS_OWED, payment_id))

    async def name(self, attempt: Attempt, reference: str) -> None:
        """The intent of an attempt whose id was not stored when it was made."""
        await self._run(_NAMED, attempt.id, reference, self._now())

    async def addressee(self, booking_id: UUID) -> Addressee | None:
        """To whom a message about a booking goes."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_ADDRESSEE, booking_id)
        return None if row is None else Addressee(**dict(row))

    async def note_dispute(
        self, dispute: Dispute, payment_id: UUID, booking_id: UUID, opened_at: datetime
    ) -> bool:
        """How it stands with a dispute; False if it was decided before."""
        return bool(
            await self._value(
                *(_DISPUTE, dispute.id, payment_id, booking_id, dispute.status, dispute.is_open),
                *(dispute.amount, dispute.currency, opened_at, self._now()),
            )
        )

    async def dispute_of(self, payment_id: UUID) -> DisputeOf | None:
        """The dispute about a payment, first one that is open."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_DISPUTE_OF, payment_id)
        return None if row is None else DisputeOf(**dict(row))

    async def lost(self, payment_id: UUID, *, but: str = "") -> int:
        """How much of a payment banks have taken back for good, maybe without one dispute."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_LOST, payment_id, but)
        return sum(minor_amount(row["amount"], row["currency"]) for row in rows)

    async def given_before(self, payment_id: UUID, refund_id: UUID) -> int:
        """How much of a payment went back, or goes back before this refund, but for gift cards."""
        return int(await self._value(_GIVEN_BEFORE, payment_id, refund_id))

    async def open_disputes(self) -> list[str]:
        """The disputes that are not decided, as far as we know: the oldest thousand."""
        async with connection(self._pool) as reading:
            return [row["id"] for row in await reading.fetch(_OPEN_DISPUTES)]

    async def differ(
        self, kind: str, name: str, day: date, payment_id: UUID | None, *, ours: str, theirs: str
    ) -> bool:
        """Note a difference; False if it was known."""
        now = self._now()
        return bool(await self._value(_DIFFER, kind, name, day, payment_id, ours, theirs, now))

    async def agree(self, name: str, kinds: Sequence[str]) -> None:
        """There is no difference of these kinds about this object any more."""
        await self._run(_AGREE, name, list(kinds), self._now())

    async def differences(
        self, after: tuple[datetime, UUID] | None, *, also_resolved: bool, limit: int
    ) -> list[Difference]:
        """Differences, newest first."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_DIFFERENCES, moment, last_id, also_resolved, limit)
        return [Difference(**dict(row)) for row in rows]

    async def attempts_of(self, references: Sequence[str]) -> dict[str, Attempt]:
        """The attempts of these intents."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_ATTEMPTS_OF, list(references))
        return {row["reference"]: Attempt(**dict(row)) for row in rows}

    async def paid_between(self, since: datetime, until: datetime, after: UUID) -> list[Attempt]:
        """A page of attempts of that time that were paid, in the order of their ids."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_PAID_BETWEEN, since, until, after, PAGE)
        return [Attempt(**dict(row)) for row in rows]

    async def went_back(self, payment_id: UUID) -> int:
        """How much of a payment went back, or goes back, wherever its money was used."""
        return int(await self._value(_BACK_OF, payment_id))

    async def not_there(self, payment_id: UUID) -> int:
        """How much of what goes back of a payment is not with its provider.

        It went on gift cards, or has failed and waits for staff.
        """
        return int(await self._value(_NOT_THERE, payment_id))

    async def _run(self, statement: str, *values: object) -> None:
        async with changing(self._pool) as writing:
            await writing.execute(statement, *values)

    async def _value(self, statement: str, *values: object) -> Any:
        async with changing(self._pool) as writing:
            return await writing.fetchval(statement, *values)


def _task(row: Record) -> Task:
    return Task(
        kind=row["kind"],
        name=row["name"],
        detail=msgspec.json.decode(row["detail"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
    )


def _json(detail: Mapping[str, Any]) -> str:
    return msgspec.json.encode(detail).decode()


def money_text(amount_minor: int, currency: str) -> str:
    """An amount as a message shows it."""
    return str(Money(amount_minor, currency))
