"""Orders of gift cards in Postgres.

Each step of an order is one statement that finds it in the state from which the step goes on: what
is told twice is done once. The step that notes the money makes the card and writes the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.giftcards.order_rules import TEXTS_KEPT
from cinema.features.giftcards.rules import (
    DISPUTED,
    Card,
    NewCode,
    shown_code,
    whole_years_later,
)
from cinema.features.giftcards.shapes import YEARS_MIN, CardOrderInput, OrderStatus
from cinema.features.ledger.rules import account_of
from cinema.features.messages.enqueuing import Enqueue
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

RECEIPT: Final = "gift_card_receipt"
LETTER: Final = "gift_card_sent"

_CINEMA: Final = """
select currency, time_zone from cinemas where id = $1 and deleted_at is null"""
_ADD: Final = """
insert into gift_card_orders (id, cinema_id, buyer_id, amount_minor, currency, method,
    recipient_email, recipient_name, sender_name, message, deliver_at, created_at, due_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""

_ORDER: Final = """
    o.id, o.cinema_id, o.buyer_id, o.amount_minor, o.currency, o.method, o.status, o.reference,
    o.error_code, o.recipient_email, o.recipient_name, o.sender_name, o.message, o.deliver_at,
    o.delivered_at, o.card_id, o.asked_again, o.refund_reference, o.created_at, o.paid_at,
    o.refunded_at, o.attempts, c.last_four, c.balance_minor, c.expires_at, c.disabled_at"""
_FROM: Final = "from gift_card_orders o left join gift_cards c on c.id = o.card_id"
_FIND: Final = f"select {_ORDER} {_FROM} where o.id = $1"
_OF_BUYER: Final = f"""
select {_ORDER} {_FROM}
where o.buyer_id = $1 and ($2::uuid is null or o.id < $2) and ($3::text is null or o.status = $3)
order by o.id desc limit $4"""
_OF_CINEMA: Final = f"""
select {_ORDER} {_FROM}
where o.cinema_id = $1 and ($2::uuid is null or o.id < $2) and ($3::text is null or o.status = $3)
order by o.id desc limit $4"""

_CLAIM: Final = f"""
with claimed as (
    update gift_card_orders set due_at = $2, attempts = attempts + 1
    where id = any(array(
        select id from gift_card_orders where due_at <= $1
        order by due_at limit $3 for update skip locked
    ))
    returning *
)
select {_ORDER} from claimed o left join gift_cards c on c.id = o.card_id"""
DUE: Final = "exists (select from gift_card_orders where due_at <= {0}::timestamptz)"
_PUT_OFF: Final = """
update gift_card_orders set due_at = $3, error_code = coalesce($4, error_code)
where id = $1 and status = $2 and due_at is not null"""
_NAME: Final = """
update gift_card_orders set reference = $2
where id = $1 and reference is null and status in ('open', 'cancelled')"""
_END: Final = """
update gift_card_orders
set status = 'cancelled', due_at = null, error_code = coalesce($2, error_code)
where id = $1 and status = 'open'"""
_NOTE: Final = """
update gift_card_orders set reference = coalesce($2, reference), error_code = $3
where id = $1 and status = 'open'"""

# Also one that was given up: its money has come after all, and nothing is lost by it.
_SETTLE: Final = """
with paid as (
    update gift_card_orders o
    set status = 'paid', paid_at = $2, card_id = $3, error_code = null, due_at = o.deliver_at,
        attempts = 0
    where o.id = $1 and o.status in ('open', 'cancelled')
    returning o.id, o.cinema_id, o.buyer_id, o.amount_minor, o.currency, o.method,
        o.recipient_email, o.recipient_name, o.disputed_at
), made as (
    insert into gift_cards (id, sale_id, code_digest, last_four, cinema_id, currency, sold_minor,
        balance_minor, method, sold_at, sold_by, expires_at, disabled_at, disabled_reason)
    select $3, p.id, $4, $5, p.cinema_id, p.currency, p.amount_minor, p.amount_minor, p.method, $2,
        p.buyer_id, $6, p.disputed_at, case when p.disputed_at is not null then $8 end
    from paid p
), entered as (
    insert into gift_card_entries (card_id, kind, source, amount_minor, at)
    select $3, 'sold', $3, p.amount_minor, $2 from paid p
), written as (
    insert into ledger (kind, source, currency, at, accounts, amounts)
    select 'gift_card_sale', p.id, p.currency, $2, array[$7, 'gift_cards'],
        array[p.amount_minor, -p.amount_minor]
    from paid p
)
select p.*, u.email, coalesce(u.first_name, '') as first_name, coalesce(u.language, '') as language,
    coalesce(k.name, '') as cinema
from paid p
left join users u on u.id = p.buyer_id and u.deleted_at is null
left join cinemas k on k.id = p.cinema_id"""

_SEND: Final = """
with sent as (
    update gift_card_orders o set delivered_at = $2, due_at = null, attempts = 0
    from gift_cards c
    where o.id = $1 and o.status = 'paid' and o.delivered_at is null and c.id = o.card_id
        and c.disabled_at is null
    returning o.buyer_id, o.cinema_id, o.recipient_email, o.recipient_name, o.sender_name,
        o.message, o.amount_minor, o.currency, c.expires_at
)
select s.*, coalesce(u.language, '') as language, coalesce(k.name, '') as cinema
from sent s
left join users u on u.id = s.buyer_id
left join cinemas k on k.id = s.cinema_id"""
_REST: Final = """
update gift_card_orders set due_at = null where id = $1 and status = 'paid'"""


_FORGET: Final = """
with gone as (
    update gift_card_orders
    set recipient_email = '', recipient_name = '', sender_name = '', message = '',
        forgotten_at = $1
    where id = any(array(
        select id from gift_card_orders
        where forgotten_at is null and created_at < $2 and (
            delivered_at < $2 or status not in ('open', 'paid')
        )
        order by created_at limit $3 for update skip locked
    ))
    returning 1
)
select count(*) from gone"""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is kept for a repetition of its request."""

    id: UUID


class StoredOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order, and how it stands with its card."""

    id: UUID
    cinema_id: UUID
    buyer_id: UUID
    amount_minor: int
    currency: str
    method: str
    status: OrderStatus
    reference: str | None
    error_code: str | None
    recipient_email: str
    recipient_name: str
    sender_name: str
    message: str
    deliver_at: datetime
    delivered_at: datetime | None
    card_id: UUID | None
    asked_again: int
    refund_reference: str | None
    created_at: datetime
    paid_at: datetime | None
    refunded_at: datetime | None
    attempts: int
    last_four: str | None
    balance_minor: int | None
    expires_at: datetime | None
    disabled_at: datetime | None

    @property
    def card(self) -> Card | None:
        """What has to be known of its card before that is used; None if it is not paid."""
        if self.balance_minor is None or self.expires_at is None:
            return None
        return Card(
            currency=self.currency,
            balance_minor=self.balance_minor,
            expires_at=self.expires_at,
            disabled_at=self.disabled_at,
        )


class CardOrdersRepository:
    """Reads and writes orders of gift cards."""

    def __init__(self, pool: Pool, post: Enqueue) -> None:
        self._pool = pool
        self._post = post

    async def add(
        self,
        order_id: UUID,
        buyer_id: UUID,
        request: CardOrderInput,
        check: Callable[[str, str], datetime],
        *,
        due_at: datetime,
        now: datetime,
        key: IdempotencyKey | None,
    ) -> UUID:
        """A new order, or that of an earlier request with this key; its id.

        `check` is told the currency and the time zone of the cinema, and says when the card is
        sent. Refuses UNKNOWN_REFERENCE, and what `check` refuses.
        """

        async def insert(running: PooledConnection) -> Placed:
            cinema = await running.fetchrow(_CINEMA, request.cinema_id)
            if cinema is None:
                text = "There is no such cinema."
                raise refuse("UNKNOWN_REFERENCE", text, path="$.cinema_id")
            deliver_at = check(cinema["currency"], cinema["time_zone"])
            to, amount = request.recipient, request.amount
            await running.execute(
                *(_ADD, order_id, request.cinema_id, buyer_id, amount.amount, amount.currency),
                *(request.payment.method, to.email, to.name, request.sender_name),
                *(request.message, deliver_at, now, due_at),
            )
            return Placed(id=order_id)

        return (await run_once(self._pool, key, now, Placed, insert)).id

    async def find(self, order_id: UUID) -> StoredOrder | None:
        """The order of an id, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_FIND, order_id)
        return None if row is None else _order(row)

    async def of_buyer(
        self, buyer_id: UUID, before: UUID | None, status: str | None, limit: int
    ) -> list[StoredOrder]:
        """Orders of an account, the newest first."""
        return await self._list(_OF_BUYER, buyer_id, before, status, limit)

    async def of_cinema(
        self, cinema_id: UUID, before: UUID | None, status: str | None, limit: int
    ) -> list[StoredOrder]:
        """Orders at a cinema, the newest first."""
        return await self._list(_OF_CINEMA, cinema_id, before, status, limit)

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[StoredOrder]:
        """Orders with which something is to be done, for this caller alone during the lease."""
        return await self._list(_CLAIM, now, now + lease, limit)

    async def put_off(
        self, order: StoredOrder, until: datetime, error_code: str | None = None
    ) -> None:
        """Nothing is to be done with an order before this, unless it has gone on meanwhile."""
        await self._run(_PUT_OFF, order.id, order.status, until, error_code)

    # --- its money

    async def name(self, order_id: UUID, reference: str) -> None:
        """How the provider calls the payment of an order, if that was not stored."""
        await self._run(_NAME, order_id, reference)

    async def note(self, order_id: UUID, reference: str | None, error_code: str | None) -> None:
        """What the provider says of an order that is not paid yet."""
        await self._run(_NOTE, order_id, reference, error_code)

    async def end(self, order_id: UUID, error_code: str | None) -> None:
        """Nobody pays an order any more."""
        await self._run(_END, order_id, error_code)

    async def settle(self, order: StoredOrder, card_id: UUID, new: NewCode, now: datetime) -> bool:
        """The money of an order is here: its card is made, once; False if that was done."""
        expires_at = whole_years_later(now, YEARS_MIN)
        async with transaction(self._pool) as running:
            row = await running.fetchrow(
                *(_SETTLE, order.id, now, card_id, new.digest, new.last_four, expires_at),
                *(account_of(order.method), DISPUTED),
            )
            if row is None:
                return False
            if row["email"] is not None:
                await self._post(
                    running,
                    kind=RECEIPT,
                    to=row["email"],
                    language=row["language"],
                    payload={
                        "first_name": row["first_name"],
                        "cinema": row["cinema"],
                        "order": str(row["id"]),
                        "amount": str(Money(row["amount_minor"], row["currency"])),
                        "at": now.isoformat(),
                        "expires_at": expires_at.isoformat(),
                        "recipient": row["recipient_name"] or row["recipient_email"],
                    },
                    dedupe_key=f"{RECEIPT}:{row['id']}",
                )
            return True

    # --- its card

    async def send(self, order: StoredOrder, new: NewCode, now: datetime) -> bool:
        """Have the card of an order sent, once; False if there is nothing to send."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_SEND, order.id, now)
            if row is None:
                await running.execute(_REST, order.id)
                return False
            await self._post(
                running,
                kind=LETTER,
                to=row["recipient_email"],
                language=row["language"],
                payload={
                    "name": row["recipient_name"],
                    "sender": row["sender_name"],
                    "message": row["message"],
                    "cinema": row["cinema"],
                    "amount": str(Money(row["amount_minor"], row["currency"])),
                    "code": shown_code(new.code),
                    "expires_at": row["expires_at"].isoformat(),
                },
                dedupe_key=f"{LETTER}:{order.id}",
            )
            return True

    async def forget(self, now: datetime, limit: int) -> int:
        """Empty the texts of orders that were sent or came to nothing long ago; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now, now - TEXTS_KEPT, limit)
        return gone

    async def _list(self, statement: str, *values: object) -> list[StoredOrder]:
        async with connection(self._pool) as acquired:
            return [_order(row) for row in await acquired.fetch(statement, *values)]

    async def _run(self, statement: str, *values: object) -> None:
        async with changing(self._pool) as writing:
            await writing.execute(statement, *values)


def _order(row: Record) -> StoredOrder:
    return StoredOrder(**dict(row))
