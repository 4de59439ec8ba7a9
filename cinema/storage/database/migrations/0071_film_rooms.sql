-- contract: 0044
-- Nothing is taken away; the mark is for a column that may be empty.
--
-- Waiting rooms for all showtimes of a film at a cinema, those without a room of their own. Such a room has
-- `movie_id` instead of `showtime_id`.
alter table waiting_rooms
    alter column showtime_id drop not null,
    add column movie_id uuid,
    add constraint waiting_rooms_of_one check (num_nonnulls(showtime_id, movie_id) = 1) not valid;
create unique index waiting_rooms_of_film on waiting_rooms (cinema_id, movie_id)
    where closed_at is null and movie_id is not null;
