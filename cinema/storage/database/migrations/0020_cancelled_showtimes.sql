-- What was to be done when a showtime was cancelled, so that a repetition is told the same: how many
-- bookings it had, and the job that cancels them.
alter table showtimes
    add column cancelled_bookings integer,
    add column cancel_job_id uuid;
