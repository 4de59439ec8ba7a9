-- The work of one person at one till. What should be in the drawer is stored when it was counted.
create table cash_sessions (
    id uuid primary key,
    cinema_id uuid not null references cinemas (id),
    business_date date not null,
    till text not null,
    currency text not null,
    opening_minor bigint not null check (opening_minor >= 0),
    opened_at timestamptz not null,
    opened_by uuid not null,
    counted_minor bigint check (counted_minor >= 0),
    expected_minor bigint,
    note text not null default '',
    closed_at timestamptz,
    closed_by uuid,
    check ((closed_at is null) = (counted_minor is null)),
    check ((closed_at is null) = (expected_minor is null)),
    check ((closed_at is null) = (closed_by is null))
);
create unique index cash_sessions_of_till on cash_sessions (cinema_id, lower(till))
where closed_at is null;
create unique index cash_sessions_of_person on cash_sessions (opened_by) where closed_at is null;
create index cash_sessions_of_cinema on cash_sessions (cinema_id, id);
create index cash_sessions_of_day on cash_sessions (cinema_id, business_date);

-- Cash that moves other than for sales.
create table cash_movements (
    id uuid primary key,
    session_id uuid not null references cash_sessions (id),
    kind text not null check (kind in ('pay_in', 'pay_out', 'bank_drop')),
    amount_minor bigint not null check (amount_minor > 0),
    reason text not null,
    moved_at timestamptz not null,
    moved_by uuid not null
);
create index cash_movements_of_session on cash_movements (session_id, id);

-- Which till took the money of a payment, noted before the payment is decided: one whose payment
-- did not come about counts nothing. The amount is that of the payment.
create table cash_takings (
    payment_id uuid primary key,
    session_id uuid not null references cash_sessions (id),
    tender text not null check (tender in ('cash', 'terminal')),
    reference text not null default '',
    taken_at timestamptz not null
);
create index cash_takings_of_session on cash_takings (session_id);

-- Business days that were closed: numbered without gaps within a cinema, and never changed.
create table business_days (
    cinema_id uuid not null references cinemas (id),
    business_date date not null,
    number bigint not null check (number > 0),
    report text not null,
    digest text not null,
    signature text,
    closed_at timestamptz not null,
    closed_by uuid not null,
    primary key (cinema_id, business_date),
    unique (cinema_id, number)
);

create function refuse_to_change_what_is_closed() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are never changed or deleted once they are closed', tg_table_name;
end $$;
create trigger business_days_stay before update or delete on business_days
for each row execute function refuse_to_change_what_is_closed();
create trigger cash_sessions_stay before update or delete on cash_sessions
for each row when (old.closed_at is not null) execute function refuse_to_change_what_is_closed();
create trigger cash_movements_stay before update or delete on cash_movements
for each row execute function refuse_to_change_what_is_closed();
