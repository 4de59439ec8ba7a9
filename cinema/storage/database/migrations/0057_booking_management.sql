-- Bookings as staff find and look after them (docs/adr/069-booking-management.md).

-- What staff write down about a booking. Rows are added, never changed; they go with the data of the
-- booking's customer, and two years later in any case.
create table booking_notes (
    id uuid primary key,
    booking_id uuid not null,
    author_id uuid,
    text text not null check (length(text) between 1 and 1000),
    written_at timestamptz not null
);
create index booking_notes_of_booking on booking_notes (booking_id, written_at desc, id desc);
create index booking_notes_by_age on booking_notes (written_at);

-- A code is read out at the counter. The index is of a few bytes a booking, and made while nothing is
-- sold by this build: some seconds for millions of rows.
create index bookings_by_code on bookings (code);

-- The words of a name, without case and accents. Everything in it is part of every Postgres from 17 on;
-- accounts are changed rarely, and no commit of a showtime waits for them.
create function name_words(first text, last text) returns text[]
language sql immutable parallel safe
return array_remove(regexp_split_to_array(
    lower(regexp_replace(
        normalize(first || ' ' || last, nfkd) collate "pg_c_utf8", '[\u0300-\u036f]+', '', 'g'
    )),
    '[\s''’.,-]+'
), '');
create index users_by_name_words on users using gin (name_words(first_name, last_name))
    where deleted_at is null;
