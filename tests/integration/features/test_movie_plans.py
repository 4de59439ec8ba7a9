"""No list of films reads a whole table, however many films and showtimes there are.

Takes half a minute, nearly all of it to make 200,000 showtimes: with few of them the planner is
right to read whole tables.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from cinema.features.catalog.movie_store import MovieFilter, MovieLists
from cinema.features.catalog.shapes import MovieSort
from cinema.storage.database.transactions import Pool

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

FILMS, DAYS, SCREENS = 20_000, 100, 400
"""So many films, and five showtimes a day on each screen."""

FILL = f"""
insert into movies (id, title, runtime_minutes, release_date, sort_title, genre_keys, created_at,
    search_form, popularity)
select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, t, 100,
    date '1950-01-01' + n % 25000, t, array['genre' || n % 20], now(), 1, n % 1000
from (select n,
    'w' || substr(md5((n % 5000)::text), 1, 7) || ' w' || substr(md5(n::text), 1, 7) as t
    from generate_series(1, {FILMS}) n) f;
insert into movie_words select w, id, 10 from movies, string_to_table(sort_title, ' ') w
    on conflict do nothing;
insert into movie_vocabulary select word, array(select distinct substr('_' || word || '_', i, 3)
    from generate_series(1, length(word)) i) from (select distinct word from movie_words) w;
insert into cinemas (id, name, city, country, time_zone, currency, created_at)
select ('00000000-0000-7000-8001-' || lpad(to_hex(n), 12, '0'))::uuid, n::text, 'B', 'DE', 'UTC',
    'EUR', now() from generate_series(1, 40) n;
insert into screens (id, cinema_id, name, layout_version, seat_count, created_at)
select ('00000000-0000-7000-8002-' || lpad(to_hex(n), 12, '0'))::uuid,
    ('00000000-0000-7000-8001-' || lpad(to_hex(n % 40 + 1), 12, '0'))::uuid, n::text, 1, 1, now()
    from generate_series(1, {SCREENS}) n;
insert into screen_layouts (screen_id, version, layout, seat_count, created_at)
select id, 1, '{{}}', 1, now() from screens;
alter table showtimes drop constraint showtimes_screen_occupied;
insert into showtimes (id, movie_id, cinema_id, screen_id, screen_no, layout_version, starts_at,
    ends_at, clear_at, local_date, base_price_minor, currency, format, language, sales_opens_at,
    sales_closes_at, created_at)
select gen_random_uuid(), ('00000000-0000-7000-8000-' ||
    lpad(to_hex((screen_no * 7 + day * 13 + slot) % {FILMS} + 1), 12, '0'))::uuid, cinema_id, id,
    screen_no, 1, s, s + interval '2 hours', s + interval '2 hours', s::date, 1, 'EUR',
    case day % 3 when 0 then 'IMAX' else '2D' end, case slot when 1 then 'de' else 'en' end,
    s, s + interval '1 hour', now()
from screens, generate_series(0, {DAYS - 1}) day, generate_series(1, 5) slot,
    lateral (
        select timestamptz '2026-01-01Z' + day * interval '1 day' + slot * interval '3 hours' as s
    ) t;
analyze
"""
FILL_TIMEOUT_S = 300
NOW = datetime(2026, 4, 4, tzinfo=UTC)
DAY = date(2026, 3, 2)
CINEMA = UUID("00000000-0000-7000-8001-000000000003")
LISTS: dict[str, tuple[dict[str, Any], MovieSort]] = {
    "title": ({}, "title"),
    "release": ({}, "release_date"),
    "popularity": ({}, "popularity"),
    "genre": ({"genre": "genre7"}, "title"),
    "search": ({"q": "wcfcd2084"}, "relevance"),
    "typo": ({"q": "wcfcd208"}, "relevance"),
    "day": ({"first_day": DAY, "last_day": DAY}, "title"),
    "cinema-day": ({"first_day": DAY, "last_day": DAY, "cinema_id": CINEMA}, "title"),
    "range": ({"first_day": date(2026, 1, 2), "last_day": date(2026, 3, 2)}, "popularity"),
    "cinema": ({"cinema_id": CINEMA, "running_after": NOW}, "title"),
    "language": ({"language": "de", "running_after": NOW}, "title"),
    "rare-format": ({"format": "70mm", "running_after": NOW}, "title"),
}


class Explaining:
    """Reads that keep the plan of each statement."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.plans: list[Any] = []

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        async with self.pool.acquire() as c:
            said = await c.fetchval("explain (analyze, format json) " + statement, *values)
            self.plans.append(msgspec.json.decode(said)[0])
            return await c.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        raise NotImplementedError


def steps(node: Any) -> list[str]:
    found = [f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name') or ''}"]
    for inner in node.get("Plans", ()):
        found += steps(inner)
    return found


async def test_no_list_of_films_reads_a_whole_table(pool: Pool) -> None:
    async with pool.acquire() as c:
        await c.execute("set statement_timeout = 0; set transaction_timeout = 0")
        await c.execute(FILL, timeout=FILL_TIMEOUT_S)
    wrong: list[str] = []
    for name, (filters, sort) in LISTS.items():
        reads = Explaining(pool)
        lists = MovieLists(pool, reads)
        rows = await lists.list(MovieFilter(**filters), sort, after=None, limit=21)
        assert bool(rows) is (name != "rare-format"), name
        all_steps = [s for p in reads.plans for s in steps(p["Plan"])]
        wrong += [f"{name}: {s}" for s in all_steps if s.startswith("Seq Scan")]
    assert not wrong, wrong
