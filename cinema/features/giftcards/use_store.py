"""What bookings do with gift cards, in Postgres.

Each is one statement, because commits of showtimes change the same payments: money of a card is put
aside for an attempt to pay, and given back or noted as used once an event has decided about the
booking.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.giftcards.rules import (
    Card,
    whole_years_later,
)
from cinema.features.giftcards.shapes import (
    YEARS_MIN,
)
from cinema.features.giftcards.store import USABLE_AFTER_REFUND, card_of
from cinema.features.ledger.methods import RefundOrder
from cinema.features.ledger.parts import CAN_PUT_ASIDE, HOW_IT_STANDS, PUT_ASIDE, WANTED, decided
from cinema.features.ledger.refund_store import GIVES, Goodwill
from cinema.storage.database.transactions import Pool, changing, connection

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

# A card that has put money aside for an attempt stays its card.
_CHOOSE: Final = """
insert into gift_card_uses as u (payment_id, card_id, chosen_at) values ($1, $2, $3)
on conflict (payment_id) do update
set card_id = excluded.card_id, chosen_at = excluded.chosen_at
where u.state = 'chosen' or u.card_id = excluded.card_id
returning true"""
_RESERVE: Final = f"""
with attempt as (
    select p.id, p.booking_id, p.currency, u.card_id
    from payments p join gift_card_uses u on u.payment_id = p.id
    where {CAN_PUT_ASIDE} and u.state = 'chosen'
    for update
), wanted as ({WANTED}
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
){PUT_ASIDE}"""
_CHOSEN: Final = f"""
select {HOW_IT_STANDS},
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
# Cards are locked in the order of their ids: two nodes may give back to the same ones.
_DECIDE: Final = f"""
with decided as ({decided("gift_card_uses")}
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

CHOICE_KEPT: Final = timedelta(days=1)
"""Longer than any booking is under way whose card was chosen before it was made."""


class ChosenCard(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with an attempt to pay by a card, and with the card."""

    is_reserved: bool
    pays_all: bool
    wanted: str
    card: Card


class CardUsesRepository:
    """Puts money of cards aside for bookings, and puts money of bookings on cards."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def choose(self, payment_id: UUID, card_id: UUID, now: datetime) -> bool:
        """Note which card an attempt to pay is by; False if another one has paid a part of it."""
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_CHOOSE, payment_id, card_id, now))

    async def reserve(self, payment_id: UUID, now: datetime) -> ChosenCard | None:
        """Put money of the chosen card aside for an attempt: all that it wants, or all there is.

        It may be repeated. None if no card was chosen for it.
        """
        async with changing(self._pool) as writing:
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
            card=card_of(row),
        )

    async def refund(self, payment_id: UUID, order: RefundOrder, now: datetime) -> bool:
        """Put money back on the card of an attempt, once; False if that card is disabled."""
        async with changing(self._pool) as writing:
            done = await writing.fetchval(
                *(_REFUND, payment_id, order.id, order.booking_id, order.amount_minor, now),
                now + USABLE_AFTER_REFUND,
            )
        return bool(done)

    async def give(self, goodwill: Goodwill, card_id: UUID, digest: bytes, last_four: str) -> bool:
        """Make a card with money of a booking; False if not so much is left. Refuses RETRY."""
        act = goodwill.act
        expires_at = whole_years_later(act.at, YEARS_MIN)
        async with changing(self._pool) as writing:
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
        async with changing(self._pool) as writing:
            decided: int = await writing.fetchval(_DECIDE, now, limit)
        return decided

    async def hand_on(self, now: datetime, limit: int) -> int:
        """Move what came to cards after they were replaced; from how many."""
        async with changing(self._pool) as writing:
            moved: int = await writing.fetchval(_HAND_ON, now, limit)
        return moved

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete choices that came to nothing; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - CHOICE_KEPT, limit)
        return gone
