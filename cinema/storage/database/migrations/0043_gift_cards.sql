-- Gift cards (docs/adr/058-gift-cards.md). Of a code only a keyed digest and the last four characters
-- are kept; the key is the one row of `gift_card_keys`, sealed. `balance_minor` is the sum of a card's
-- entries, which never change, and never below 0.
create table gift_card_keys (
    id uuid primary key,
    secret bytea not null,
    only_one boolean not null default true unique check (only_one)
);

create table gift_cards (
    id uuid primary key,
    sale_id uuid not null,
    code_digest bytea not null constraint gift_cards_code unique,
    last_four text not null,
    cinema_id uuid not null,
    currency text not null,
    sold_minor bigint not null check (sold_minor >= 0),
    balance_minor bigint not null
        constraint gift_cards_never_below_zero check (balance_minor >= 0),
    last_taken_minor bigint not null default 0,
    method text not null,
    sold_at timestamptz not null,
    sold_by uuid not null,
    expires_at timestamptz not null,
    disabled_at timestamptz,
    disabled_by uuid,
    disabled_reason text,
    replaced_by uuid references gift_cards
);
create index gift_cards_replaced on gift_cards (replaced_by) where replaced_by is not null;
create index gift_cards_of_cinema on gift_cards (cinema_id, id);

-- `source` is what an entry is about: the card itself when it is sold, an attempt to pay, a refund, or the
-- card that has taken the place of another.
create table gift_card_entries (
    card_id uuid not null references gift_cards,
    kind text not null check (kind in (
        'sold', 'reserved', 'returned', 'refunded', 'moved_away', 'moved_here'
    )),
    source uuid not null,
    booking_id uuid,
    amount_minor bigint not null,
    at timestamptz not null,
    constraint gift_card_entries_key primary key (kind, source)
);
create index gift_card_entries_of_card on gift_card_entries (card_id, at);

create function refuse_gift_card_entry_change() returns trigger language plpgsql as $$
begin
    raise exception 'entries of gift cards never change' using errcode = 'insufficient_privilege';
end
$$;
create trigger gift_card_entries_stay before update or delete on gift_card_entries
    for each row execute function refuse_gift_card_entry_change();

-- Which card an attempt to pay takes its money from. `reserved`: the money has left the balance, and what
-- becomes of it follows from the attempt; `used` and `returned`: that is decided.
create table gift_card_uses (
    payment_id uuid primary key,
    card_id uuid not null references gift_cards,
    state text not null default 'chosen'
        check (state in ('chosen', 'reserved', 'used', 'returned')),
    amount_minor bigint not null default 0,
    chosen_at timestamptz not null
);
create index gift_card_uses_open on gift_card_uses (payment_id) where state = 'reserved';
create index gift_card_uses_chosen on gift_card_uses (chosen_at) where state = 'chosen';

-- An attempt whose money is put aside here pays nothing alone. `completes` are those of which it pays the
-- rest: if it succeeds, they have succeeded with it, and all others of the booking have not.
alter table payments
    add column reserved boolean not null default false,
    add column completes uuid[] not null default '{}';

-- What a till takes for something else than a booking has its amount here.
alter table cash_takings add column amount_minor bigint;
