-- Deposits of groups (docs/adr/090-deposits.md). The money is on the card; of it `keeps_minor` stay with the cinema if
-- nobody pays the rest. Without an `outcome` it waits for that, or is still to be put aside.
create table deposits (
    booking_id uuid primary key,
    card_id uuid not null unique references gift_cards deferrable initially deferred,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    percent integer not null check (percent between 1 and 99),
    kept_percent integer not null check (kept_percent between 0 and 100),
    keeps_minor bigint not null check (keeps_minor between 0 and amount_minor),
    kept_minor bigint not null default 0 check (kept_minor between 0 and keeps_minor),
    remind_at timestamptz,
    taken_at timestamptz not null,
    taken_by uuid not null,
    outcome text check (outcome in ('used', 'given_up', 'returned')),
    ended_at timestamptz,
    constraint deposits_end_with_an_outcome check ((outcome is null) = (ended_at is null))
);
create index deposits_open on deposits (taken_at, booking_id) where ended_at is null;
