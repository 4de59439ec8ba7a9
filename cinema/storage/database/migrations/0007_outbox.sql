-- What happened at showtimes, written with the event (storage/journal/outbox.py) and deleted once
-- everything it leads to is done. Numbered as events are written, so those of one showtime are in
-- order; of different showtimes a lower number may be seen later, hence nobody reads it by a mark
-- up to which all is done: who works on rows locks them. `next_try_at` is null until a first
-- attempt has failed, `died_at` until the last one has.
create table outbox (
    id bigint generated always as identity primary key,
    showtime_id uuid not null,
    seq bigint not null,
    kind text not null check (length(kind) between 1 and 64),
    payload jsonb not null,
    written_at timestamptz not null default now(),
    attempts integer not null default 0 check (attempts >= 0),
    next_try_at timestamptz,
    died_at timestamptz,
    last_error text check (length(last_error) <= 1000)
);
-- Rows come and go at the rate of bookings: what is dead is swept after thousands of rows, not
-- after a share of a table that is mostly empty.
alter table outbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000
);
-- Those whose first attempt failed, a few: what comes after them at their showtime has to wait.
create index outbox_failed on outbox (showtime_id, id) where attempts > 0;
