-- The kernel's tables (docs/architecture.md, "The fence"). The head row decides who owns a
-- showtime and where its journal ends; every append, snapshot and truncation compares it first.
-- None of them has a foreign key: an append must not wait for a row that others lock.

-- `next_due_at` (microseconds) is a lower bound of the earliest deadline among live holds;
-- `released` says that the owner of `epoch` serves no longer.
create table showtime_heads (
    showtime_id uuid primary key,
    epoch bigint not null default 0 check (epoch >= 0),
    seq bigint not null default 0 check (seq >= 0),
    next_due_at bigint,
    released boolean not null default true
) with (fillfactor = 50);
create index showtime_heads_by_due on showtime_heads (next_due_at, showtime_id)
    where next_due_at is not null;

create table showtime_journal (
    showtime_id uuid not null,
    seq bigint not null,
    epoch bigint not null,
    recorded_at bigint not null,
    payload bytea not null,
    primary key (showtime_id, seq)
) partition by range (showtime_id);
-- Ids begin with the moment they were made, so a range of ids is a month. The months are made by
-- the server (storage/journal/months.py); here lands what belongs to none of them.
create table showtime_journal_default partition of showtime_journal default;
alter table showtime_journal alter column payload set storage plain;

-- The showtimes whose events are still needed: those that somebody has owned since their snapshot
-- last replaced all of them for good. A month whose showtimes have no row here may be dropped.
create table kept_journals (
    showtime_id uuid primary key,
    ends_at timestamptz not null
);
create index kept_journals_by_end on kept_journals (ends_at, showtime_id);

create table showtime_snapshots (
    showtime_id uuid primary key,
    epoch bigint not null,
    seq bigint not null,
    payload bytea not null
) with (fillfactor = 70);
-- Packed bytes hardly compress; trying would stall the lane.
alter table showtime_snapshots alter column payload set storage external;

-- Ended holds (kind 1) and stored replies (kind 2) that left memory with a snapshot.
create table showtime_archive (
    showtime_id uuid not null,
    key bytea not null check (octet_length(key) = 16),
    kind smallint not null check (kind in (1, 2)),
    seq bigint not null,
    epoch bigint not null,
    layout_version integer not null,
    recorded_at bigint not null,
    payload bytea not null,
    primary key (showtime_id, key)
);
create index showtime_archive_by_age on showtime_archive (kind, recorded_at);

-- Relational rows, written in the statement of the event that causes them.
create table bookings (
    id uuid primary key,
    code text not null constraint bookings_code unique,
    showtime_id uuid not null,
    user_id uuid not null,
    hold_id uuid not null,
    status text not null
        check (status in ('pending', 'confirmed', 'cancelled', 'expired', 'refunded')),
    total_minor bigint not null check (total_minor >= 0),
    currency text not null,
    request_key bytea,
    created_at timestamptz not null,
    cancelled_at timestamptz
);
create index bookings_of_user on bookings (user_id, created_at desc, id desc);
create index bookings_of_showtime on bookings (showtime_id);
create index bookings_by_request_key on bookings (request_key) where request_key is not null;

-- Which showtime an idempotency key was sent to: each showtime knows only its own keys.
create table booking_keys (
    request_key bytea primary key check (octet_length(request_key) = 16),
    showtime_id uuid not null,
    reserved_at timestamptz not null
);
create index booking_keys_by_age on booking_keys (reserved_at);

create table booking_seats (
    booking_id uuid not null,
    position smallint not null,
    showtime_id uuid not null,
    seat text not null,
    category text not null,
    price_minor bigint not null check (price_minor >= 0),
    live boolean not null default true,
    given_back boolean not null default false,
    primary key (booking_id, position)
);
-- The backstop: whatever the kernel does, a seat has at most one live booking.
create unique index booking_seats_live on booking_seats (showtime_id, seat) where live;

create table payments (
    id uuid primary key,
    booking_id uuid not null,
    method text not null,
    status text not null
        check (status in ('pending', 'succeeded', 'failed', 'refunded', 'partially_refunded')),
    amount_minor bigint not null check (amount_minor >= 0),
    refunded_minor bigint not null default 0
        check (refunded_minor between 0 and amount_minor),
    currency text not null,
    created_at timestamptz not null
);
create index payments_of_booking on payments (booking_id);
