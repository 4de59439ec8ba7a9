-- Seats of several showtimes that are booked together (docs/adr/085-series.md). The state says whether all of them are
-- booked or none.
create table series (
    id uuid primary key,
    state text not null default 'pending' check (state in ('pending', 'committed', 'aborted', 'done')),
    customer_id uuid not null,
    payment_method text not null,
    total_minor bigint not null check (total_minor >= 0),
    currency text not null,
    request_key bytea,
    fingerprint bytea,
    started_at timestamptz not null,
    commit_until timestamptz not null,
    decided_at timestamptz
);
create unique index series_request_key on series (request_key) where state <> 'aborted';
create index series_open on series (commit_until) where state in ('pending', 'committed');
create index series_ended on series (started_at) where state in ('done', 'aborted');

create table series_bookings (
    series_id uuid not null references series on delete cascade,
    place integer not null,
    showtime_id uuid not null,
    hold_id uuid not null,
    booking_id uuid not null,
    code text not null,
    payment_id uuid not null,
    primary key (series_id, place)
);
create unique index series_bookings_of_booking on series_bookings (booking_id);
