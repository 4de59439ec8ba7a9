-- contract: 0040
-- Nothing is taken away; the mark is for the trigger on refunds, which builds before this one set off
-- too, and for an index that they satisfy: they put aside money of one method alone.
--
-- What customers earn (docs/adr/062-loyalty-points.md): a share of what they pay, in percent. A point
-- is worth one minor unit of its currency.
alter table cinemas
    add column points_percent smallint not null default 0,
    add column points_valid_months smallint not null default 24;

-- `balance_minor` is the sum of an account's entries, and never below 0. Points that expire first are
-- taken first, so what has expired follows from sums: all points that were given until then, less
-- `consumed_minor`, all that was ever taken. Somebody looks at `look_at`.
create table loyalty_accounts (
    customer_id uuid not null,
    currency text not null,
    balance_minor bigint not null
        constraint loyalty_never_below_zero check (balance_minor >= 0),
    consumed_minor bigint not null default 0 check (consumed_minor >= 0),
    last_minor bigint not null default 0,
    look_at timestamptz not null,
    primary key (customer_id, currency)
);
create index loyalty_accounts_to_look_at on loyalty_accounts (look_at) where balance_minor > 0;

-- `source` is what an entry is about: an attempt to pay, a refund, or nothing else than the entry.
-- Points with `expires_at` were given. `missing_minor` should have been taken too, and was not there.
create table loyalty_entries (
    customer_id uuid not null,
    currency text not null,
    kind text not null check (kind in (
        'earned', 'reserved', 'returned', 'refunded', 'taken_back', 'expired'
    )),
    source uuid not null,
    booking_id uuid,
    amount_minor bigint not null,
    missing_minor bigint not null default 0,
    expires_at timestamptz,
    at timestamptz not null,
    constraint loyalty_entries_key primary key (kind, source)
);
create index loyalty_entries_of_customer on loyalty_entries (customer_id, at desc, source desc);
create index loyalty_entries_that_expire on loyalty_entries (customer_id, currency, expires_at)
    where expires_at is not null;

create function refuse_loyalty_entry_change() returns trigger language plpgsql as $$
begin
    raise exception 'entries of points never change' using errcode = 'insufficient_privilege';
end
$$;
create trigger loyalty_entries_stay before update or delete on loyalty_entries
    for each row execute function refuse_loyalty_entry_change();

-- Whose points an attempt to pay has put aside; see gift_card_uses.
create table loyalty_uses (
    payment_id uuid primary key,
    customer_id uuid not null,
    currency text not null,
    state text not null default 'reserved' check (state in ('reserved', 'used', 'returned')),
    amount_minor bigint not null
);
create index loyalty_uses_open on loyalty_uses (payment_id) where state = 'reserved';

-- What a booking has earned by now, at the rate of the moment when it was confirmed.
create table loyalty_earnings (
    booking_id uuid primary key,
    percent smallint not null,
    valid_months smallint not null,
    customer_id uuid not null,
    currency text not null,
    earned_minor bigint not null
);

-- Bookings to look at: they were confirmed, or money went back.
create table loyalty_due (
    id bigint generated always as identity primary key,
    booking_id uuid not null,
    percent smallint,
    valid_months smallint
);
create index loyalty_due_of_booking on loyalty_due (booking_id);

create function refund_takes_points() returns trigger language plpgsql as $$
begin
    if exists (select from loyalty_earnings where booking_id = new.booking_id)
        or exists (select from loyalty_due where booking_id = new.booking_id)
    then
        insert into loyalty_due (booking_id) values (new.booking_id);
    end if;
    return null;
end
$$;
create trigger refunds_take_points after insert on refunds
    for each row when (new.kind <> 'unwanted') execute function refund_takes_points();

-- Money is put aside by one method after the other, so that each sees what the others have put aside.
create unique index payments_one_part on payments (booking_id)
    where status in ('created', 'pending') and not reserved and method in ('gift_card', 'points');
