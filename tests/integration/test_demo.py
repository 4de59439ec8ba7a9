import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from cinema.demo.catalog import HOUSES
from cinema.demo.seed import DEMO_ACCOUNTS, DemoRefused, seed
from cinema.features.accounts.passwords import PasswordHasher
from cinema.settings import Settings
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

SETTINGS = Settings(bcrypt_cost=10)
NOW = datetime(2026, 10, 22, 15, 0, tzinfo=UTC)
TABLES = (
    "users",
    "movies",
    "cinemas",
    "screens",
    "screen_layouts",
    "showtimes",
    "showtime_heads",
    "cinema_managers",
)


async def counts(pool: Pool) -> dict[str, int]:
    return {table: await pool.fetchval(f"select count(*) from {table}") for table in TABLES}


async def days_of(pool: Pool) -> dict[UUID, Counter[date]]:
    rows = await pool.fetch("select cinema_id, local_date from showtimes")
    found: dict[UUID, Counter[date]] = {}
    for row in rows:
        found.setdefault(row["cinema_id"], Counter())[row["local_date"]] += 1
    return found


async def test_first_start_seeds_what_the_tour_needs(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    made = await counts(pool)
    assert (made["users"], made["movies"], made["cinemas"], made["screens"]) == (4, 12, 2, 5)
    assert made["showtimes"] == made["showtime_heads"] > 100
    assert sorted(await pool.fetchval("select array_agg(seat_count) from screens")) == [
        38,
        96,
        150,
        220,
        348,
    ]


async def test_concurrent_and_repeated_starts_seed_once(pool: Pool) -> None:
    await asyncio.gather(*(seed(pool, SETTINGS, NOW) for _ in range(3)))
    first = await counts(pool)
    await seed(pool, SETTINGS, NOW)
    assert await counts(pool) == first


async def test_each_of_the_next_days_has_showtimes_in_each_cinemas_own_zone(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    days = await days_of(pool)
    for house in HOUSES:
        today = NOW.astimezone(ZoneInfo(house.cinema.time_zone)).date()
        wanted = {today + timedelta(days=ahead) for ahead in range(8)}
        assert set(days[house.cinema.id]) == wanted
    assert await pool.fetchval("select bool_and(starts_at > $1) from showtimes", NOW)


async def test_later_starts_top_the_programme_up_and_change_nothing_else(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    before = {row["id"] for row in await pool.fetch("select id from showtimes")}
    later = NOW + timedelta(days=3)
    await seed(pool, SETTINGS, later)
    after = {row["id"] for row in await pool.fetch("select id from showtimes")}
    assert before < after
    days = await days_of(pool)
    for house in HOUSES:
        last = later.astimezone(ZoneInfo(house.cinema.time_zone)).date() + timedelta(days=7)
        assert max(days[house.cinema.id]) == last
    again = await counts(pool)
    await seed(pool, SETTINGS, NOW + timedelta(days=400))
    assert (await counts(pool))["showtimes"] > again["showtimes"]


async def test_showtimes_made_by_hand_are_left_alone(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    screen = await pool.fetchval("select id from screens order by id limit 1")
    await pool.execute(
        """
        insert into showtimes (id, movie_id, cinema_id, screen_id, screen_no, layout_version,
            starts_at, ends_at, clear_at, local_date, base_price_minor, currency, format,
            language, sales_opens_at, sales_closes_at, created_at)
        select gen_random_uuid(), (select id from movies limit 1), cinema_id, id, screen_no, 1,
            $2, $3, $3, $4, 100, 'EUR', '2D', 'en', $5, $2, $5
        from screens where id = $1
        """,
        screen,
        NOW + timedelta(days=9),
        NOW + timedelta(days=10),
        (NOW + timedelta(days=9)).date(),
        NOW,
    )
    await seed(pool, SETTINGS, NOW + timedelta(days=3))
    taken = await pool.fetchval(
        "select count(*) from showtimes where screen_id = $1 and during && tstzrange($2, $3)",
        screen,
        NOW + timedelta(days=9),
        NOW + timedelta(days=10),
    )
    assert taken == 1


async def test_passwords_are_the_documented_ones(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    hasher = PasswordHasher(10)
    for role, (email, password) in DEMO_ACCOUNTS.items():
        row = await pool.fetchrow("select role, password_hash from users where email = $1", email)
        assert row is not None
        assert row["role"] == role
        assert await hasher.matches(password, row["password_hash"], "")
    hasher.close()


async def test_production_refuses_demo_data(pool: Pool) -> None:
    with pytest.raises(DemoRefused):
        await seed(pool, Settings(environment="production"), NOW)
    assert (await counts(pool))["users"] == 0
