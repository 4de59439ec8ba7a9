-- What follows the public events (docs/adr/071-reviews-and-reports.md): up to which position each has
-- read. `rebuilt_to` is how far it has made everything anew; null where there is nothing of before.
create table projections (
    name text primary key,
    position bigint not null,
    scanned_at timestamptz not null,
    rebuilt_to uuid
);
insert into projections (name, position, scanned_at, rebuilt_to)
select 'reports',
    coalesce((select max(position) from public_events), (select position from public_event_horizon)),
    now(), '00000000-0000-0000-0000-000000000000';

-- What was sold for a showtime, by its bookings and the ledger, and who was let in. `types` and
-- `methods` say the same by type of ticket, and by where the money is.
create table showtime_figures (
    showtime_id uuid primary key,
    bookings integer not null,
    sold integer not null,
    admitted integer not null,
    gross_minor bigint not null,
    refunded_minor bigint not null,
    tax_minor bigint not null,
    fees_minor bigint not null,
    types jsonb not null,
    methods jsonb not null
);

-- How holds of a showtime ended, counted from its journal once it is over; the journal is deleted later.
create table showtime_funnels (
    showtime_id uuid primary key,
    holds integer not null,
    released integer not null,
    expired integer not null,
    checkouts integer not null,
    confirmed integer not null
);
insert into projections (name, position, scanned_at) values ('funnels', 0, now());
