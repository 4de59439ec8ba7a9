-- How often pages said that the seat map of a showtime was opened, and its checkout; by nobody in particular.
create table showtime_visits (
    showtime_id uuid primary key references showtimes on delete cascade,
    seat_maps bigint not null check (seat_maps >= 0),
    checkout_pages bigint not null check (checkout_pages >= 0)
);
