from collections.abc import Awaitable
from datetime import UTC, datetime

import pytest

from cinema.domain.ids import format_id, new_id
from cinema.domain.rejections import Refused
from cinema.features.catalog.shapes import CinemaInput, Movie, MovieInput
from cinema.features.catalog.store import CatalogRepository
from cinema.storage.database.pool import open_pool
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.store import StoreUnavailable
from cinema.storage.journal.terms import TermsSource
from tests.support.sale_rules import DEFAULTS

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 5, 20, tzinfo=UTC)
MOVIE = MovieInput(title="Stalker", runtime_minutes=161)
MOVIE_ID = format_id(new_id(1, 1))

DIES = """
create function die() returns trigger language plpgsql as
$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$
"""
BEFORE_INSERT = "create trigger t before insert on movies for each row execute function die()"
AT_COMMIT = """
create constraint trigger t after insert on movies deferrable initially deferred
for each row execute function die()
"""


async def add(pool: Pool) -> Movie:
    return await CatalogRepository(pool).add_movie(MOVIE_ID, MOVIE, NOW, None)


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.rejection.code


async def test_connection_lost_before_the_commit_is_a_retry(pool: Pool) -> None:
    await pool.execute(DIES)
    await pool.execute(BEFORE_INSERT)
    assert await refusal(add(pool)) == "RETRY"
    await pool.execute("drop trigger t on movies")
    assert (await add(pool)).title == "Stalker"


async def test_connection_lost_during_the_commit_leaves_the_outcome_unknown(pool: Pool) -> None:
    await pool.execute(DIES)
    await pool.execute(AT_COMMIT)
    assert await refusal(add(pool)) == "OUTCOME_UNKNOWN"


async def test_unknown_constraint_is_a_defect_and_no_refusal(pool: Pool) -> None:
    await add(pool)
    with pytest.raises(Exception, match="movies_pkey"):
        await add(pool)


async def test_zone_that_only_postgres_does_not_know_is_refused(pool: Pool) -> None:
    cinema = CinemaInput(name="A", city="B", country="DE", time_zone="Not/A_Zone", currency="EUR")
    call = CatalogRepository(pool).add_cinema(MOVIE_ID, cinema, NOW, None)
    assert await refusal(call) == "VALIDATION_ERROR"


async def test_reading_without_a_database_is_a_retry_for_clients_and_unavailable_for_actors(
    database: str,
) -> None:
    pool = await open_pool(database, size=3)
    await pool.close()
    assert await refusal(CatalogRepository(pool).find_movie(MOVIE_ID)) == "RETRY"
    terms = TermsSource(pool, DEFAULTS)
    with pytest.raises(StoreUnavailable):
        await terms.load_terms(new_id(1, 1))
    with pytest.raises(StoreUnavailable):
        await terms.load_plan(new_id(1, 1), 1)
