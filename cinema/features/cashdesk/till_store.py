"""What sales and refunds do with open cash sessions, in Postgres."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.store import SESSION_COLUMNS, drawer_of, noted
from cinema.features.ledger.refund_store import pay_out
from cinema.features.ledger.shapes import Refund
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    run_once,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_OPEN_OF: Final = f"""
select {SESSION_COLUMNS} from cash_sessions
where opened_by = $1 and closed_at is null for share"""
_CURRENCY: Final = "select currency from cinemas where id = $1"

_TAKE: Final = """
insert into cash_takings (payment_id, session_id, tender, reference, taken_at)
values ($1, $2, $3, $4, $5)
on conflict (payment_id) do update
set session_id = excluded.session_id, tender = excluded.tender, reference = excluded.reference,
    taken_at = excluded.taken_at
where not exists (
    select from payments p where p.id = cash_takings.payment_id
        and p.status in ('succeeded', 'partially_refunded', 'refunded')
)"""
_NOT_TAKEN: Final = """
delete from cash_takings t where payment_id = $1 and not exists (
    select from payments p where p.id = t.payment_id
        and p.status in ('succeeded', 'partially_refunded', 'refunded')
)"""
# What was sold beside bookings was paid when it was noted.
_TAKE_FOR: Final = """
insert into cash_takings (payment_id, session_id, tender, reference, taken_at, amount_minor)
values ($1, $2, $3, $4, $5, $6)"""
_NOTE_PAYOUT: Final = """
insert into cash_payouts (refund_id, session_id, tender, amount_minor, reference, paid_at)
values ($1, $2, $3, $4, $5, $6)"""
_OPEN_TO_PAY_OUT: Final = f"""
select {SESSION_COLUMNS} from cash_sessions
where opened_by = $1 and closed_at is null for update"""


class TillsRepository:
    """Money that comes into drawers, and goes out of them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(
        self,
        payment_id: UUID,
        cinema_id: UUID,
        person: UUID,
        how: Tendered,
        at: datetime,
    ) -> None:
        """Note, before a payment is decided, that a person's open session takes its money.

        It may be repeated; once the payment has succeeded, its till stays. Refuses
        CASH_SESSION_REQUIRED without a session at this cinema.
        """
        async with transaction(self._pool) as running:
            row = await _open_session(running, _OPEN_OF, person, cinema_id)
            _check_till(row, await running.fetchval(_CURRENCY, cinema_id))
            await running.execute(_TAKE, payment_id, row["id"], how.tender, how.reference, at)

    async def pay_out(
        self,
        refund_id: UUID,
        cinema_id: UUID,
        how: Tendered,
        act: Act,
        key: IdempotencyKey | None,
    ) -> Refund:
        """Hand out the money of a refund from the open drawer of whoever acts.

        Refuses CASH_SESSION_REQUIRED, NOT_ENOUGH_CASH, REFUND_NOT_AT_COUNTER.
        """

        async def hand_out(running: PooledConnection) -> Refund:
            row = await _open_session(running, _OPEN_TO_PAY_OUT, act.by, cinema_id)
            refund = await pay_out(running, refund_id, how.tender, how.reference, act.at)
            if refund is None:
                raise refuse("REFUND_NOT_AT_COUNTER")
            _check_till(row, refund.amount.currency)
            amount_minor = refund.amount.amount
            if how.tender == "cash" and amount_minor > (await drawer_of(running, row)).expected:
                raise refuse("NOT_ENOUGH_CASH")
            await running.execute(
                *(_NOTE_PAYOUT, refund_id, row["id"], how.tender, amount_minor),
                *(how.reference, act.at),
            )
            await noted(running, "refund_paid_out", refund.booking_id, act, refund)
            return refund

        return await run_once(self._pool, key, act.at, Refund, hand_out)

    async def take_for(
        self,
        running: PooledConnection,
        sale_id: UUID,
        cinema_id: UUID,
        person: UUID,
        how: Tendered,
        amount_minor: int,
        at: datetime,
    ) -> None:
        """Put the money of a sale beside bookings into the open session of a person.

        Refuses CASH_SESSION_REQUIRED without a session at this cinema.
        """
        row = await _open_session(running, _OPEN_OF, person, cinema_id)
        _check_till(row, await running.fetchval(_CURRENCY, cinema_id))
        await running.execute(
            *(_TAKE_FOR, sale_id, row["id"], how.tender, how.reference, at, amount_minor)
        )

    async def not_taken(self, payment_id: UUID) -> None:
        """Forget a taking whose payment was refused."""
        async with changing(self._pool) as writing:
            await writing.execute(_NOT_TAKEN, payment_id)


async def _open_session(
    running: PooledConnection, statement: str, person: UUID | None, cinema_id: UUID
) -> Record:
    """The open session of a person, locked. Refuses CASH_SESSION_REQUIRED: none at this cinema."""
    row = await running.fetchrow(statement, person)
    if row is None or row["cinema_id"] != cinema_id:
        raise refuse("CASH_SESSION_REQUIRED")
    return row


def _check_till(session: Record, currency: str) -> None:
    """A till has one currency, and its cinema may have another one by now."""
    if session["currency"] != currency:
        text = f"Your cash session is in {session['currency']}, and this is in {currency}."
        raise refuse("CASH_SESSION_REQUIRED", text)
