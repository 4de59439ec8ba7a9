"""Deposits in Postgres.

The money of a deposit is on a gift card whose code nobody knows. So what is put aside for the
booking, goes back or is kept is the money of a card. One transaction takes it, with its reminder.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.user_store import Act
from cinema.features.deposits.rules import (
    Agreed,
    NotTaken,
    ToPay,
    agreed,
    remind_at,
    why_not,
)
from cinema.features.deposits.shapes import DepositEnd, DepositInput
from cinema.features.giftcards.rules import NewCode, whole_years_later
from cinema.features.giftcards.shapes import YEARS_MIN, CardPayment, CardSale, NewCard
from cinema.features.giftcards.store import GiftCardsRepository
from cinema.features.messages.enqueuing import Enqueue
from cinema.features.refusals import found
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

REST_MESSAGE: Final = "deposit_rest_due"

# Nothing is locked: showtimes write these rows, and wait for nobody. What changes in this moment is
# found by whoever puts the money aside.
_BOOKING: Final = """
select b.status, b.total_minor, b.currency, b.code, b.pay_until, t.cinema_id,
    exists (select from deposits d where d.booking_id = b.id) as has_deposit,
    exists (
        select from payments p
        where p.booking_id = b.id and p.reserved and p.status in ('created', 'pending')
    ) as part_paid,
    exists (select from exchanges e where e.to_booking_id = b.id) or exists (
        select from series_bookings part join series whole on whole.id = part.series_id
        where part.booking_id = b.id and (whole.state in ('pending', 'committed') or whole.to_free)
    ) as waits,
    m.title as film, c.name as cinema,
    to_char(t.starts_at at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as starts,
    to_char(b.pay_until at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') as until
from bookings b
join showtimes t on t.id = b.showtime_id
join movies m on m.id = t.movie_id
join cinemas c on c.id = t.cinema_id
where b.id = $1"""
_ADD: Final = """
insert into deposits (booking_id, card_id, amount_minor, currency, percent, kept_percent,
    keeps_minor, remind_at, taken_at, taken_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (booking_id) do nothing
returning true"""
# Attempts of a booking that its card pays, and what the card has done for them.
_USES: Final = """
    select bool_or(u.state = 'used') as is_used, bool_or(u.state = 'reserved') as is_aside,
        bool_or(u.state <> 'chosen') as was_aside
    from payments p join gift_card_uses u on u.payment_id = p.id
    where p.booking_id = d.booking_id and u.card_id = d.card_id"""
_FIND: Final = """
select d.*, b.pay_until, c.id as left_on, c.last_four, c.balance_minor
from deposits d
join bookings b on b.id = d.booking_id
join gift_cards first on first.id = d.card_id
join gift_cards c on c.id = coalesce(first.replaced_by, first.id)
where d.booking_id = $1"""
_OPEN: Final = f"""
select d.booking_id, d.card_id, d.taken_at, b.status, coalesce(uses.is_aside, false) as is_aside
from deposits d
join bookings b on b.id = d.booking_id
join gift_cards c on c.id = d.card_id
left join lateral ({_USES}) uses on true
where d.ended_at is null and (d.taken_at, d.booking_id) > ($1, $2)
    and (
        b.status <> 'pending'
        or (not coalesce(uses.is_aside, false) and c.disabled_at is null and c.replaced_by is null)
    )
order by d.taken_at, d.booking_id limit $3"""
# Nothing is kept of whoever was called off, or may step back because the showtime was moved, nor of
# money that was never put aside: the booking had ended before. What still may be is waited for: the
# ledger ends attempts that the end of their booking has not seen (`ledger/left_jobs.py`).
_SETTLE: Final = f"""
with d as (
    select * from deposits where booking_id = $1 and ended_at is null for update
), decided as (
    select d.booking_id, d.card_id, d.currency, b.showtime_id,
        case
            when uses.is_used then 'used'
            when uses.is_aside or b.status = 'pending' or exists (
                select from payments p where p.booking_id = d.booking_id
                    and p.method = 'gift_card' and p.status in ('created', 'pending')
            ) then null
            when b.status in ('cancelled', 'expired') then 'given_up'
            else 'returned'
        end as outcome,
        case
            when b.status not in ('cancelled', 'expired') or uses.was_aside is not true then 0
            when t.cancelled_at is not null or t.free_refund_until > $2 then 0
            else d.keeps_minor
        end as keeps_minor
    from d
    join bookings b on b.id = d.booking_id
    join showtimes t on t.id = b.showtime_id
    left join lateral ({_USES}) uses on true
), kept as (
    update gift_cards c
    set last_taken_minor = least(c.balance_minor, s.keeps_minor),
        balance_minor = c.balance_minor - least(c.balance_minor, s.keeps_minor)
    from decided s
    where s.outcome = 'given_up' and s.keeps_minor > 0 and c.balance_minor > 0
        and c.id = (
            select coalesce(one.replaced_by, one.id) from gift_cards one where one.id = s.card_id
        )
    returning c.id as card_id, c.last_taken_minor as amount_minor
), entered as (
    insert into gift_card_entries (card_id, kind, source, booking_id, amount_minor, at)
    select k.card_id, 'taken_back', s.booking_id, s.booking_id, -k.amount_minor, $2
    from kept k cross join decided s
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select 'deposit_kept', s.booking_id, s.booking_id, s.showtime_id, s.currency, $2,
        array['gift_cards', 'revenue'], array[k.amount_minor, -k.amount_minor]
    from kept k cross join decided s
)
update deposits t
set outcome = s.outcome, ended_at = $2,
    kept_minor = coalesce((select amount_minor from kept), 0)
from decided s
where t.booking_id = s.booking_id and s.outcome is not null
returning t.outcome"""
_IS_DUE: Final = """
select exists (
    select from deposits d join bookings b on b.id = d.booking_id
    join showtimes t on t.id = b.showtime_id
    join cinemas c on c.id = t.cinema_id
    where d.booking_id = $1 and d.ended_at is null and b.status = 'pending'
        and to_char(b.pay_until at time zone c.time_zone, 'YYYY-MM-DD HH24:MI') = $2
)"""

FIRST: Final = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
"""Before all deposits, by `taken_at` and booking."""


class KeptDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit; see the table. `left_on` is its card, or that in its place."""

    booking_id: UUID
    card_id: UUID
    amount_minor: int
    currency: str
    percent: int
    kept_percent: int
    keeps_minor: int
    kept_minor: int
    remind_at: datetime | None
    taken_at: datetime
    taken_by: UUID
    outcome: DepositEnd | None
    ended_at: datetime | None
    pay_until: datetime | None
    left_on: UUID
    last_four: str
    balance_minor: int


class OpenDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit with which something is to be done."""

    booking_id: UUID
    card_id: UUID
    taken_at: datetime
    status: str
    is_aside: bool


class DepositsRepository:
    """Reads and writes deposits, always on the primary."""

    def __init__(self, pool: Pool, cards: GiftCardsRepository, post: Enqueue) -> None:
        self._pool = pool
        self._cards = cards
        self._post = post

    async def why_not(self, booking_id: UUID, request: DepositInput) -> NotTaken | None:
        """Why no deposit can be taken now; None if it can. Refuses NOT_FOUND, RETRY."""
        async with connection(self._pool) as reading:
            row = found(await reading.fetchrow(_BOOKING, booking_id))
        return why_not(_standing(row), _agreed(row, request))

    async def take(
        self,
        booking_id: UUID,
        card_id: UUID,
        code: NewCode,
        request: DepositInput,
        email: str | None,
        act: Act,
        key: IdempotencyKey | None,
    ) -> UUID:
        """Take a deposit, with its card and its reminder; the card of a repetition is the first.

        Refuses NOT_FOUND, DEPOSIT_NOT_TAKEN, CASH_SESSION_REQUIRED, RETRY, OUTCOME_UNKNOWN.
        """

        async def insert(running: PooledConnection) -> UUID:
            row = found(await running.fetchrow(_BOOKING, booking_id))
            terms = _agreed(row, request)
            reason = why_not(_standing(row), terms)
            remind = None
            if email is not None:
                remind = remind_at(row["pay_until"], request.remind_before_hours, act.at)
            added = reason is None and await running.fetchval(
                *(_ADD, booking_id, card_id, terms.amount_minor, row["currency"], request.percent),
                *(request.kept_percent, terms.keeps_minor, remind, act.at, act.by),
            )
            if not added:
                raise refuse("DEPOSIT_NOT_TAKEN", reason=reason or "has_deposit")
            payment = CardPayment(
                method=request.payment.method,
                tender=request.payment.tender,
                reference=request.payment.reference,
            )
            sold = _sold(card_id, row, terms, act.at)
            await self._cards.issue(running, sold, [code], payment, act)
            await _note(running, booking_id, card_id, terms, act)
            if email is not None and remind is not None:
                await self._remind(running, booking_id, row, terms, request, email, remind)
            return card_id

        return await run_once(self._pool, key, act.at, UUID, insert)

    async def _remind(
        self,
        running: PooledConnection,
        booking_id: UUID,
        row: Record,
        terms: Agreed,
        request: DepositInput,
        email: str,
        at: datetime,
    ) -> None:
        """Write the mail that is sent before the rest is due."""
        currency, contact = row["currency"], request.contact
        rest = Money(row["total_minor"] - terms.amount_minor, currency)
        await self._post(
            running,
            kind=REST_MESSAGE,
            to=email,
            language="" if contact is None else contact.language,
            payload={
                "film": row["film"],
                "cinema": row["cinema"],
                "starts": row["starts"],
                "code": row["code"],
                "booking_id": str(booking_id),
                "deposit": str(Money(terms.amount_minor, currency)),
                "keeps": str(Money(terms.keeps_minor, currency)) if terms.keeps_minor else "",
                "rest": str(rest),
                "until": row["until"],
            },
            dedupe_key=f"{REST_MESSAGE}:{booking_id}",
            send_at=at,
            drop_after=row["pay_until"],
        )

    async def find(self, booking_id: UUID) -> KeptDeposit | None:
        """The deposit of a booking. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_FIND, booking_id)
        return None if row is None else KeptDeposit(**dict(row))

    async def open(self, limit: int, after: tuple[datetime, UUID] = FIRST) -> Sequence[OpenDeposit]:
        """Deposits that are not put aside yet, or whose booking is decided. Refuses RETRY."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OPEN, *after, limit)
        return [OpenDeposit(**dict(row)) for row in rows]

    async def settle(self, booking_id: UUID, now: datetime) -> DepositEnd | None:
        """Note what has become of a deposit, and keep what was agreed; None if that is open."""
        async with changing(self._pool) as writing:
            outcome: DepositEnd | None = await writing.fetchval(_SETTLE, booking_id, now)
        return outcome

    async def is_due(self, booking_id: UUID, until: str) -> bool:
        """Whether the rest is still to be paid until then. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_IS_DUE, booking_id, until))


def _agreed(row: Record, request: DepositInput) -> Agreed:
    return agreed(row["total_minor"], request.percent, request.kept_percent)


def _standing(row: Record) -> ToPay:
    return ToPay(
        status=row["status"],
        total_minor=row["total_minor"],
        part_paid=row["part_paid"],
        has_deposit=row["has_deposit"],
        waits=row["waits"],
    )


def _sold(card_id: UUID, row: Record, terms: Agreed, now: datetime) -> CardSale:
    """The sale of the card; the card gives it its id."""
    amount = Money(terms.amount_minor, row["currency"])
    return CardSale(
        id=card_id,
        cinema_id=row["cinema_id"],
        amount=amount,
        total=amount,
        expires_at=whole_years_later(now, YEARS_MIN),
        cards=[NewCard(card_id, "", "")],
    )


async def _note(
    running: PooledConnection, booking_id: UUID, card_id: UUID, terms: Agreed, act: Act
) -> None:
    after = {
        "gift_card": str(card_id),
        "amount_minor": terms.amount_minor,
        "keeps_minor": terms.keeps_minor,
    }
    entry = AuditEntry(
        id=act.entry_id,
        at=act.at,
        action="deposit_taken",
        actor_id=act.by,
        target_id=booking_id,
        after=after,
    )
    await note(running, entry, act.client)
