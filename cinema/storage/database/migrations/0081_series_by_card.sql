-- Series that a provider is asked to pay (docs/adr/094-series-by-card.md). `due_minor` is what it was asked for, once;
-- from then on the series is decided by what the provider says. At `look_at` somebody asks it again; without one nothing
-- more can come.
alter table series
    add column due_minor bigint,
    add column reference text,
    add column look_at timestamptz;
create index series_to_look_at on series (look_at) where look_at is not null;

-- The attempt that pays a booking for which nothing was left to be paid.
alter table series_bookings
    add column paid_by uuid,
    add column paid_by_method text;

-- One payment at a provider may pay several bookings: the row that bears its name says for what it was asked there, and
-- how much. The rows of the others have it as their `origin_id`.
alter table payments
    add column series_id uuid,
    add column asked_minor bigint;

-- What goes off the tickets of a series.
alter table cinemas add column series_discount_percent smallint not null default 0
    check (series_discount_percent between 0 and 100);
