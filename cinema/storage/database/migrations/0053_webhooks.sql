-- Partners who are sent public events (docs/adr/065-events-for-partners.md). The secrets are sealed.
-- `types` empty is all. `failures` are those in a row, since `failing_since`; until `resume_at` nothing is
-- sent. One that is disabled keeps what waits for it.
create table webhook_endpoints (
    id uuid primary key,
    url text not null,
    description text not null default '',
    types text[] not null default '{}',
    cinema_id uuid,
    secret bytea not null,
    previous_secret bytea,
    previous_until timestamptz,
    created_at timestamptz not null,
    disabled_at timestamptz,
    disabled_reason text,
    failures integer not null default 0,
    failing_since timestamptz,
    resume_at timestamptz,
    last_error text,
    last_delivered_at timestamptz
);

-- An event for an endpoint. `subject` is that of the event: of one subject an endpoint is sent one event at
-- a time, in their order. One that is claimed belongs to one node until `claimed_until`.
create table webhook_deliveries (
    id uuid primary key default gen_random_uuid(),
    endpoint_id uuid not null references webhook_endpoints on delete cascade,
    position bigint not null references public_events on delete cascade,
    subject uuid not null,
    status text not null default 'waiting' check (status in ('waiting', 'delivered', 'failed')),
    attempts integer not null default 0,
    first_due_at timestamptz not null,
    next_try_at timestamptz not null,
    claimed_until timestamptz,
    ended_at timestamptz,
    last_status integer,
    last_error text,
    constraint webhook_deliveries_once unique (endpoint_id, position)
);
create index webhook_deliveries_waiting on webhook_deliveries (endpoint_id, position)
    where status = 'waiting';
create index webhook_deliveries_in_order on webhook_deliveries (endpoint_id, subject, position)
    where status = 'waiting';
create index webhook_deliveries_claimed on webhook_deliveries (endpoint_id)
    where claimed_until is not null;
create index webhook_deliveries_failed on webhook_deliveries (endpoint_id, position)
    where status = 'failed';
create index webhook_deliveries_of_event on webhook_deliveries (position);
create index webhook_deliveries_ended on webhook_deliveries (ended_at) where ended_at is not null;
alter table webhook_deliveries set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);

-- Up to where events were handed out to endpoints.
create table webhook_mark (
    position bigint not null default 0,
    only_one boolean primary key default true check (only_one)
);
insert into webhook_mark default values;
