-- Since when the bank of a buyer decides about the money of an order, or has taken it: whatever card stands in
-- the place of the one that it bought is out of use, also one that is made later.
alter table gift_card_orders add column disputed_at timestamptz;

update gift_card_orders o set disputed_at = d.opened_at
from disputes d
where d.payment_id = o.id and (d.is_open or d.status = 'lost');

-- A card that was replaced while a bank decided has left the block behind.
update gift_cards c set disabled_at = now(), disabled_reason = 'PAYMENT_DISPUTED'
where c.disabled_at is null and c.id in (
    with recursive chain (id, replaced_by, hops) as (
        select c.id, c.replaced_by, 0
        from gift_card_orders o join gift_cards c on c.id = o.card_id
        where o.disputed_at is not null
        union all
        select c.id, c.replaced_by, chain.hops + 1
        from chain join gift_cards c on c.id = chain.replaced_by
        where chain.hops < 100
    )
    select id from chain
);
