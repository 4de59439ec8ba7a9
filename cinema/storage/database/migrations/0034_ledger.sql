-- contract: 0031
-- Nothing is taken away; the mark is for the check of `payments.status`, which allows more, and for
-- an index that builds before this one satisfy: they write one payment for a booking.
--
-- Attempts to pay: a booking has as many as its customer needs. `reference` is the provider's name of
-- one, `error_code` says why it failed. `bookings.payment_id` is the attempt that counts; without it
-- that is the first. Rows that are there met a narrower check, so they are not looked at again.
alter table payments
    drop constraint payments_status_check,
    add constraint payments_status_check check (status in (
        'created', 'pending', 'succeeded', 'failed', 'cancelled', 'refunded', 'partially_refunded'
    )) not valid,
    add column reference text,
    add column error_code text,
    add column updated_at timestamptz;
alter table bookings add column payment_id uuid;
-- Each of the two reads the table once; few payments are under way.
create unique index payments_under_way on payments (booking_id, method)
    where status in ('created', 'pending');
create unique index payments_by_reference on payments (method, reference)
    where reference is not null;

-- Double entry (docs/adr/056-ledger.md): a row is a transaction, `amounts` are added to `accounts`, in
-- minor units, and sum to 0. `kind` and `source` name what it is about, so that what is told twice is
-- written once. Rows never change.
create function ledger_sum(amounts bigint[]) returns numeric language sql immutable strict
    parallel safe as $$ select sum(one) from unnest(amounts) one $$;

create table ledger (
    id bigint generated always as identity primary key,
    kind text not null,
    source uuid not null,
    booking_id uuid,
    showtime_id uuid,
    currency text not null,
    at timestamptz not null,
    accounts text[] not null,
    amounts bigint[] not null,
    constraint ledger_key unique (kind, source),
    constraint ledger_lines_match check (cardinality(accounts) = cardinality(amounts)),
    constraint ledger_sums_to_zero check (ledger_sum(amounts) = 0),
    constraint ledger_accounts check (accounts <@ array[
        'customer', 'gift_cards', 'points', 'cash', 'terminal', 'stripe', 'demo', 'revenue', 'tax',
        'fees', 'deferred'
    ])
);
create index ledger_of_booking on ledger (booking_id) where booking_id is not null;

create view ledger_lines as
select ledger.id, ledger.kind, ledger.source, ledger.booking_id, ledger.showtime_id, ledger.currency,
    ledger.at, line.account, line.amount
from ledger, unnest(ledger.accounts, ledger.amounts) as line(account, amount);

create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger never changes' using errcode = 'insufficient_privilege';
end
$$;
create trigger ledger_stays before update or delete on ledger
    for each row execute function refuse_ledger_change();
create trigger ledger_is_never_emptied before truncate on ledger
    for each statement execute function refuse_ledger_change();
