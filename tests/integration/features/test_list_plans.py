"""No list reads a whole table, however many films, showtimes and accounts there are.

Takes half a minute, most of it to make 200,000 showtimes: with few of them the planner is
right to read whole tables. `bin/bench catalogue` looks at the same with a million.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from benchmarks.filled_catalogue import Catalogue, fill_catalogue
from cinema.features.accounts.letters import no_post
from cinema.features.accounts.user_store import UserFilter, list_statement
from cinema.features.bookings.staff_store import StaffBookingsRepository, Wanted
from cinema.features.catalog.layout_store import LayoutsRepository
from cinema.features.catalog.movie_store import MovieFilter, MovieLists
from cinema.features.catalog.shapes import MovieSort
from cinema.features.catalog.store import CatalogRepository
from cinema.features.schedules.store import SchedulesRepository
from cinema.features.showtimes.calendar_store import CalendarRepository
from cinema.features.showtimes.store import ShowtimeFilter, ShowtimesRepository
from cinema.storage.database.transactions import Pool

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

FILMS, SHOWTIMES = 20_000, 200_000
LARGE = (
    *("movies", "movie_words", "movie_vocabulary", "movie_trigrams", "showtimes", "users"),
    "bookings",
)
ROWS_MOST = 12_000
"""Rows that one step of a plan may read: more than a day of a chain, less than a table."""


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
        return next(iter(await self.fetch(statement, *values)), None)

    def wrong(self) -> list[str]:
        """Steps that read a whole large table, by a scan of it or by its index."""
        found = [step for plan in self.plans for step in _wrong(plan["Plan"])]
        self.plans.clear()
        return found


def _wrong(node: Any) -> list[str]:
    found = []
    table = node.get("Relation Name", "")
    rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    if table in LARGE and (node["Node Type"] == "Seq Scan" or rows > ROWS_MOST):
        found.append(f"{node['Node Type']} {table}: {rows} rows")
    for inner in node.get("Plans", ()):
        found += _wrong(inner)
    return found


def film_lists(there: Catalogue) -> dict[str, tuple[dict[str, Any], MovieSort]]:
    now = there.today + timedelta(hours=1)
    day = there.today.date() + timedelta(days=2)
    cinema_id = there.cinema_ids[3]
    title = there.titles[77]
    one_day = {"first_day": day, "last_day": day}
    return {
        "title": ({}, "title"),
        "release": ({}, "release_date"),
        "popularity": ({}, "popularity"),
        "genre": ({"genre": "Horror"}, "title"),
        "rare-genre": ({"genre": "nothing"}, "title"),
        "search": ({"q": title.split()[0]}, "relevance"),
        "words": ({"q": title}, "relevance"),
        "common-word": ({"q": "the"}, "relevance"),
        "common-words": ({"q": "love night"}, "relevance"),
        "by-title": ({"q": "the"}, "title"),
        "typo": ({"q": title.split()[0][:-1]}, "relevance"),
        "beginning": ({"q": title[:2]}, "relevance"),
        "search-day": ({"q": "the", **one_day}, "relevance"),
        "search-language": ({"q": "the", "language": "en", "running_after": now}, "relevance"),
        "genre-day": ({"genre": "drama", **one_day}, "title"),
        "day": (one_day, "title"),
        "cinema-day": ({"cinema_id": cinema_id, **one_day}, "title"),
        "range": ({"first_day": day, "last_day": day + timedelta(days=60)}, "popularity"),
        "from": ({"first_day": day}, "title"),
        "to": ({"last_day": day}, "title"),
        "cinema": ({"cinema_id": cinema_id, "running_after": now}, "title"),
        "language": ({"language": "de", "running_after": now}, "title"),
        "rare-language": ({"language": "zh", "running_after": now}, "title"),
        "format": ({"format": "IMAX", "running_after": now}, "title"),
        "format-day": ({"format": "IMAX", "language": "en", **one_day}, "title"),
        "rare-format": ({"format": "70mm", "running_after": now}, "title"),
    }


NOTHING = {"rare-genre", "rare-language", "rare-format"}


def showtime_lists(there: Catalogue, now: datetime) -> dict[str, ShowtimeFilter]:
    day = there.today.date() + timedelta(days=2)
    cinema_id, movie_id = there.cinema_ids[3], there.shown_ids[7]
    return {
        "all": ShowtimeFilter(running_after=now),
        "cinema": ShowtimeFilter(cinema_id=cinema_id, running_after=now),
        "cinema-day": ShowtimeFilter(cinema_id=cinema_id, first_day=day, last_day=day),
        "film": ShowtimeFilter(movie_id=movie_id, running_after=now),
        "film-cinema": ShowtimeFilter(movie_id=movie_id, cinema_id=cinema_id, running_after=now),
        "day": ShowtimeFilter(first_day=day, last_day=day),
        "from": ShowtimeFilter(first_day=day),
        "to": ShowtimeFilter(last_day=day),
    }


# Each account has some bookings, far from each other in the table.
FILL_BOOKINGS = """
with shows as (
    select id, row_number() over (order by id) as n from showtimes
), people as (
    select id, row_number() over (order by id) as n from users
)
insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
    created_at)
select gen_random_uuid(), 'CODE' || made.n, s.id, p.id, gen_random_uuid(), 'confirmed', 0, 'EUR',
    now() - made.n * interval '1 second'
from generate_series(1, $1::bigint) made (n)
join people p on p.n = 1 + made.n * 7919 % (select count(*) from people)
join shows s on s.n = 1 + made.n * 104729 % (select count(*) from shows)"""


async def bookings_searched(database: str) -> dict[str, Wanted]:
    """A hundred thousand bookings, and what staff look for among them."""
    filling = await asyncpg.connect(database, command_timeout=1800)
    await filling.execute(FILL_BOOKINGS, 100_000)
    await filling.execute("vacuum analyze bookings")
    row = await filling.fetchrow(
        "select b.code, b.showtime_id, u.email_key, u.first_name || ' ' || u.last_name as name,"
        " t.cinema_id from bookings b join users u on u.id = b.user_id"
        " join showtimes t on t.id = b.showtime_id where b.code = 'CODE777'"
    )
    await filling.close()
    assert row is not None
    anything = Wanted(cinema_ids=None, code=None, email_key=None, name=None, showtime_id=None)
    name = row["name"]
    return {
        of: msgspec.structs.replace(anything, **{"cinema_ids": [row["cinema_id"]], **asked})
        for of, asked in {
            "code": {"code": row["code"]},
            "address": {"email_key": row["email_key"]},
            "name": {"name": name},
            "showtime": {"showtime_id": row["showtime_id"]},
            "name and showtime": {"name": name, "showtime_id": row["showtime_id"]},
            "name, everywhere": {"name": name, "cinema_ids": None},
        }.items()
    }


async def screens_of(pool: Pool, there: Catalogue) -> list[UUID]:
    async with pool.acquire() as c:
        rows = await c.fetch("select id from screens where cinema_id = $1", there.cinema_ids[3])
    return [row["id"] for row in rows]


async def test_no_list_reads_a_whole_table(pool: Pool, database: str) -> None:
    there = await fill_catalogue(database, FILMS, SHOWTIMES)
    reads, wrong = Explaining(pool), list[str]()

    def look(name: str) -> None:
        wrong.extend(f"{name}: {step}" for step in reads.wrong())

    lists = MovieLists(pool, reads)
    for name, (filters, sort) in film_lists(there).items():
        rows = await lists.list(MovieFilter(**filters), sort, after=None, limit=21)
        assert bool(rows) is (name not in NOTHING), name
        look(f"films {name}")
        if rows:
            # The second page goes the same way.
            place, film = rows[-1]
            await lists.list(MovieFilter(**filters), sort, after=(place, film.id), limit=21)
            look(f"films {name}, behind the first page")
    showtimes = ShowtimesRepository(pool, reads)
    for name, wanted in showtime_lists(there, there.today).items():
        rows_of = await showtimes.list(wanted, after=None, limit=21)
        look(f"showtimes {name}")
        assert rows_of or name == "film-cinema", name
    day = there.today.date() + timedelta(days=2)
    schedules = SchedulesRepository(pool, reads)
    shown = await schedules.schedule(there.cinema_ids[3], day)
    assert shown is not None
    assert shown.showtimes
    look("schedule")
    calendars, until = CalendarRepository(pool, reads), there.today + timedelta(days=14)
    assert await calendars.of_cinema(there.cinema_ids[3], there.today, until, 1000)
    look("calendar of a cinema")
    assert await calendars.of_movie(there.shown_ids[7], there.today, until, 1000)
    look("calendar of a film")
    layouts = LayoutsRepository(pool, reads)
    screen_id = (await screens_of(pool, there))[0]
    assert await layouts.versions(screen_id, there.today, before=None, limit=21)
    look("versions of a layout")
    catalog = CatalogRepository(pool, reads)
    assert await catalog.list_screens(there.cinema_ids[3], after_id=None, limit=21)
    assert await catalog.list_cinemas(after_id=None, limit=21)
    look("cinemas and screens")
    nobody = UserFilter(text=None, role=None, cinema_id=None)
    for name, who in {
        "all": nobody,
        "role": msgspec.structs.replace(nobody, role="staff"),
        "cinema": msgspec.structs.replace(nobody, cinema_id=there.cinema_ids[3]),
    }.items():
        statement, values = list_statement(who, None, 21)
        assert await reads.fetch(statement, *values), name
        look(f"accounts {name}")
    bookings = StaffBookingsRepository(pool, no_post, reads)
    for name, which in (await bookings_searched(database)).items():
        assert await bookings.search(which, None, 21), name
        look(f"bookings by {name}")
    assert not wrong, "\n".join(wrong)
