import asyncio
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from cinema.demo import seed as demo_seed
from cinema.demo.catalog import HOUSES, DemoFilm
from cinema.demo.prices import SETTINGS as PRICE_SETTINGS
from cinema.demo.prices import rule_id, rules
from cinema.demo.seed import DEMO_ACCOUNTS, DemoRefused, seed
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.catalog.store import CatalogRepository
from cinema.features.pricing.rules import check_rule, check_settings
from cinema.features.pricing.shapes import RuleFields
from cinema.features.pricing.store import PricesRepository
from cinema.integrations.images import WIDTHS
from cinema.integrations.objects.folder import FolderObjects
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


async def test_cinemas_say_how_they_are_run(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    catalog = CatalogRepository(pool)
    systems = set()
    for house in HOUSES:
        found = await catalog.find_settings(house.cinema.id)
        assert found is not None
        assert found.settings == house.settings
        assert found.settings.opening_exceptions
        systems.add(found.settings.rating_system)
    assert len(systems) == 2


async def test_films_show_posters_that_were_drawn(pool: Pool, tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path / "uploads")
    await seed(pool, SETTINGS, NOW, objects=objects)
    urls = [row["poster_url"] for row in await pool.fetch("select poster_url from movies")]
    assert len(set(urls)) == len(urls) == 12
    for url in urls:
        digest, _, width = url.removeprefix("/media/").removesuffix(".webp").partition("-")
        assert width == "780"
        assert await pool.fetchval("select true from posters where digest = $1", digest)
        for wide in WIDTHS:
            content = await objects.get(f"{digest}-{wide}.webp")
            assert content is not None
            assert Image.open(io.BytesIO(content)).size == (wide, wide * 3 // 2)


async def test_posters_are_drawn_once_and_changed_films_are_left_alone(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def sketch(film: DemoFilm) -> list[bytes]:
        drawn.append(film.title)
        return [film.title.encode()] * len(WIDTHS)

    monkeypatch.setattr(demo_seed, "posters", sketch)
    await seed(pool, SETTINGS, NOW)
    await pool.execute("update movies set version = 2 where title = 'Metropolis'")
    unwritable = tmp_path / "file"
    unwritable.write_text("no folder")
    said: list[str] = []
    await seed(pool, SETTINGS, NOW, said.append, objects=FolderObjects(unwritable))
    assert said[0] == "drawing 11 posters"
    assert said[1].startswith("no posters: ")
    assert await pool.fetchval("select count(*) from movies where poster_url is not null") == 0
    drawn.clear()
    objects = FolderObjects(tmp_path / "uploads")
    await seed(pool, SETTINGS, NOW, objects=objects)
    assert len(drawn) == 11
    assert "Metropolis" not in drawn
    await seed(pool, SETTINGS, NOW, objects=objects)
    assert len(drawn) == 11


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


async def test_the_demo_has_ticket_types_and_rules_that_nobody_has_changed(pool: Pool) -> None:
    await seed(pool, SETTINGS, NOW)
    prices = PricesRepository(pool)
    aurora = HOUSES[0]
    seen = await prices.find_settings(aurora.cinema.id)
    assert seen is not None
    assert seen.settings == PRICE_SETTINGS
    book = await prices.book(aurora.cinema.id, seen.book_version)
    assert book is not None
    assert {one.name for one in book.rules} == {one.name for one in rules(aurora)}
    # Somebody changes a rule and deletes another one; the next start leaves that as it is.
    changed, deleted = rule_id(aurora, "Matinee"), rule_id(aurora, "Nearly full")
    await pool.execute(
        "update price_rules set rule = rule || '{\"priority\": 7}' where id = $1", changed
    )
    await pool.execute("update price_rules set deleted_at = now() where id = $1", deleted)
    await pool.execute(
        "update price_books set settings = settings || '{\"floor\": 5}', settings_version = 2"
        " where cinema_id = $1",
        aurora.cinema.id,
    )
    await seed(pool, SETTINGS, NOW + timedelta(days=3))
    again = await prices.find_settings(aurora.cinema.id)
    assert again is not None
    assert again.settings.floor == 5
    book = await prices.book(aurora.cinema.id, again.book_version)
    assert book is not None
    assert {one.name: one.priority for one in book.rules} == {
        one.name: 7 if one.id == changed else one.priority
        for one in rules(aurora)
        if one.id != deleted
    }


def test_settings_and_rules_of_the_demo_are_those_that_managers_could_write() -> None:
    check_settings(PRICE_SETTINGS, {})
    for house in HOUSES:
        for one in rules(house):
            fields = {name: getattr(one, name) for name in RuleFields.__struct_fields__}
            check_rule(RuleFields(**fields))
