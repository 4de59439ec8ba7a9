-- Showtimes that change while they are being sold. `version` rises with each change of what is sold;
-- these columns are written with the events of the showtime. `promised_starts_at` is the start that
-- customers count on where it is not `starts_at`; until `free_refund_until` they may give all of it
-- back whatever the policy says.
alter table showtimes
    add column version integer not null default 1,
    add column promised_starts_at timestamptz,
    add column free_refund_until timestamptz,
    add column cancelled_at timestamptz,
    add column cancel_reason text;

-- The screens of showtimes that were moved: from which version of the plan on each had which one.
-- A move pins a version higher than all before it, so a version names the screen.
create table showtime_screens (
    showtime_id uuid not null,
    from_version integer not null,
    screen_id uuid not null,
    primary key (showtime_id, from_version)
);
