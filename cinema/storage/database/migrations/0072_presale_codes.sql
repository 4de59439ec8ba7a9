-- Codes with which customers hold seats before sales open (docs/adr/084-presale-codes.md). Each bound is the condition
-- of an update, for all holds in `presale_codes.uses` and for each customer in `presale_customers.uses`.
create table presale_codes (
    id uuid primary key,
    showtime_id uuid not null,
    code text not null,
    code_key text not null,
    starts_at timestamptz not null,
    max_uses integer not null check (max_uses > 0),
    uses_per_customer integer not null check (uses_per_customer > 0),
    uses integer not null default 0 check (uses >= 0),
    version integer not null default 1,
    created_at timestamptz not null,
    created_by uuid not null,
    updated_at timestamptz,
    updated_by uuid,
    deleted_at timestamptz
);
create unique index presale_codes_by_key on presale_codes (showtime_id, code_key) where deleted_at is null;

create table presale_customers (
    code_id uuid not null references presale_codes on delete cascade,
    customer_id uuid not null,
    uses integer not null check (uses >= 0),
    primary key (code_id, customer_id)
);

-- One for each hold, with the id of its command. At `look_at` somebody looks whether the hold has ended; once it is
-- booked, that is null.
create table presale_uses (
    id uuid primary key,
    code_id uuid not null references presale_codes on delete cascade,
    showtime_id uuid not null,
    customer_id uuid not null,
    hold_id uuid not null,
    used_at timestamptz not null,
    look_at timestamptz
);
create index presale_uses_of_code on presale_uses (code_id);
create index presale_uses_due on presale_uses (look_at) where look_at is not null;
