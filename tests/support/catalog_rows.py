"""Rows of a catalogue, for tests whose showtimes need some to stand on."""

from __future__ import annotations

INSERT_SHOWTIMES = """
with film as (
    insert into movies (id, title, runtime_minutes, sort_title, genre_keys, created_at)
    values (gen_random_uuid(), 'Stalker', 161, 'stalker', '{}', now()) returning id
), house as (
    insert into cinemas (id, name, city, country, time_zone, currency, created_at)
    values (gen_random_uuid(), 'Aurora', 'Berlin', 'DE', 'Europe/Berlin', 'EUR', now())
    returning id
), screen as (
    insert into screens (id, cinema_id, name, layout_version, seat_count, created_at)
    select gen_random_uuid(), id, 'One', 1, 4, now() from house returning id, cinema_id, screen_no
), layouts as (
    insert into screen_layouts (screen_id, version, layout, seat_count, created_at)
    select id, version, '{}', 4, now() from screen, generate_series(1, 2) version
    returning screen_id
)
insert into showtimes (id, movie_id, cinema_id, screen_id, screen_no, layout_version, starts_at,
    ends_at, clear_at, local_date, base_price_minor, currency, format, language, sales_opens_at,
    sales_closes_at, created_at)
select s.id, film.id, screen.cinema_id, screen.id, screen.screen_no, 1,
    now() + s.position * interval '1 day', now() + s.position * interval '1 day 2 hours',
    now() + s.position * interval '1 day 2 hours', current_date, 1000, 'EUR', '2D', 'en',
    now(), now() + interval '9 days', now()
from unnest($1::uuid[]) with ordinality as s (id, position), film, screen
"""
"""Inserts showtimes of these ids, on one film and one screen with two versions of its plan."""
