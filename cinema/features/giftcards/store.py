"""Gift cards in Postgres.

The balance of a card is changed in one statement with the entry that says why: a conditional
update, so that two who use a card at once never take it below 0. What bookings do with cards is one
statement each, because commits of showtimes change the same payments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.cashdesk.shapes import Tendered
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.giftcards.rules import (
    DISPUTED,
    GROUP_CHARS,
    REPLACED_MOST,
    Card,
    NewCode,
    code_digest,
    code_of,
    new_code,
    whole_years_later,
)
from cinema.features.giftcards.shapes import (
    CardEntry,
    CardPayment,
    CardSale,
    CardSaleInput,
    GiftCard,
    NewCard,
)
from cinema.features.ledger.rules import REVENUE
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
    transaction,
)
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_READ_KEY: Final = "select id, secret from gift_card_keys"
_ADD_KEY: Final = """
insert into gift_card_keys (id, secret) values ($1, $2) on conflict (only_one) do nothing"""

_CINEMA: Final = "select currency from cinemas where id = $1 and deleted_at is null"
_ADD: Final = """
insert into gift_cards (id, sale_id, code_digest, last_four, cinema_id, currency, sold_minor,
    balance_minor, method, sold_at, sold_by, expires_at)
select new.id, $3, new.digest, new.last_four, $4, $5, $6, $6, $7, $8, $9, $10
from unnest($1::uuid[], $2::bytea[], $11::text[]) as new(id, digest, last_four)"""
_ADD_ENTRIES: Final = """
insert into gift_card_entries (card_id, kind, source, amount_minor, at)
select id, 'sold', id, $2, $3 from unnest($1::uuid[]) as new(id)"""
_ADD_TO_LEDGER: Final = """
insert into ledger (kind, source, currency, at, accounts, amounts)
values ('gift_card_sale', $1, $2, $3, array[$4, 'gift_cards'], array[$5::bigint, -$5::bigint])"""

_SHOWN: Final = """
    id, cinema_id, last_four, currency, sold_minor, balance_minor, method, sold_at, expires_at,
    disabled_at, disabled_reason, replaced_by"""
_BY_ID: Final = f"select {_SHOWN} from gift_cards where id = $1"
_BY_CODE: Final = f"select {_SHOWN} from gift_cards where code_digest = $1"
_LIST: Final = f"""
select {_SHOWN} from gift_cards
where cinema_id = $1 and id > $2 and ($3::text is null or last_four = $3)
order by id limit $4"""
_ENTRIES: Final = """
select kind, amount_minor, booking_id, at from gift_card_entries
where card_id = $1 order by at, kind, source limit $2"""
# Whoever disables a blocked card keeps it out of use, whatever the bank decides.
_DISABLE: Final = f"""
update gift_cards set disabled_at = $2, disabled_by = $3, disabled_reason = $4
where id = $1 and (disabled_at is null or disabled_by is null and disabled_reason = $5)
returning {_SHOWN}"""

# One that was replaced stands for that in its place: so each card has at most one after it.
_NEWEST: Final = f"""
with recursive chain (id, replaced_by, hops) as (
    select id, replaced_by, 0 from gift_cards where id = $1
    union all
    select c.id, c.replaced_by, chain.hops + 1
    from chain join gift_cards c on c.id = chain.replaced_by
    where chain.hops < {REPLACED_MOST}
)
select id from chain where replaced_by is null"""
_LOCK_ORDER: Final = f"""
with recursive chain (id, hops) as (
    select $1::uuid, 0
    union all
    select c.id, chain.hops + 1 from chain join gift_cards c on c.replaced_by = chain.id
    where chain.hops < {REPLACED_MOST}
)
select disputed_at is not null as is_disputed from gift_card_orders
where card_id in (select id from chain) for update"""
_LOCK: Final = """
select cinema_id, currency, balance_minor, expires_at from gift_cards
where id = $1 and replaced_by is null for update"""
# One whose payment a bank decides about is out of use from its first moment.
_REPLACE: Final = """
with moved as (
    insert into gift_cards (id, sale_id, code_digest, last_four, cinema_id, currency, sold_minor,
        balance_minor, method, sold_at, sold_by, expires_at, disabled_at, disabled_reason)
    select $2, $3, $4, $5, cinema_id, currency, balance_minor, balance_minor, 'replacement', $6,
        $7, $8, case when $10::text is not null then $6::timestamptz end, $10
    from gift_cards where id = $1
    returning balance_minor
), written as (
    insert into gift_card_entries (card_id, kind, source, amount_minor, at)
    select entry.card_id, entry.kind, $2, entry.sign * moved.balance_minor, $6
    from moved cross join (
        values ($1::uuid, 'moved_away', -1), ($2::uuid, 'moved_here', 1)
    ) as entry(card_id, kind, sign)
    where moved.balance_minor > 0
)
update gift_cards set balance_minor = 0, replaced_by = $2,
    disabled_at = coalesce(disabled_at, $6), disabled_by = coalesce(disabled_by, $7),
    disabled_reason = coalesce(disabled_reason, $9)
where id = $1"""
_REPLACE_BEFORE: Final = "update gift_cards set replaced_by = $2 where replaced_by = $1"


REPLACED_NOW: Final = "This gift card was replaced in this moment."

FIRST_ID: Final = UUID(int=0)

ENTRIES_SHOWN: Final = 1000

USABLE_AFTER_REFUND: Final = timedelta(days=180)
"""For so long a card can be used after money went back to it, also one that was expired."""


ACCOUNT_OF_SALE: Final = {"demo": "demo", "free": REVENUE}
"""Where the money of new cards is that no till has taken. A gift is a loss of what was earned."""


def _place(key_id: UUID) -> bytes:
    return b"gift_card_keys.secret:" + key_id.bytes


def _of_sale(sale_id: UUID) -> bytes:
    return b"idempotent_requests.gift_cards:" + sale_id.bytes


SEALED: Final = SealedColumn(table="gift_card_keys", key="id", column="secret", place=_place)


class FoundCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that was looked up by its code."""

    id: UUID
    last_four: str
    card: Card


class StoredSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as it is kept for a repetition of its request: the codes follow from its `seed`."""

    sale: CardSale
    seed: bytes


class GiftCardsRepository:
    """Reads and writes gift cards."""

    def __init__(
        self, pool: Pool, cipher: Cipher, tills: TillsRepository, reads: Reads | None = None
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._tills = tills
        self._reads = reads or PrimaryReads(pool)
        self._key: bytes | None = None

    # --- the key of the digests

    async def key(self, new_id: UUID, new_secret: bytes) -> bytes:
        """The key of all digests; the new one, if there was none."""
        if self._key is None:
            async with changing(self._pool) as running:
                row = await running.fetchrow(_READ_KEY)
                if row is None:
                    sealed = self._cipher.seal(new_secret, place=_place(new_id))
                    await running.execute(_ADD_KEY, new_id, sealed)
                    row = _some(await running.fetchrow(_READ_KEY))
            self._key = self._cipher.open(row["secret"], place=_place(row["id"]))
        return self._key

    # --- sales and managers

    async def sell(
        self,
        sale_id: UUID,
        card_ids: Sequence[UUID],
        request: CardSaleInput,
        *,
        digest_key: bytes,
        seed: bytes,
        act: Act,
        key: IdempotencyKey | None,
    ) -> CardSale:
        """New cards with their codes; a repetition is answered with the same.

        Refuses UNKNOWN_REFERENCE, VALIDATION_ERROR for another currency, CASH_SESSION_REQUIRED.
        """

        async def insert(running: PooledConnection) -> StoredSale:
            currency = await running.fetchval(_CINEMA, request.cinema_id)
            if currency is None:
                text = "There is no such cinema."
                raise refuse("UNKNOWN_REFERENCE", text, path="$.cinema_id")
            if request.amount.currency != currency:
                text = f"This cinema's currency is {currency}."
                raise refuse("VALIDATION_ERROR", text, path="$.amount.currency")
            made = _sale(sale_id, card_ids, request, act.at)
            codes = [new_code(digest_key, seed, number) for number in range(len(card_ids))]
            payment = request.payment
            await self.issue(running, made, codes, payment, act)
            after = {
                "quantity": len(card_ids),
                "amount": msgspec.to_builtins(request.amount),
                "method": payment.method,
            }
            await note_act(running, act, "gift_cards_sold", sale_id, after=after)
            return StoredSale(sale=made, seed=self._cipher.seal(seed, place=_of_sale(made.id)))

        stored = await run_once(self._pool, key, act.at, StoredSale, insert)
        return self._with_codes(stored)

    async def issue(
        self,
        running: PooledConnection,
        made: CardSale,
        codes: Sequence[NewCode],
        payment: CardPayment,
        act: Act,
    ) -> None:
        """Write the cards of a sale and what was paid for them, in the caller's transaction.

        Refuses CASH_SESSION_REQUIRED.
        """
        await self._take(running, made, payment, act)
        card_ids, currency = [card.id for card in made.cards], made.amount.currency
        await running.execute(
            *(_ADD, card_ids, [code.digest for code in codes], made.id, made.cinema_id),
            *(currency, made.amount.amount, payment.method, act.at, act.by, made.expires_at),
            [code.last_four for code in codes],
        )
        await running.execute(_ADD_ENTRIES, card_ids, made.amount.amount, act.at)
        account = ACCOUNT_OF_SALE.get(payment.method, payment.tender or "cash")
        await running.execute(_ADD_TO_LEDGER, made.id, currency, act.at, account, made.total.amount)

    def _with_codes(self, stored: StoredSale) -> CardSale:
        seed = self._cipher.open(stored.seed, place=_of_sale(stored.sale.id))
        return with_codes(stored.sale, seed)

    async def _take(
        self, running: PooledConnection, made: CardSale, payment: CardPayment, act: Act
    ) -> None:
        if payment.method == "counter":
            how = Tendered(tender=payment.tender or "cash", reference=payment.reference)
            assert act.by is not None
            await self._tills.take_for(
                running, made.id, made.cinema_id, act.by, how, made.total.amount, act.at
            )

    async def find(self, card_id: UUID, now: datetime) -> GiftCard | None:
        """The card of an id."""
        row = await self._reads.fetchrow(_BY_ID, card_id)
        return None if row is None else _gift_card(row, now)

    async def of_cinema(
        self, cinema_id: UUID, last_four: str | None, after: UUID | None, limit: int, now: datetime
    ) -> list[GiftCard]:
        """Cards that a cinema has sold, the oldest first."""
        rows = await self._reads.fetch(_LIST, cinema_id, after or FIRST_ID, last_four, limit)
        return [_gift_card(row, now) for row in rows]

    async def entries(self, card_id: UUID) -> list[CardEntry]:
        """What has changed the balance of a card, the oldest first."""
        rows = await self._reads.fetch(_ENTRIES, card_id, ENTRIES_SHOWN)
        return [
            CardEntry(
                kind=row["kind"],
                amount=row["amount_minor"],
                booking_id=row["booking_id"],
                at=row["at"],
            )
            for row in rows
        ]

    async def replace(
        self,
        card_id: UUID,
        new_id: UUID,
        sale_id: UUID,
        reason: str,
        *,
        digest_key: bytes,
        seed: bytes,
        act: Act,
        key: IdempotencyKey | None,
    ) -> CardSale:
        """A card with a new code and what was on the other, which is out of use from now on.

        One that was replaced stands for the card that has taken its place. What goes back to them
        goes to the new one. A repetition is answered with the same. Refuses RETRY.
        """

        async def move(running: PooledConnection) -> StoredSale:
            # The order comes before its cards, as for a dispute about it.
            is_disputed = await running.fetchval(_LOCK_ORDER, card_id)
            newest = await running.fetchval(_NEWEST, card_id)
            row = await running.fetchrow(_LOCK, newest)
            if row is None:
                raise refuse("RETRY", REPLACED_NOW)
            expires_at = max(row["expires_at"], act.at + USABLE_AFTER_REFUND)
            amount = Money(row["balance_minor"], row["currency"])
            code = code_of(seed, 0)
            await running.execute(
                *(_REPLACE, newest, new_id, sale_id, code_digest(digest_key, code)),
                *(code[-GROUP_CHARS:], act.at, act.by, expires_at, reason),
                DISPUTED if is_disputed else None,
            )
            await running.execute(_REPLACE_BEFORE, newest, new_id)
            await note_act(
                running, act, "gift_card_replaced", newest, after={"replaced_by": str(new_id)}
            )
            made = CardSale(
                id=sale_id,
                cinema_id=row["cinema_id"],
                amount=amount,
                total=amount,
                expires_at=expires_at,
                cards=[NewCard(new_id, "", "")],
            )
            return StoredSale(sale=made, seed=self._cipher.seal(seed, place=_of_sale(made.id)))

        return self._with_codes(await run_once(self._pool, key, act.at, StoredSale, move))

    async def disable(self, card_id: UUID, reason: str, act: Act) -> GiftCard | None:
        """The card, out of use from now on; None if it was already."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_DISABLE, card_id, act.at, act.by, reason, DISPUTED)
            if row is None:
                return None
            await note_act(running, act, "gift_card_disabled", card_id)
            return _gift_card(row, act.at)

    async def by_code(self, digest: bytes) -> FoundCard | None:
        """The card with this digest of its code, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_CODE, digest)
        if row is None:
            return None
        return FoundCard(id=row["id"], last_four=row["last_four"], card=card_of(row))


def with_codes(sale: CardSale, seed: bytes) -> CardSale:
    """A sale with the codes of its cards."""
    cards = [
        NewCard(card.id, code, code[-GROUP_CHARS:])
        for card, code in ((card, code_of(seed, number)) for number, card in enumerate(sale.cards))
    ]
    return msgspec.structs.replace(sale, cards=cards)


def _sale(
    sale_id: UUID, card_ids: Sequence[UUID], request: CardSaleInput, now: datetime
) -> CardSale:
    """A sale as it is stored, without codes."""
    amount = request.amount
    return CardSale(
        id=sale_id,
        cinema_id=request.cinema_id,
        amount=amount,
        total=Money(amount.amount * len(card_ids), amount.currency),
        expires_at=whole_years_later(now, request.years),
        cards=[NewCard(card_id, "", "") for card_id in card_ids],
    )


def card_of(row: Record) -> Card:
    """What has to be known of a card before it is used."""
    return Card(
        currency=row["currency"],
        balance_minor=row["balance_minor"],
        expires_at=row["expires_at"],
        disabled_at=row["disabled_at"],
    )


def _gift_card(row: Record, now: datetime) -> GiftCard:
    currency = row["currency"]
    return GiftCard(
        id=row["id"],
        cinema_id=row["cinema_id"],
        last_four=row["last_four"],
        sold_for=Money(row["sold_minor"], currency),
        balance=Money(row["balance_minor"], currency),
        status=card_of(row).standing_at(now),
        method=row["method"],
        sold_at=row["sold_at"],
        expires_at=row["expires_at"],
        disabled_reason=row["disabled_reason"],
        replaced_by=row["replaced_by"],
    )


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row
