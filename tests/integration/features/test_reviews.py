"""Reviews in Postgres: what a film has of them, and what is told of whoever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from cinema.features.personal import PAGE_ROWS
from cinema.features.reviews.personal_store import ReviewFacts
from cinema.features.reviews.store import DELETED_KEPT, ReviewsRepository
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


async def film(pool: Pool) -> UUID:
    movie_id = uuid4()
    await pool.execute(
        "insert into movies (id, title, runtime_minutes, sort_title, genre_keys, created_at)"
        " values ($1, 'Film', 90, 'film', '{}', now())",
        movie_id,
    )
    return movie_id


async def review(pool: Pool, movie_id: UUID, rating: int, **more: Any) -> UUID:
    row = {"id": uuid4(), "user_id": uuid4(), "status": "published", "text": "", **more}
    row |= {"movie_id": movie_id, "rating": rating, "created_at": NOW}
    places = ", ".join(f"${place + 1}" for place in range(len(row)))
    await pool.execute(f"insert into reviews ({', '.join(row)}) values ({places})", *row.values())
    found = row["id"]
    assert isinstance(found, UUID)
    return found


async def rated(pool: Pool, movie_id: UUID) -> tuple[int, int]:
    row = await pool.fetchrow("select rating_count, rating_sum from movies where id = $1", movie_id)
    assert row is not None
    return row["rating_count"], row["rating_sum"]


async def test_a_film_has_the_sum_of_its_published_ratings_whatever_happens(pool: Pool) -> None:
    movie_id, other_id = await film(pool), await film(pool)
    first = await review(pool, movie_id, 5)
    second = await review(pool, movie_id, 2, status="pending")
    await review(pool, other_id, 4)
    assert await rated(pool, movie_id) == (1, 5)
    steps = (
        ("rating = 3", first, (1, 3)),
        ("status = 'published'", second, (2, 5)),
        ("rating = 1", second, (2, 4)),
        ("reports = 2, text = 'x'", second, (2, 4)),
        ("status = 'rejected'", first, (1, 1)),
        ("deleted_at = now()", first, (1, 1)),
        ("deleted_at = now()", second, (0, 0)),
        ("deleted_at = null", second, (1, 1)),
    )
    for change, review_id, expected in steps:
        await pool.execute(f"update reviews set {change} where id = $1", review_id)
        assert await rated(pool, movie_id) == expected, change
    await pool.execute("delete from reviews where movie_id = $1", movie_id)
    assert await rated(pool, movie_id) == (0, 0)
    assert await rated(pool, other_id) == (1, 4)


async def test_reports_do_not_count_as_a_change_of_the_catalogue(pool: Pool) -> None:
    async def version() -> int:
        found: int = await pool.fetchval("select sum(movies)::bigint from catalogue_versions")
        return found

    movie_id = await film(pool)
    before = await version()
    review_id = await review(pool, movie_id, 5)
    after = await version()
    assert after > before, "caches of the film are old"
    await pool.execute("update reviews set reports = 1 where id = $1", review_id)
    assert await version() == after


async def test_what_was_deleted_long_ago_is_forgotten(pool: Pool) -> None:
    movie_id = await film(pool)
    long_ago, lately = NOW - DELETED_KEPT - timedelta(seconds=1), NOW - DELETED_KEPT
    for _ in range(3):
        await review(pool, movie_id, 5, deleted_at=long_ago)
    kept = {await review(pool, movie_id, 5, deleted_at=lately), await review(pool, movie_id, 5)}
    reported = await pool.fetchval("select id from reviews where deleted_at < $1", lately)
    await pool.execute(
        "insert into review_reports values ($1, $2, 'spam', $3)", reported, uuid4(), NOW
    )
    store = ReviewsRepository(pool)
    assert [await store.forget(NOW, 2) for _ in range(3)] == [2, 1, 0]
    assert {row["id"] for row in await pool.fetch("select id from reviews")} == kept
    assert await pool.fetchval("select count(*) from review_reports") == 0


async def test_an_export_has_all_that_somebody_has_said_and_reported(pool: Pool) -> None:
    user_id, count = uuid4(), PAGE_ROWS + 3
    ids = {await review(pool, await film(pool), 4, user_id=user_id) for _ in range(count)}
    ids.add(await review(pool, await film(pool), 1, user_id=user_id, deleted_at=NOW))
    other = await review(pool, await film(pool), 2)
    await pool.execute(
        "insert into review_reports values ($1, $2, 'spam', $3), ($1, $4, 'other', $3)",
        *(other, user_id, NOW, uuid4()),
    )
    files = {
        file.name: msgspec.json.decode(b"".join([piece async for piece in file.pieces]))
        async for file in ReviewFacts(pool).disclose(user_id)
    }
    assert {UUID(one["id"]) for one in files["reviews.json"]} == ids
    assert {one["film"] for one in files["reviews.json"]} == {"Film"}
    assert [one["reason"] for one in files["review_reports.json"]] == ["spam"]
