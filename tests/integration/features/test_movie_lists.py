"""Lists of films: searches, filters and orders, on a real Postgres."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import pytest

from cinema.domain.paging import Page
from cinema.domain.rejections import Refused
from cinema.features.catalog.jobs import CatalogFigures
from cinema.features.catalog.movie_store import POPULAR_AFTER, MovieLists
from cinema.features.catalog.shapes import Movie, MovieInput, MovieQuery
from cinema.storage.database.transactions import Pool
from tests.integration.features.catalog_house import ADMIN, FIRST, START, House, all_pages, refusal

pytestmark = pytest.mark.postgres


@pytest.fixture
def house(pool: Pool) -> House:
    return House(pool)


async def titles(house: House, **query: Any) -> list[str]:
    page: Page[Movie] = await house.catalog.movies(MovieQuery(**query))
    return [movie.title for movie in page.items]


async def test_the_best_answer_comes_first(house: House) -> None:
    for title in ("The Alien", "Aliens", "Alien", "Alien: The Resurrection", "Allen", "Metropolis"):
        await house.movie(title)
    assert await titles(house, q="alien") == [
        *("Alien", "The Alien", "Alien: The Resurrection", "Aliens", "Allen")
    ]
    assert await titles(house, q="alien resurr") == ["Alien: The Resurrection"]
    assert await titles(house, q="resurrection of aliens") == []


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("godfahter", "The Godfather"),
        ("mtrix", "The Matrix"),
        ("amelei", "Amélie"),
        ("lodz", "Łódź"),
        ("œuvre", "Oeuvre"),
        ("aero", "Ærø"),
        ("oceans eleven", "Ocean’s Eleven"),
        ("ocean's", "Ocean’s Eleven"),
        ("spiderman", "Spider-Man"),
        ("spider man", "Spider-Man"),
        ("千尋", "千と千尋の神隠し"),
        ("METROPO", "Metropolis"),
        ("ﬁre", "Fire"),
    ],
)
async def test_search_forgives(house: House, typed: str, title: str) -> None:
    await house.movie(title)
    await house.movie("Nothing like it")
    assert await titles(house, q=typed) == [title]


@pytest.mark.parametrize("typed", ["zzzz", "matrix zzzz", "%", "'", "--", "' or 1=1 --"])
async def test_search_finds_nothing_where_there_is_nothing(house: House, typed: str) -> None:
    await house.movie("The Matrix")
    assert await titles(house, q=typed) == []


async def test_titles_of_signs_are_found_by_what_they_begin_with(house: House) -> None:
    await house.movie("!!! (Chk)")
    await house.movie("%")
    assert await titles(house, q="!!") == ["!!! (Chk)"]
    assert await titles(house, q="%") == ["%"]


async def test_a_changed_title_is_found_by_its_new_words_only(house: House) -> None:
    movie = await house.movie("Stalker")
    new = MovieInput(title="Solaris", runtime_minutes=1)
    await house.catalog.change_movie(ADMIN, movie.id, new, FIRST)
    assert await titles(house, q="stalker") == []
    assert await titles(house, q="solaris") == ["Solaris"]
    await house.catalog.delete_movie(ADMIN, movie.id, frozenset({2}))
    assert await titles(house, q="solaris") == []
    assert await house.pool.fetchval("select count(*) from movie_words") == 0


async def test_search_is_walked_page_by_page(house: House) -> None:
    made = [await house.movie(f"Rocky {number}") for number in range(7)]
    made.append(await house.movie("Rocky"))
    listed = await all_pages(
        lambda cursor: house.catalog.movies(MovieQuery(q="rocky", limit=3, cursor=cursor))
    )
    assert listed[0] == made[-1]
    assert {movie.id for movie in listed} == {movie.id for movie in made}
    assert len(listed) == len(made)


async def test_orders(house: House) -> None:
    old = await house.movie("B", release_date=date(1960, 1, 1))
    new = await house.movie("C", release_date=date(2020, 1, 1))
    undated = await house.movie("A")
    await house.pool.execute(
        "update movies set popularity = case id when $1 then 5 when $2 then 9 else 0 end",
        *(undated.id, old.id),
    )
    for sort, expected in (
        (None, [undated, old, new]),
        ("title", [undated, old, new]),
        ("release_date", [new, old, undated]),
        ("popularity", [old, undated, new]),
    ):

        async def ask(cursor: str | None, sort: Any = sort) -> Page[Movie]:
            return await house.catalog.movies(MovieQuery(sort=sort, limit=1, cursor=cursor))

        listed = await all_pages(ask)
        assert [one.title for one in listed] == [one.title for one in expected], sort
    assert await titles(house, q="a", sort="release_date") == ["A"]


async def test_only_a_search_has_a_relevance(house: House) -> None:
    call = house.catalog.movies(MovieQuery(sort="relevance"))
    assert await refusal(call) == ("VALIDATION_ERROR", "$.sort")


async def test_a_cursor_of_another_order_is_refused(house: House) -> None:
    for title in ("A", "B"):
        await house.movie(title)
    page = await house.catalog.movies(MovieQuery(limit=1))
    assert page.next_cursor is not None
    call = house.catalog.movies(MovieQuery(sort="popularity", cursor=page.next_cursor))
    assert await refusal(call) == ("VALIDATION_ERROR", "$.cursor")


class Programme:
    """Two cinemas that show three films, and one that is shown nowhere."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def build(self) -> None:
        house = self.house
        berlin, samoa = await house.cinema(), await house.cinema("Pacific/Apia")
        self.berlin = berlin.id
        one, other = await house.screen(berlin), await house.screen(samoa)
        today, over, cancelled = [await house.movie(t) for t in ("Today", "Over", "Cancelled")]
        await house.movie("Nowhere")
        day = timedelta(days=1)
        # 2026-06-01 20:00 in Berlin; on Samoa it is the 2nd by then.
        await house.show(today, one, START, language="en-GB", format="IMAX")
        await house.show(today, other, START, language="de", format="3D")
        await house.show(over, one, START - 5 * day, language="fr")
        gone = await house.show(cancelled, one, START + day, language="en")
        await house.pool.execute("update showtimes set status = 'cancelled' where id = $1", gone.id)
        house.now = START - day


async def test_films_are_filtered_by_a_showtime_that_is_not_cancelled(house: House) -> None:
    programme = Programme(house)
    await programme.build()
    berlin = programme.berlin
    first, second = date(2026, 6, 1), date(2026, 6, 2)
    for query, expected in (
        ({"date": first}, ["Today"]),
        ({"date": second}, ["Today"]),
        ({"date": second, "cinema_id": berlin}, []),
        ({"date": date(2026, 5, 27)}, ["Over"]),
        ({"date_from": date(2026, 5, 1)}, ["Over", "Today"]),
        ({"date_from": date(2026, 5, 1), "date_to": date(2026, 5, 31)}, ["Over"]),
        ({"date_to": date(2026, 6, 30)}, ["Today"]),
        ({"cinema_id": berlin}, ["Today"]),
        ({"cinema_id": uuid.UUID(int=7)}, []),
        ({"language": "en"}, ["Today"]),
        ({"language": "EN-gb"}, ["Today"]),
        ({"language": "e"}, []),
        ({"language": "fr"}, []),
        ({"language": "fr", "date_from": date(2026, 1, 1)}, ["Over"]),
        ({"format": "imax"}, ["Today"]),
        # Both are true of `Today`, but not of one showtime.
        ({"format": "imax", "language": "de"}, []),
        ({"format": "imax", "cinema_id": berlin, "q": "tody"}, ["Today"]),
        ({}, ["Cancelled", "Nowhere", "Over", "Today"]),
    ):
        try:
            found = await titles(house, **query)
        except Refused as refused:
            found = [refused.rejection.code]
        # A language has two letters or more: the edge refuses `e`, and the store finds nothing.
        assert found == expected, query


@pytest.mark.parametrize(
    "query",
    [
        {"date": date(2026, 1, 1), "date_from": date(2026, 1, 1)},
        {"date_from": date(2026, 1, 2), "date_to": date(2026, 1, 1)},
        {"date": date(1, 1, 1)},
    ],
)
async def test_impossible_days_are_refused(house: House, query: dict[str, Any]) -> None:
    assert (await refusal(house.catalog.movies(MovieQuery(**query))))[0] == "VALIDATION_ERROR"


async def test_films_of_older_builds_get_their_words(house: House) -> None:
    await house.pool.execute(
        "insert into movies (id, title, runtime_minutes, sort_title, genre_keys, created_at)"
        " select gen_random_uuid(), 'Old ' || n, 1, 'old ' || n, '{}', now()"
        " from generate_series(1, 3) n"
    )
    assert await titles(house, q="old") == []
    lists = MovieLists(house.pool)
    done = await asyncio.gather(*(lists.index_unindexed() for _ in range(3)))
    assert sum(done) == 3
    assert await lists.index_unindexed() == 0
    assert await titles(house, q="old 2") == ["Old 2"]


async def test_popular_is_what_has_sold_seats_of_late(house: House) -> None:
    screen = await house.screen(await house.cinema())
    loved, once, never = [await house.movie(title) for title in ("Loved", "Once", "Never")]
    shows = [
        await house.show(movie, screen, START + timedelta(days=day))
        for day, movie in enumerate((loved, loved, once))
    ]
    await house.pool.execute(
        "insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor,"
        " live) select gen_random_uuid(), 1, show, 'A' || seat, 'regular', 1, seat < 3"
        " from unnest($1::uuid[]) show, generate_series(1, 3) seat",
        [one.id for one in shows],
    )
    figures = CatalogFigures(MovieLists(house.pool), now=lambda: house.now)
    await figures.round()
    assert await titles(house, sort="popularity") == ["Loved", "Once", "Never"]
    counted = dict(await house.pool.fetch("select title, popularity from movies"))
    assert counted == {"Loved": 4, "Once": 2, "Never": 0}
    assert (await house.catalog.movie(loved.id)).version == 1
    # Not again before the figures are old; by then the showtimes are, too.
    house.now += POPULAR_AFTER - timedelta(seconds=1)
    assert not await MovieLists(house.pool).count_popularity(house.now)
    house.now += timedelta(days=60)
    assert await MovieLists(house.pool).count_popularity(house.now)
    assert set(await house.pool.fetch("select distinct popularity from movies")) == {(0,)}
    assert never.version == 1
    assert once.version == 1


async def test_one_of_several_nodes_counts(house: House) -> None:
    lists = MovieLists(house.pool)
    counted = await asyncio.gather(*(lists.count_popularity(house.now) for _ in range(4)))
    assert sorted(counted) == [False, False, False, True]
