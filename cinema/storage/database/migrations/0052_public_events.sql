-- What partners and analysts are told (docs/adr/065-events-for-partners.md): made from the rows of the
-- outbox and from refunds, by one node at a time, so that who has read up to a position misses nothing
-- before it. `subject` is what an event is about: its booking, else its showtime; `sequence` numbers the
-- events of a subject from 1 without gaps. `journal_seq` is the seq of the showtime's event, if one led
-- to it.
create table public_events (
    position bigint generated always as identity primary key,
    id uuid not null unique,
    type text not null check (length(type) between 1 and 64),
    cinema_id uuid,
    showtime_id uuid not null,
    booking_id uuid,
    subject uuid not null generated always as (coalesce(booking_id, showtime_id)) stored,
    sequence integer not null check (sequence > 0),
    journal_seq bigint,
    data jsonb not null,
    at timestamptz not null,
    constraint public_events_sequence unique (subject, sequence)
);
create index public_events_by_age on public_events (at);

-- How many events a subject has had, also those that were deleted since.
create table public_event_counts (
    subject uuid primary key,
    events integer not null,
    last_at timestamptz not null
);
create index public_event_counts_by_age on public_event_counts (last_at);

-- Up to where events were deleted: who asks for what is before misses some.
create table public_event_horizon (
    position bigint not null default 0,
    only_one boolean primary key default true check (only_one)
);
insert into public_event_horizon default values;

-- The status of a refund that was told last. Those of before are not told.
alter table refunds add column told text;
update refunds set told = status;
create index refunds_untold on refunds (created_at, id) where told is distinct from status;
