-- Waiting rooms in front of the sale of a showtime (docs/adr/075-waiting-rooms.md). `starts_at` is when places are
-- shuffled and people are let in; while it is null, the room waits for load. `seed` is sealed; its digest is shown
-- from the beginning, the seed itself once the places are shuffled.
create table waiting_rooms (
    id uuid primary key,
    showtime_id uuid not null,
    cinema_id uuid not null,
    mode text not null check (mode in ('on', 'by_load')),
    starts_at timestamptz,
    shoppers integer not null check (shoppers > 0),
    entry_seconds integer not null check (entry_seconds > 0),
    shopping_seconds integer not null check (shopping_seconds > 0),
    places_per_address integer not null check (places_per_address > 0),
    work_bits smallint not null check (work_bits between 0 and 24),
    holds_per_second integer not null check (holds_per_second > 0),
    seed bytea not null,
    seed_digest bytea not null,
    shuffled_at timestamptz,
    shuffled integer not null default 0,
    numbered bigint not null default 0,
    admitted_to bigint not null default 0,
    places integer not null default 0,
    waiting integer not null default 0,
    shopping integer not null default 0,
    admissions_per_s double precision not null default 0,
    paced_at timestamptz,
    created_at timestamptz not null,
    closed_at timestamptz
);
create unique index waiting_rooms_of_showtime on waiting_rooms (showtime_id) where closed_at is null;
create index waiting_rooms_closed on waiting_rooms (closed_at) where closed_at is not null;

-- Who waits, was called in (`admitted`), chooses seats (`inside`), or does so no more. A place belongs to a customer
-- or, until it is used, to whoever knows a secret of a device. `number` is its place in the order.
create table waiting_places (
    id uuid primary key,
    room_id uuid not null references waiting_rooms on delete cascade,
    arrival bigint generated always as identity,
    customer_id uuid,
    device_digest bytea,
    address_digest bytea not null,
    number bigint,
    state text not null default 'waiting' check (state in ('waiting', 'admitted', 'inside', 'ended')),
    ended_by text check (ended_by in ('booked', 'left', 'missed', 'time')),
    valid_until timestamptz,
    joined_at timestamptz not null,
    entered_at timestamptz,
    ended_at timestamptz,
    check (customer_id is not null or device_digest is not null),
    check ((state = 'ended') = (ended_by is not null))
);
create unique index waiting_places_of_customer on waiting_places (room_id, customer_id)
    where customer_id is not null and state <> 'ended';
create unique index waiting_places_of_device on waiting_places (room_id, device_digest)
    where device_digest is not null and state <> 'ended';
create index waiting_places_of_address on waiting_places (room_id, address_digest) where state <> 'ended';
create index waiting_places_in_order on waiting_places (room_id, state, number);
create index waiting_places_new on waiting_places (room_id, arrival) where number is null;
create index waiting_places_of_account on waiting_places (customer_id) where customer_id is not null;
