"""What goes back of orders of gift cards, in Postgres: refunds, and what banks take.

Each step is one statement that finds the order in the state from which the step goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.features.accounts.user_store import Act, note_act
from cinema.features.giftcards.order_rules import source_of_refund
from cinema.features.giftcards.order_store import StoredOrder
from cinema.features.giftcards.rules import (
    DISPUTED,
    REPLACED_MOST,
)
from cinema.features.ledger.rules import account_of
from cinema.storage.database.transactions import Pool, PooledConnection, changing, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

CARDS_OF_ORDER: Final = f"""chain (id, replaced_by, hops) as (
    select c.id, c.replaced_by, 0 from gift_card_orders o join gift_cards c on c.id = o.card_id
    where o.id = $1
    union all
    select c.id, c.replaced_by, chain.hops + 1
    from chain join gift_cards c on c.id = chain.replaced_by
    where chain.hops < {REPLACED_MOST}
)"""
"""The card of the order $1, and those that have taken its place one after the other."""

# Whoever takes money from the card at the same time waits here, or has come first: then it is used.
_TAKE_BACK: Final = """
with taken as (
    update gift_cards c
    set balance_minor = 0, disabled_at = $2, disabled_by = $3, disabled_reason = 'Given back.'
    from gift_card_orders o
    where o.id = $1 and o.status = 'paid' and c.id = o.card_id and c.disabled_at is null
        and c.balance_minor = c.sold_minor
    returning c.id as card_id, c.sold_minor as amount_minor, c.currency
), entered as (
    insert into gift_card_entries (card_id, kind, source, amount_minor, at)
    select card_id, 'taken_back', $1, -amount_minor, $2 from taken
), written as (
    insert into ledger (kind, source, currency, at, accounts, amounts)
    select 'gift_card_return', $1, currency, $2, array['gift_cards', 'customer'],
        array[amount_minor, -amount_minor]
    from taken
)
update gift_card_orders o set status = 'refunding', due_at = $2, attempts = 0, error_code = null
from taken where o.id = $1
returning true"""
_REFUNDED: Final = """
with refunded as (
    update gift_card_orders
    set status = 'refunded', refunded_at = $2, refund_reference = $3, due_at = null,
        error_code = null
    where id = $1 and status = 'refunding' and asked_again = $6
    returning amount_minor, currency
), written as (
    insert into ledger (kind, source, currency, at, accounts, amounts)
    select 'gift_card_refund', $4, currency, $2, array['customer', $5],
        array[amount_minor, -amount_minor]
    from refunded
)
select count(*) from refunded"""
_REFUND_FAILED: Final = """
update gift_card_orders
set status = 'refund_failed', error_code = $3, refund_reference = coalesce($2, refund_reference),
    due_at = null
where id = $1 and status = 'refunding' and asked_again = $4"""
_NAME_REFUND: Final = """
update gift_card_orders set refund_reference = coalesce($2, refund_reference)
where id = $1 and status = 'refunding'"""
_AGAIN: Final = """
update gift_card_orders
set status = 'refunding', asked_again = asked_again + 1, refund_reference = null, due_at = $2,
    attempts = 0
where id = $1 and status = 'refund_failed'
returning true"""
# Weeks after it had succeeded: then the provider has the money again.
_UNDO: Final = """
with undone as (
    update gift_card_orders o
    set status = 'refund_failed', error_code = $3, due_at = null, refunded_at = null
    from gift_card_orders before
    where o.id = $1 and before.id = o.id and o.status in ('refunding', 'refunded')
        and o.asked_again = $2
    returning before.status as former, o.amount_minor, o.currency
), written as (
    insert into ledger (kind, source, currency, at, accounts, amounts)
    select 'gift_card_refund_failed', $4, currency, $5, array[$6, 'customer'],
        array[amount_minor, -amount_minor]
    from undone where former = 'refunded'
)
select count(*) from undone"""

# The order is locked first, and what is done about its cards is a statement of its own afterwards:
# whoever has put another card in the place of one waits here, or was waited for and is seen.
_LOCK: Final = "select 1 from gift_card_orders where id = $1 for update"
_DISPUTED: Final = """
update gift_card_orders set disputed_at = coalesce(disputed_at, $2) where id = $1"""
_NOT_DISPUTED: Final = """
update gift_card_orders set disputed_at = null where id = $1 and status <> 'charged_back'"""
_BLOCK: Final = f"""
with recursive {CARDS_OF_ORDER}
update gift_cards c set disabled_at = $2, disabled_reason = $3
from chain where c.id = chain.id and c.disabled_at is null"""
_UNBLOCK: Final = f"""
with recursive {CARDS_OF_ORDER}, usable as (
    update gift_cards c set disabled_at = null, disabled_reason = null
    from chain join gift_card_orders o on o.id = $1
    where c.id = chain.id and chain.replaced_by is null and o.status = 'paid'
        and c.disabled_by is null and c.disabled_reason = $3
    returning c.id
)
update gift_card_orders o set due_at = greatest(o.deliver_at, $2)
from usable where o.id = $1 and o.card_id = usable.id and o.delivered_at is null"""
# What is still on the card goes; what it has paid already is lost.
_CHARGE_BACK: Final = f"""
with recursive {CARDS_OF_ORDER}, lost as (
    select o.id, chain.id as card_id, o.currency, o.method,
        least(o.amount_minor, $3::bigint) as amount_minor
    from gift_card_orders o join chain on chain.replaced_by is null
    where o.id = $1 and o.status = 'paid'
), taken as (
    update gift_cards c
    set last_taken_minor = least(c.balance_minor, l.amount_minor),
        balance_minor = c.balance_minor - least(c.balance_minor, l.amount_minor),
        disabled_at = coalesce(c.disabled_at, $2), disabled_reason = coalesce(c.disabled_reason, $5)
    from lost l where c.id = l.card_id
    returning c.id as card_id, c.last_taken_minor as taken_minor, l.amount_minor, l.currency
), entered as (
    insert into gift_card_entries (card_id, kind, source, amount_minor, at)
    select card_id, 'taken_back', $1, -taken_minor, $2 from taken where taken_minor > 0
), written as (
    insert into ledger (kind, source, currency, at, accounts, amounts)
    select 'gift_card_charge_back', $1, currency, $2, array['gift_cards', 'revenue', $4],
        array[taken_minor, amount_minor - taken_minor, -amount_minor]
    from taken
)
update gift_card_orders o set status = 'charged_back', due_at = null
from taken where o.id = $1"""


class CardReturnsRepository:
    """Takes cards of orders away, and notes what becomes of their money."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take_back(self, order: StoredOrder, act: Act) -> bool:
        """Take the card of an order away, whose money goes back; False if it was used."""

        async def take(running: PooledConnection) -> bool:
            await running.execute(_LOCK, order.id)
            return bool(await running.fetchval(_TAKE_BACK, order.id, act.at, act.by))

        return await self._noted(take, order, act)

    async def again(self, order: StoredOrder, act: Act) -> bool:
        """Ask for a refund again that has failed; False if it has not."""

        async def ask(running: PooledConnection) -> bool:
            return bool(await running.fetchval(_AGAIN, order.id, act.at))

        return await self._noted(ask, order, act)

    async def _noted(
        self, step: Callable[[PooledConnection], Awaitable[bool]], order: StoredOrder, act: Act
    ) -> bool:
        async with transaction(self._pool) as running:
            if not await step(running):
                return False
            await note_act(
                running,
                act,
                "gift_card_returned",
                order.id,
                after={"card": str(order.card_id), "amount_minor": order.amount_minor},
            )
            return True

    async def refunded(self, order: StoredOrder, reference: str | None, now: datetime) -> None:
        """The money of an order has gone back."""
        await self._run(
            *(_REFUNDED, order.id, now, reference, source_of_refund(order.id, order.asked_again)),
            *(account_of(order.method), order.asked_again),
        )

    async def refund_under_way(self, order: StoredOrder, reference: str | None) -> None:
        """The provider works on the refund of an order, and calls it so."""
        await self._run(_NAME_REFUND, order.id, reference)

    async def refund_failed(
        self, order: StoredOrder, reference: str | None, error_code: str | None
    ) -> None:
        """The provider does not give the money of an order back: staff have to see to it."""
        await self._run(_REFUND_FAILED, order.id, reference, error_code, order.asked_again)

    async def undo_refund(
        self, order: StoredOrder, again: int, error_code: str | None, now: datetime
    ) -> bool:
        """A refund has failed after all; False if that is known, or another one was asked for."""
        async with changing(self._pool) as writing:
            undone = await writing.fetchval(
                *(_UNDO, order.id, again, error_code, source_of_refund(order.id, again), now),
                account_of(order.method),
            )
        return bool(undone)

    async def block(self, order_id: UUID, now: datetime) -> None:
        """Nobody uses the card of an order, or one in its place, while a bank decides."""
        async with transaction(self._pool) as running:
            await running.execute(_DISPUTED, order_id, now)
            await running.execute(_BLOCK, order_id, now, DISPUTED)

    async def unblock(self, order_id: UUID, now: datetime) -> None:
        """The bank has decided: the money stays, and the card can be used."""
        async with transaction(self._pool) as running:
            await running.execute(_NOT_DISPUTED, order_id)
            await running.execute(_UNBLOCK, order_id, now, DISPUTED)

    async def charge_back(self, order: StoredOrder, away_minor: int, now: datetime) -> None:
        """A bank has taken the money of an order: what is on its card goes, the rest is lost."""
        account = account_of(order.method)
        async with transaction(self._pool) as running:
            await running.execute(_DISPUTED, order.id, now)
            await running.execute(_CHARGE_BACK, order.id, now, away_minor, account, DISPUTED)

    async def _run(self, statement: str, *values: object) -> None:
        async with changing(self._pool) as writing:
            await writing.execute(statement, *values)
