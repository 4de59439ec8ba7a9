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
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.user_store import Act
from cinema.features.giftcards.rules import (
    DISPUTED,
    GROUP_CHARS,
    REPLACED_MOST,
    Card,
    code_digest,
    code_of,
    whole_years_later,
)
from cinema.features.giftcards.shapes import (
    YEARS_MIN,
    CardEntry,
    CardSale,
    CardSaleInput,
    GiftCard,
    NewCard,
)
from cinema.features.ledger.methods import RefundOrder
from cinema.features.ledger.refund_store import GIVES, Goodwill
from cinema.features.ledger.rules import REVENUE
from cinema.features.ledger.store import PUT_ASIDE_BY_OTHERS
from cinema.features.ledger.tills import SalesOfTills, Tendered
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
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

# A card that has put money aside for an attempt stays its card.
_CHOOSE: Final = """
insert into gift_card_uses as u (payment_id, card_id, chosen_at) values ($1, $2, $3)
on conflict (payment_id) do update
set card_id = excluded.card_id, chosen_at = excluded.chosen_at
where u.state = 'chosen' or u.card_id = excluded.card_id
returning true"""
# Locks the attempt first. An event that ends its booking waits for this row and then finds what is
# put aside; or it came before, and nothing is put aside.
_RESERVE: Final = f"""
with attempt as (
    select p.id, p.booking_id, p.currency, u.card_id
    from payments p join gift_card_uses u on u.payment_id = p.id
    where p.id = $1 and p.status in ('created', 'pending') and not p.reserved
        and u.state = 'chosen'
    for update
), wanted as (
    select a.*, b.total_minor - aside.amount_minor as amount_minor, aside.ids
    from attempt a join bookings b on b.id = a.booking_id
    cross join lateral ({PUT_ASIDE_BY_OTHERS}) aside
), taken as (
    update gift_cards c
    set last_taken_minor = least(c.balance_minor, a.amount_minor),
        balance_minor = c.balance_minor - least(c.balance_minor, a.amount_minor)
    from wanted a
    where c.id = a.card_id and c.currency = a.currency and c.disabled_at is null
        and c.expires_at > $2 and c.balance_minor > 0 and a.amount_minor > 0
    returning c.id as card_id, c.last_taken_minor as amount_minor, a.id as payment_id,
        a.booking_id, a.ids
), used as (
    update gift_card_uses u set state = 'reserved', amount_minor = t.amount_minor
    from taken t where u.payment_id = t.payment_id
), written as (
    insert into gift_card_entries (card_id, kind, source, booking_id, amount_minor, at)
    select card_id, 'reserved', payment_id, booking_id, -amount_minor, $2 from taken
)
update payments p set amount_minor = t.amount_minor, reserved = true, status = 'pending',
    completes = t.ids, updated_at = $2
from taken t where p.id = t.payment_id"""
_CHOSEN: Final = """
select p.reserved and p.status in ('created', 'pending') as is_reserved,
    p.amount_minor + coalesce((
        select sum(part.amount_minor) from payments part where part.id = any(p.completes)
    ), 0) >= b.total_minor as pays_all,
    p.currency as wanted, c.currency, c.balance_minor, c.expires_at, c.disabled_at
from payments p
join bookings b on b.id = p.booking_id
join gift_card_uses u on u.payment_id = p.id
join gift_cards c on c.id = u.card_id
where p.id = $1"""
_PAYS: Final = """
select exists (
    select from payments p join gift_card_uses u on u.payment_id = p.id
    where p.booking_id = $2 and u.card_id = $1 and u.state in ('reserved', 'used')
)"""
# What an attempt has become is written by the event that decides about its booking. Cards are
# locked in the order of their ids: two nodes may give back to the same ones.
_DECIDE: Final = """
with decided as (
    update gift_card_uses u
    set state = case when p.status in ('failed', 'cancelled') then 'returned' else 'used' end
    from payments p
    where p.id = u.payment_id and u.payment_id = any(array(
        select one.payment_id from gift_card_uses one
        join payments attempt on attempt.id = one.payment_id
        where one.state = 'reserved' and attempt.status not in ('created', 'pending')
        order by one.payment_id limit $2 for update of one skip locked
    ))
    returning u.payment_id, u.amount_minor, u.state, p.booking_id, (
        select coalesce(c.replaced_by, c.id) from gift_cards c where c.id = u.card_id
    ) as card_id
), written as (
    insert into gift_card_entries (card_id, kind, source, booking_id, amount_minor, at)
    select card_id, 'returned', payment_id, booking_id, amount_minor, $1
    from decided where state = 'returned'
), locked as (
    select id from gift_cards
    where id in (select card_id from decided where state = 'returned')
    order by id for update
), credited as (
    update gift_cards c set balance_minor = c.balance_minor + of_card.amount_minor
    from (
        select card_id, sum(amount_minor)::bigint as amount_minor from decided
        where state = 'returned' group by card_id
    ) of_card join locked on locked.id = of_card.card_id
    where c.id = of_card.card_id
)
select count(*) from decided"""
# A refund that is asked for twice is paid once. Its card can be used for a while, whatever it was.
_REFUND: Final = """
with usable as (
    select c.id as card_id from gift_card_uses u
    join gift_cards used on used.id = u.card_id
    join gift_cards c on c.id = coalesce(used.replaced_by, used.id)
    where u.payment_id = $1 and c.disabled_at is null
), refunded as (
    insert into gift_card_entries (card_id, kind, source, booking_id, amount_minor, at)
    select card_id, 'refunded', $2, $3, $4, $5 from usable
    on conflict (kind, source) do nothing
    returning card_id, amount_minor
), credited as (
    update gift_cards c set balance_minor = c.balance_minor + r.amount_minor,
        expires_at = greatest(c.expires_at, $6)
    from refunded r where c.id = r.card_id
)
select exists (select from usable)
    or exists (select from gift_card_entries where kind = 'refunded' and source = $2)"""
# Money of a booking, without seats, becomes a new card; never more than is left of one payment. The
# refund is done with it: no provider is asked.
_GIVE: Final = f"""
with taken as (
    update payments p set refunded_minor = p.refunded_minor + $3, last_refund_minor = $3,
        status = case when p.refunded_minor + $3 >= p.amount_minor then 'refunded'
            else 'partially_refunded' end,
        updated_at = $4
    from bookings b join showtimes t on t.id = b.showtime_id
    where b.id = $2 and p.booking_id = b.id and p.status in ('succeeded', 'partially_refunded')
        and p.refunded_minor + $3 <= p.amount_minor and p.id = {GIVES}
    returning coalesce(p.origin_id, p.id) as payment_id, p.booking_id, p.currency, b.showtime_id,
        t.cinema_id, t.starts_at
), reduced as (
    update bookings b set total_minor = b.total_minor - $3 from taken
    where b.id = taken.booking_id and b.status = 'confirmed'
), written as (
    insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts, amounts)
    select line.kind, $1, w.booking_id, w.showtime_id, w.currency, $4,
        array[line.to_account, line.of_account], array[$3, -$3]
    from taken w
    cross join lateral (values
        ('cancellation', case when w.starts_at > $4 then 'deferred' else 'revenue' end, 'customer'),
        ('refund', 'customer', 'gift_cards')
    ) line (kind, to_account, of_account)
), noted as (
    insert into audit_log (id, at, actor_id, action, target_id, before, after, request_id, address)
    select $8, $4, $5, 'refund_made', w.booking_id, '{{}}',
        jsonb_build_object(
            'refund', $1, 'amount_minor', $3, 'reason', $6::text, 'gift_card', $12::uuid
        ), $9, $10
    from taken w
), made as (
    insert into gift_cards (id, sale_id, code_digest, last_four, cinema_id, currency, sold_minor,
        balance_minor, method, sold_at, sold_by, expires_at)
    select $12, $1, $13, $14, w.cinema_id, w.currency, $3, $3, 'refund', $4, $5, $15
    from taken w
), entered as (
    insert into gift_card_entries (card_id, kind, source, booking_id, amount_minor, at)
    select $12, 'refunded', $1, w.booking_id, $3, $4 from taken w
)
insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency, status,
    reason, requested_by, request_key, fingerprint, next_try_at, created_at, settled_at, to_card)
select $1, w.payment_id, w.booking_id, w.showtime_id, 'goodwill', $3, w.currency, 'succeeded', $6,
    $5, $7, $11, $4, $4, $4, $12
from taken w
returning true"""
# A card may be replaced in the moment in which money goes back to it: then it is handed on.
_HAND_ON: Final = """
with stuck as (
    update gift_cards c set balance_minor = 0, last_taken_minor = c.balance_minor
    where c.id = any(array(
        select one.id from gift_cards one
        where one.replaced_by is not null and one.balance_minor > 0 and not exists (
            select from gift_cards after where after.id = one.replaced_by
                and after.replaced_by is not null
        )
        order by one.id limit $2 for update skip locked
    ))
    returning c.id, c.replaced_by, c.last_taken_minor as amount_minor
), moves as (
    select gen_random_uuid() as source, stuck.* from stuck
), written as (
    insert into gift_card_entries (card_id, kind, source, amount_minor, at)
    select entry.card_id, entry.kind, m.source, entry.amount_minor, $1
    from moves m cross join lateral (values
        (m.id, 'moved_away', -m.amount_minor), (m.replaced_by, 'moved_here', m.amount_minor)
    ) as entry(card_id, kind, amount_minor)
), credited as (
    update gift_cards c set balance_minor = c.balance_minor + of_card.amount_minor
    from (
        select replaced_by, sum(amount_minor)::bigint as amount_minor from moves
        group by replaced_by
    ) of_card
    where c.id = of_card.replaced_by
)
select count(*) from stuck"""
_OF_REFUND: Final = "select to_card from refunds where id = $1"
_FORGET: Final = """
with gone as (
    delete from gift_card_uses where payment_id = any(array(
        select u.payment_id from gift_card_uses u
        where u.state = 'chosen' and u.chosen_at < $1
            and not exists (
                select from payments p
                where p.id = u.payment_id and p.status in ('created', 'pending')
            )
        order by u.chosen_at limit $2 for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

REPLACED_NOW: Final = "This gift card was replaced in this moment."

FIRST_ID: Final = UUID(int=0)

ENTRIES_SHOWN: Final = 1000

USABLE_AFTER_REFUND: Final = timedelta(days=180)
"""For so long a card can be used after money went back to it, also one that was expired."""

CHOICE_KEPT: Final = timedelta(days=1)
"""Longer than any booking is under way whose card was chosen before it was made."""

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


class ChosenCard(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with an attempt to pay by a card, and with the card."""

    is_reserved: bool
    pays_all: bool
    wanted: str
    card: Card


class StoredSale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as it is kept for a repetition of its request: the codes follow from its `seed`."""

    sale: CardSale
    seed: bytes


class GiftCardsRepository:
    """Reads and writes gift cards."""

    def __init__(
        self, pool: Pool, cipher: Cipher, tills: SalesOfTills, reads: Reads | None = None
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
            async with connection(self._pool) as running:
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
            await self._take(running, made, request, act)
            codes = [code_of(seed, number) for number in range(len(card_ids))]
            amount_minor, payment = request.amount.amount, request.payment
            await running.execute(
                *(_ADD, list(card_ids), [code_digest(digest_key, code) for code in codes]),
                *(sale_id, request.cinema_id, currency, amount_minor, payment.method, act.at),
                *(act.by, made.expires_at, [code[-GROUP_CHARS:] for code in codes]),
            )
            await running.execute(_ADD_ENTRIES, list(card_ids), amount_minor, act.at)
            account = ACCOUNT_OF_SALE.get(payment.method, payment.tender or "cash")
            await running.execute(
                _ADD_TO_LEDGER, sale_id, currency, act.at, account, made.total.amount
            )
            after = {
                "quantity": len(card_ids),
                "amount": msgspec.to_builtins(request.amount),
                "method": payment.method,
            }
            await _note(running, "gift_cards_sold", sale_id, act, after)
            return StoredSale(sale=made, seed=self._cipher.seal(seed, place=_of_sale(made.id)))

        stored = await run_once(self._pool, key, act.at, StoredSale, insert)
        return self._with_codes(stored)

    def _with_codes(self, stored: StoredSale) -> CardSale:
        seed = self._cipher.open(stored.seed, place=_of_sale(stored.sale.id))
        return with_codes(stored.sale, seed)

    async def _take(
        self, running: PooledConnection, made: CardSale, request: CardSaleInput, act: Act
    ) -> None:
        payment = request.payment
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
            await _note(running, "gift_card_replaced", newest, act, {"replaced_by": str(new_id)})
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
            await _note(running, "gift_card_disabled", card_id, act, {})
            return _gift_card(row, act.at)

    # --- bookings

    async def by_code(self, digest: bytes) -> FoundCard | None:
        """The card with this digest of its code, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_CODE, digest)
        if row is None:
            return None
        return FoundCard(id=row["id"], last_four=row["last_four"], card=_card(row))

    async def choose(self, payment_id: UUID, card_id: UUID, now: datetime) -> bool:
        """Note which card an attempt to pay is by; False if another one has paid a part of it."""
        async with connection(self._pool) as writing:
            return bool(await writing.fetchval(_CHOOSE, payment_id, card_id, now))

    async def reserve(self, payment_id: UUID, now: datetime) -> ChosenCard | None:
        """Put money of the chosen card aside for an attempt: all that it wants, or all there is.

        It may be repeated. None if no card was chosen for it.
        """
        async with connection(self._pool) as writing:
            await writing.execute(_RESERVE, payment_id, now)
        return await self.chosen(payment_id)

    async def pays(self, card_id: UUID, booking_id: UUID) -> bool:
        """Whether a card has put money aside for a booking."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_PAYS, card_id, booking_id))

    async def chosen(self, payment_id: UUID) -> ChosenCard | None:
        """How it stands with an attempt; None if no card was chosen for it."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_CHOSEN, payment_id)
        if row is None:
            return None
        return ChosenCard(
            is_reserved=row["is_reserved"],
            pays_all=row["pays_all"],
            wanted=row["wanted"],
            card=_card(row),
        )

    async def refund(self, payment_id: UUID, order: RefundOrder, now: datetime) -> bool:
        """Put money back on the card of an attempt, once; False if that card is disabled."""
        async with connection(self._pool) as writing:
            done = await writing.fetchval(
                *(_REFUND, payment_id, order.id, order.booking_id, order.amount_minor, now),
                now + USABLE_AFTER_REFUND,
            )
        return bool(done)

    async def give(self, goodwill: Goodwill, card_id: UUID, digest: bytes, last_four: str) -> bool:
        """Make a card with money of a booking; False if not so much is left. Refuses RETRY."""
        act = goodwill.act
        expires_at = whole_years_later(act.at, YEARS_MIN)
        async with connection(self._pool) as writing:
            made = await writing.fetchval(
                *(_GIVE, goodwill.id, goodwill.booking_id, goodwill.amount_minor, act.at, act.by),
                *(goodwill.reason, goodwill.request_key, act.entry_id, act.client.request_id),
                *(act.client.address, goodwill.fingerprint, card_id, digest, last_four),
                expires_at,
            )
        return bool(made)

    async def of_refund(self, refund_id: UUID) -> UUID | None:
        """The card that a refund has made."""
        async with connection(self._pool) as reading:
            card_id: UUID | None = await reading.fetchval(_OF_REFUND, refund_id)
        return card_id

    async def decide(self, now: datetime, limit: int) -> int:
        """Give back what bookings that have ended put aside, and note what was used; how many."""
        async with connection(self._pool) as writing:
            decided: int = await writing.fetchval(_DECIDE, now, limit)
        return decided

    async def hand_on(self, now: datetime, limit: int) -> int:
        """Move what came to cards after they were replaced; from how many."""
        async with connection(self._pool) as writing:
            moved: int = await writing.fetchval(_HAND_ON, now, limit)
        return moved

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete choices that came to nothing; how many."""
        async with connection(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - CHOICE_KEPT, limit)
        return gone


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


def _card(row: Record) -> Card:
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
        status=_card(row).standing_at(now),
        method=row["method"],
        sold_at=row["sold_at"],
        expires_at=row["expires_at"],
        disabled_reason=row["disabled_reason"],
        replaced_by=row["replaced_by"],
    )


async def _note(
    running: PooledConnection, action: str, target_id: UUID, act: Act, after: dict[str, object]
) -> None:
    entry = AuditEntry(
        id=act.entry_id,
        at=act.at,
        action=action,
        actor_id=act.by,
        target_id=target_id,
        after=after,
    )
    await note(running, entry, act.client)


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row
