-- The gift card that a refund has made, instead of going back to where the money came from.
alter table refunds add column to_card uuid;

-- Money that came to cards after they were replaced.
create index gift_cards_to_hand_on on gift_cards (id)
    where replaced_by is not null and balance_minor > 0;
