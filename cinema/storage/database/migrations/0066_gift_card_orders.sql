-- contract: 0043
-- Nothing is taken away; the mark is for the check of `gift_card_entries.kind`, which allows more. Rows
-- that are there met a narrower one, so they are not looked at again.
alter table gift_card_entries
    drop constraint gift_card_entries_kind_check,
    add constraint gift_card_entries_kind_check check (kind in (
        'sold', 'reserved', 'returned', 'refunded', 'moved_away', 'moved_here', 'taken_back'
    )) not valid;

-- Gift cards that customers buy by themselves (docs/adr/078-gift-cards-online.md). An order is its own
-- attempt to pay: `reference` is the provider's name of it. The statement that makes it `paid` makes its
-- card. Nobody works on it before `due_at`, and without one nothing is to be done.
create table gift_card_orders (
    id uuid primary key,
    cinema_id uuid not null,
    buyer_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    method text not null,
    status text not null default 'open' check (status in (
        'open', 'cancelled', 'paid', 'refunding', 'refund_failed', 'refunded', 'charged_back'
    )),
    reference text,
    error_code text,
    recipient_email text not null,
    recipient_name text not null default '',
    sender_name text not null default '',
    message text not null default '',
    deliver_at timestamptz not null,
    delivered_at timestamptz,
    card_id uuid references gift_cards,
    asked_again integer not null default 0 check (asked_again >= 0),
    refund_reference text,
    created_at timestamptz not null,
    paid_at timestamptz,
    refunded_at timestamptz,
    due_at timestamptz,
    attempts integer not null default 0 check (attempts >= 0),
    forgotten_at timestamptz,
    constraint gift_card_orders_card unique (card_id),
    constraint gift_card_orders_paid_have_a_card check (
        (status in ('open', 'cancelled')) = (card_id is null)
    )
);
create index gift_card_orders_of_buyer on gift_card_orders (buyer_id, id);
create index gift_card_orders_of_cinema on gift_card_orders (cinema_id, id);
create index gift_card_orders_due on gift_card_orders (due_at) where due_at is not null;
create index gift_card_orders_to_forget on gift_card_orders (created_at) where forgotten_at is null;
