-- Work that outlives its request, written in the transaction that asks for it. Nobody may take a
-- job before `due_at`; of one that runs, that is the end of its lease: later its node is dead. An
-- attempt writes only while `attempts` is its number. `input`, `position` and `result` hold ids and
-- counts, no e-mail address and no name.
create table jobs (
    id uuid primary key,
    kind text not null check (length(kind) between 1 and 64),
    only_one text check (length(only_one) between 1 and 200),
    owner_id uuid,
    cinema_id uuid,
    status text not null default 'queued'
        check (status in ('queued', 'running', 'done', 'failed', 'cancelled')),
    input jsonb not null default '{}' check (jsonb_typeof(input) = 'object'),
    position jsonb not null default '{}' check (jsonb_typeof(position) = 'object'),
    result jsonb check (jsonb_typeof(result) = 'object'),
    total integer check (total >= 0),
    done integer not null default 0 check (done >= 0),
    failed integer not null default 0 check (failed >= 0),
    attempts integer not null default 0 check (attempts >= 0),
    failures integer not null default 0 check (failures >= 0),
    due_at timestamptz not null,
    node text not null default '',
    reason text check (length(reason) <= 1000),
    last_error text check (length(last_error) <= 1000),
    request_id text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null,
    ended_at timestamptz
);
-- Of one kind and subject there is one at a time.
create unique index jobs_one_at_a_time on jobs (kind, only_one)
    where status in ('queued', 'running');
create index jobs_due on jobs (kind, due_at, id) where status in ('queued', 'running');
create index jobs_by_status on jobs (status, created_at desc, id desc);
create index jobs_of_owner on jobs (owner_id, kind, created_at) where owner_id is not null;
create index jobs_ended on jobs (ended_at) where ended_at is not null;
