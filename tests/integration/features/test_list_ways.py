"""Lists of films have several ways to the same page: which is taken depends on what is fast alone.

Each question is asked in all ways, page by page, and compared with a plain statement that looks at
every film and every showtime.
"""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from benchmarks.filled_catalogue import Catalogue, fill_catalogue
from cinema.features.catalog import movie_store
from cinema.features.catalog.movie_store import MovieFilter, MovieLists
from cinema.features.catalog.shapes import MovieSort
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

FILMS, SHOWTIMES = 200, 4000
QUESTIONS = 40
MANY = 10**9

WAYS = {
    "the films of the first showtimes": {},
    "all such showtimes first": {"FEW_SHOWTIMES": 0, "FEW_SHOWN": MANY},
    "film by film": {"FEW_SHOWTIMES": 0, "FEW_SHOWN": 0},
    "too many formats": {"KINDS_LIMIT": 0},
    "all words at once": {"FEW_FILMS": 0},
    "all words at once, film by film": {"FEW_FILMS": 0, "FEW_SHOWTIMES": 0, "FEW_SHOWN": 0},
}

PLAIN = """
select movie.id from movies movie
where movie.deleted_at is null
  and ($1::text is null or $1 = any(movie.genre_keys))
  and (not $2 or exists (
    select from showtimes showtime
    where showtime.movie_id = movie.id and showtime.status <> 'cancelled'
      and ($3::date is null or showtime.local_date >= $3)
      and ($4::date is null or showtime.local_date <= $4)
      and ($5::uuid is null or showtime.cinema_id = $5)
      and ($6::text is null or lower(showtime.language) || '-' like lower($6) || '-%')
      and ($7::text is null or lower(showtime.format) = lower($7))
      and ($8::timestamptz is null or showtime.ends_at > $8)
  ))
order by {}
"""
ORDERS: dict[MovieSort, str] = {
    "title": "movie.sort_title, movie.id",
    "popularity": "movie.popularity desc, movie.id desc",
    "release_date": "movie.release_date desc, movie.id desc",
}


def asked(draw: random.Random, there: Catalogue) -> tuple[MovieFilter, MovieSort]:
    """A question with some filters."""
    day = there.today.date() + timedelta(days=draw.randrange(-3, 4))
    days: dict[str, Any] = draw.choice(
        [
            {"running_after": there.today + timedelta(hours=draw.randrange(48))},
            {"first_day": day, "last_day": day},
            {"first_day": day},
            {"last_day": day},
        ]
    )
    others: dict[str, Any] = {
        "genre": draw.choice([None, None, "Drama", "Nothing"]),
        "cinema_id": draw.choice([None, draw.choice(there.cinema_ids), UUID(int=1)]),
        "language": draw.choice([None, None, "en", "en-GB", "EN-gb", "e", "de", "zh"]),
        "format": draw.choice([None, None, "2D", "imax", "70mm"]),
    }
    return MovieFilter(**days, **others), draw.choice(list(ORDERS))


async def all_ids(lists: MovieLists, wanted: MovieFilter, sort: MovieSort) -> list[UUID]:
    found: list[UUID] = []
    after = None
    while page := await lists.list(wanted, sort, after=after, limit=30):
        found += [film.id for _, film in page]
        after = (page[-1][0], page[-1][1].id)
    return found


async def test_all_ways_lead_to_the_same_films(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = await fill_catalogue(database, FILMS, SHOWTIMES)
    lists, draw = MovieLists(pool), random.Random(11)
    sizes = set()
    for _ in range(QUESTIONS):
        wanted, sort = asked(draw, there)
        rows = await pool.fetch(
            PLAIN.format(ORDERS[sort]),
            wanted.genre and wanted.genre.lower(),
            wanted.is_about_showtimes,
            wanted.first_day,
            wanted.last_day,
            wanted.cinema_id,
            wanted.language,
            wanted.format,
            wanted.running_after,
        )
        plain = [row["id"] for row in rows]
        sizes.add(min(len(plain), 31))
        for name, bounds in WAYS.items():
            with monkeypatch.context() as patched:
                for bound, value in bounds.items():
                    patched.setattr(movie_store, bound, value)
                assert await all_ids(lists, wanted, sort) == plain, (name, wanted, sort)
    # Some have several pages, and some nothing.
    assert {0, 31} <= sizes


async def test_searches_find_the_same_in_all_ways(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = await fill_catalogue(database, FILMS, SHOWTIMES)
    lists, draw = MovieLists(pool), random.Random(11)
    words = sorted(set(itertools.chain.from_iterable(one.split() for one in there.titles)))
    found_any = 0
    for _ in range(QUESTIONS // 2):
        words_asked = draw.choice([draw.choice(words), draw.choice(there.titles), "the", "love of"])
        wanted, sort = asked(draw, there)
        wanted = msgspec.structs.replace(
            wanted if draw.random() < 0.5 else MovieFilter(), q=words_asked
        )
        chosen: MovieSort = draw.choice(["relevance", sort])
        answers = []
        for bounds in WAYS.values():
            with monkeypatch.context() as patched:
                for bound, value in bounds.items():
                    patched.setattr(movie_store, bound, value)
                answers.append(await all_ids(lists, wanted, chosen))
        assert all(one == answers[0] for one in answers), (wanted, chosen)
        assert len(set(answers[0])) == len(answers[0])
        found_any += bool(answers[0])
    assert found_any > 5
