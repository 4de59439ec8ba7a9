-- The cluster: its views, and who owns which showtime.

-- Totally ordered by version: whoever inserts the next one first has decided it.
create table cluster_views (
    version bigint primary key check (version > 0),
    members bytea not null,
    proposed_by bytea not null,
    proposed_at timestamptz not null default now()
);

-- The node that raised the epoch last. A hint whom to ask for a showtime; the epoch is the fence.
alter table showtime_heads add column owner uuid;
