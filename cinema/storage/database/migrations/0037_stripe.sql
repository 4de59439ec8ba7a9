-- What is to be done about payments by Stripe: a row for each event that was told, each attempt that
-- is looked at, each payment that is settled or goes back, each day that is compared. Nobody may take
-- a task before `due_at`; of one that is worked on, that is the end of its lease. An attempt writes
-- only while `attempts` is its number. A row stays for some time after its end, so that what is told
-- again is done once. `detail` holds ids and codes.
create table stripe_tasks (
    kind text not null check (kind in ('event', 'look', 'settle', 'return', 'day')),
    name text not null check (length(name) between 1 and 255),
    detail jsonb not null default '{}' check (jsonb_typeof(detail) = 'object'),
    attempts integer not null default 0 check (attempts >= 0),
    due_at timestamptz not null,
    error text check (length(error) <= 500),
    outcome text check (length(outcome) <= 64),
    created_at timestamptz not null,
    ended_at timestamptz,
    primary key (kind, name)
);
create index stripe_tasks_due on stripe_tasks (due_at) where ended_at is null;
create index stripe_tasks_ended on stripe_tasks (ended_at) where ended_at is not null;
create index stripe_tasks_given_up on stripe_tasks (name) where outcome = 'given_up';

-- A customer's bank takes a payment back, or tries to. The amount is in the units of the provider.
create table disputes (
    id text primary key check (length(id) <= 255),
    payment_id uuid not null,
    booking_id uuid not null,
    status text not null check (length(status) <= 64),
    is_open boolean not null,
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null,
    opened_at timestamptz not null,
    updated_at timestamptz not null
);
create index disputes_of_payment on disputes (payment_id);
create index disputes_of_booking on disputes (booking_id);

-- What we say of a payment and its provider does not. One row for each kind of difference of an object;
-- `resolved_at` is when they agreed again.
create table payment_differences (
    id uuid primary key default gen_random_uuid(),
    kind text not null check (length(kind) between 1 and 64),
    name text not null check (length(name) between 1 and 255),
    day date not null,
    payment_id uuid,
    ours text not null,
    theirs text not null,
    found_at timestamptz not null,
    resolved_at timestamptz,
    unique (kind, name)
);
create index payment_differences_open on payment_differences (found_at desc, id desc)
    where resolved_at is null;
create index payment_differences_found on payment_differences (found_at desc, id desc);
