-- Tickets (docs/adr/064-tickets.md). They follow from `booking_seats`: the place of a seat in its booking is
-- the ticket's. These tables have what is beside that, so a booking writes no row here.

-- Tickets that were issued again, or are blocked. Place -1 is the code of the whole booking.
create table ticket_states (
    booking_id uuid not null,
    place smallint not null check (place >= -1),
    generation smallint not null default 1 check (generation between 1 and 255),
    blocked_at timestamptz,
    blocked_by uuid,
    block_reason text,
    primary key (booking_id, place)
);

-- Scanners without an account; of a token only the digest is kept.
create table scanner_devices (
    id uuid primary key,
    cinema_id uuid not null references cinemas on delete cascade,
    name text not null check (length(name) between 1 and 60),
    token_digest bytea not null constraint scanner_devices_token unique
        check (octet_length(token_digest) = 32),
    created_at timestamptz not null,
    created_by uuid not null,
    revoked_at timestamptz,
    revoked_by uuid
);
create index scanner_devices_of_cinema on scanner_devices (cinema_id, id);

-- Who was let in: one row for each ticket, and whoever adds it has let it in.
create table ticket_entries (
    booking_id uuid not null,
    place smallint not null,
    showtime_id uuid not null,
    inside boolean not null,
    entered_at timestamptz not null,
    left_at timestamptz,
    scanner_id uuid not null,
    scanner text not null,
    primary key (booking_id, place)
);
create index ticket_entries_of_showtime on ticket_entries (showtime_id);

-- What scanners were told. Rows are deleted after 90 days.
create table ticket_scans (
    id uuid primary key,
    booking_id uuid not null,
    place smallint not null,
    showtime_id uuid not null,
    cinema_id uuid not null,
    direction text not null check (direction in ('entry', 'exit', 'unscan')),
    outcome text not null,
    at timestamptz not null,
    recorded_at timestamptz not null,
    scanner_id uuid not null,
    scanner text not null,
    offline boolean not null default false,
    reason text
);
create index ticket_scans_of_ticket on ticket_scans (booking_id, place);
create index ticket_scans_by_age on ticket_scans (recorded_at);

-- The answer to a scan with a nonce: whoever repeats it gets the same. Rows are deleted after 90 days.
create table ticket_scan_answers (
    scanner_id uuid not null,
    nonce text not null,
    fingerprint bytea not null check (octet_length(fingerprint) = 16),
    answer text not null,
    recorded_at timestamptz not null,
    constraint ticket_scan_answers_nonce primary key (scanner_id, nonce)
);
create index ticket_scan_answers_by_age on ticket_scan_answers (recorded_at);
