import asyncio
import uuid
from collections.abc import Awaitable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cinema.domain.idempotency import idempotency_key
from cinema.domain.ids import new_id
from cinema.domain.money import Money
from cinema.domain.paging import PageQuery
from cinema.domain.rejections import Refused
from cinema.domain.sale_rules import Rules
from cinema.domain.seatmap import Layout, LayoutRow, LayoutSeat
from cinema.domain.text import fold
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    Grid,
    LayoutInput,
    MovieInput,
    MovieQuery,
    Screen,
    ScreenInput,
)
from cinema.features.showtimes.shapes import SalesInput, Showtime, ShowtimeQuery
from cinema.storage.database.migrate import MIGRATIONS
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.terms import TermsSource
from tests.integration.features.catalog_house import (
    ADMIN,
    FIRST,
    MANAGER,
    START,
    House,
    all_pages,
    refusal,
    showing,
)
from tests.support.sale_rules import DEFAULTS

pytestmark = pytest.mark.postgres


@pytest.fixture
def house(pool: Pool) -> House:
    return House(pool)


async def test_movie_is_shown_as_it_was_made(house: House) -> None:
    made = await house.movie(
        genres=["Drama"], release_date=date(1979, 5, 25), languages=["ru"], age_rating="12"
    )
    assert await house.catalog.movie(made.id) == made
    assert msgspec.to_builtins(made)["release_date"] == "1979-05-25"


async def test_what_does_not_exist_is_not_found(house: House) -> None:
    nothing = uuid.UUID(bytes=new_id(1, 1))
    for call in (
        house.catalog.movie(nothing),
        house.catalog.cinema(nothing),
        house.catalog.screen(nothing),
        house.catalog.screens(nothing, PageQuery()),
        house.catalog.layout(nothing),
        house.showtimes.showtime(nothing),
        house.showtimes.showtimes_of_movie(nothing, ShowtimeQuery()),
    ):
        assert await refusal(call) == ("NOT_FOUND", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Europe/Atlantis"),
        ("time_zone", "../etc/passwd"),
        ("time_zone", "/etc/localtime"),
        ("time_zone", "Europe"),
        ("time_zone", "a\x00b"),
        ("currency", "XXX"),
    ],
)
async def test_unknown_zone_or_currency_is_refused(house: House, field: str, value: str) -> None:
    request = CinemaInput(name="A", city="B", country="DE", time_zone="UTC", currency="EUR")
    changed = msgspec.structs.replace(request, **{field: value})
    assert await refusal(house.catalog.create_cinema(changed)) == (
        "VALIDATION_ERROR",
        f"$.{field}",
    )


async def test_movies_are_paged_by_title_without_gap_or_repeat(house: House) -> None:
    titles = ["Zorn", "amélie", "Amélie", "Éclair", "Dune", "The Matrix", "dune"]
    made = [await house.movie(title) for title in titles]
    listed = await all_pages(
        lambda cursor: house.catalog.movies(MovieQuery(limit=1, cursor=cursor))
    )
    assert {movie.id for movie in listed} == {movie.id for movie in made}
    assert len(listed) == len(made)
    folded = [movie.title.casefold().replace("é", "e") for movie in listed]
    assert folded == sorted(folded)


async def test_movies_are_found_by_genre_and_words_of_the_title(house: House) -> None:
    amelie = await house.movie("Amélie", genres=["Comedy", "Romance"])
    percent = await house.movie("100% Wolf_", genres=["Comedy"])

    async def found(**query: Any) -> set[str]:
        page = await house.catalog.movies(MovieQuery(**query))
        return {movie.id for movie in page.items}

    assert await found(q="AMELIE") == {amelie.id}
    assert await found(q="am") == {amelie.id}
    assert await found(genre="comedy") == {amelie.id, percent.id}
    assert await found(genre="comedy", q="wolf") == {percent.id}
    assert await found(genre="romance", q="wolf") == set()
    assert await found(q="100%") == {percent.id}
    for nothing in ("%", "_", "\\", " "):
        assert await found(q=nothing) == set(), nothing
    assert await found(genre="come") == set()


async def test_search_takes_letters_as_people_type_them(house: House) -> None:
    movie = await house.movie("Łódź Ærø L’été", genres=["Œuvre"])

    async def found(**query: Any) -> set[str]:
        page = await house.catalog.movies(MovieQuery(**query))
        return {one.id for one in page.items}

    for q in ("lodz", "LODZ", "aero", "l'ete", "l’été", "lodz aero", "  lodz   aero  "):
        assert await found(q=q) == {movie.id}, q
    assert await found(genre="oeuvre") == {movie.id}
    assert await found(q="ete") == {movie.id}


async def test_titles_folded_by_an_older_version_are_folded_again(pool: Pool) -> None:
    folded = "łódź ærø l’été".translate({ord("ó"): "o", ord("ź"): "z", ord("é"): "e"})
    movie_id = str(uuid.uuid4())
    await pool.execute(
        "insert into movies (id, title, runtime_minutes, sort_title, genre_keys, created_at)"
        " values ($1, 'Łódź Ærø L’été', 90, $2, $3, now())",
        movie_id,
        folded,
        ["œuvre", "þriller", "plain"],
    )
    async with pool.acquire() as connection:
        await connection.execute((MIGRATIONS / "0005_fold_more_letters.sql").read_text())
    row = await pool.fetchrow("select sort_title, genre_keys from movies where id = $1", movie_id)
    assert row is not None
    assert row["sort_title"] == fold("Łódź Ærø L’été")
    assert row["genre_keys"] == ["oeuvre", "thriller", "plain"]


async def test_cursor_that_is_not_ours_is_refused(house: House) -> None:
    assert await refusal(house.catalog.movies(MovieQuery(cursor="x"))) == (
        "VALIDATION_ERROR",
        "$.cursor",
    )
    far = "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAsIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCJd"
    assert await refusal(house.showtimes.showtimes(ShowtimeQuery(cursor=far))) == (
        "VALIDATION_ERROR",
        "$.cursor",
    )


async def test_cinemas_and_screens_are_paged(house: House) -> None:
    cinemas = [await house.cinema() for _ in range(5)]
    listed = await all_pages(
        lambda cursor: house.catalog.cinemas(PageQuery(limit=2, cursor=cursor))
    )
    assert listed == cinemas
    screens = [await house.screen(cinemas[0], f"Screen {n}") for n in range(5)]
    await house.screen(cinemas[1], "Elsewhere")
    home = cinemas[0].id
    listed = await all_pages(
        lambda cursor: house.catalog.screens(home, PageQuery(limit=2, cursor=cursor))
    )
    assert listed == screens


async def test_screen_has_the_layout_it_was_given(house: House) -> None:
    seats = (
        LayoutSeat(number=1, category="vip"),
        LayoutSeat(number=2, category="vip", gap_before=1.0),
    )
    layout = Layout(rows=(LayoutRow(label="A", seats=seats),))
    cinema = await house.cinema()
    request = ScreenInput(cinema_id=cinema.id, name="One", layout=layout)
    screen = await house.catalog.create_screen(ADMIN, request)
    assert (screen.layout_version, screen.seat_count) == (1, 2)
    shown = await house.catalog.layout(screen.id)
    assert (shown.layout, shown.layout_version) == (layout, 1)


async def test_screen_needs_exactly_one_valid_layout(house: House) -> None:
    cinema = await house.cinema()
    row = LayoutRow(label="A", seats=(LayoutSeat(number=1, category="regular"),))
    twice = Layout(rows=(row, row))
    base = ScreenInput(cinema_id=cinema.id, name="One")
    for request, path in (
        (base, None),
        (msgspec.structs.replace(base, layout=twice, grid=Grid(rows=1, columns=1)), None),
        (msgspec.structs.replace(base, layout=twice), "$.layout.rows[1].label"),
        (msgspec.structs.replace(base, grid=Grid(rows=900, columns=900)), "$.grid"),
    ):
        assert await refusal(house.catalog.create_screen(ADMIN, request)) == (
            "VALIDATION_ERROR",
            path,
        )


async def test_screen_needs_a_cinema_that_exists(house: House) -> None:
    nowhere = uuid.UUID(bytes=new_id(1, 1))
    request = ScreenInput(cinema_id=nowhere, name="One", grid=Grid(rows=1, columns=1))
    assert await refusal(house.catalog.create_screen(ADMIN, request)) == (
        "UNKNOWN_REFERENCE",
        "$.cinema_id",
    )


async def test_screens_of_a_cinema_have_different_names(house: House) -> None:
    cinema = await house.cinema()
    await house.screen(cinema)
    assert (await refusal(house.screen(cinema)))[0] == "NAME_TAKEN"
    await house.screen(await house.cinema())


async def test_managers_change_only_their_own_cinema(house: House) -> None:
    own, other = await house.cinema(), await house.cinema()
    manager = msgspec.structs.replace(MANAGER, cinema_ids=frozenset({own.id.bytes}))
    movie = await house.movie()

    def new_screen(cinema: Cinema) -> ScreenInput:
        return ScreenInput(cinema_id=cinema.id, name="New", grid=Grid(rows=1, columns=1))

    mine = await house.catalog.create_screen(manager, new_screen(own))
    theirs = await house.screen(other)
    again = LayoutInput(grid=Grid(rows=2, columns=2))
    await house.catalog.replace_layout(manager, mine.id, again, FIRST)
    await house.showtimes.create_showtime(manager, showing(movie, mine))
    for call in (
        house.catalog.create_screen(manager, new_screen(other)),
        house.catalog.create_screen(MANAGER, new_screen(own)),
        house.catalog.replace_layout(manager, theirs.id, again, None),
        house.showtimes.create_showtime(manager, showing(movie, theirs)),
    ):
        assert (await refusal(call))[0] == "FORBIDDEN"


async def test_new_layout_is_a_new_version_and_showtimes_keep_theirs(house: House) -> None:
    screen = await house.screen(await house.cinema())
    old = await house.show(await house.movie(), screen)
    replaced = await house.catalog.replace_layout(
        ADMIN, screen.id, LayoutInput(grid=Grid(rows=4, columns=4)), FIRST
    )
    assert (replaced.layout_version, replaced.seat_count) == (2, 16)
    new = await house.show(await house.movie(), screen, START + timedelta(days=1))
    assert (old.layout_version, new.layout_version) == (1, 2)
    before, after = [await house.terms.load_terms(one.id.bytes) for one in (old, new)]
    assert before is not None
    assert after is not None
    assert (before.plan.seat_count, after.plan.seat_count) == (6, 16)
    assert (await house.catalog.layout(screen.id, 1)).seat_count == 6


async def test_of_concurrent_replacements_of_one_version_one_succeeds(house: House) -> None:
    screen = await house.screen(await house.cinema())
    results = await asyncio.gather(
        *(
            house.catalog.replace_layout(
                ADMIN, screen.id, LayoutInput(grid=Grid(rows=1, columns=n)), FIRST
            )
            for n in range(1, 6)
        ),
        return_exceptions=True,
    )
    (made,) = [one for one in results if isinstance(one, Screen)]
    refused = [one.rejection for one in results if isinstance(one, Refused)]
    assert made.layout_version == 2
    assert [one.code for one in refused] == ["PRECONDITION_FAILED"] * 4
    assert refused[0].details == {"layout_version": 2}
    assert await house.catalog.screen(screen.id) == made


async def test_layout_is_replaced_by_whoever_has_seen_it(house: House) -> None:
    screen = await house.screen(await house.cinema())
    wanted = LayoutInput(grid=Grid(rows=1, columns=1))

    def replace(seen: frozenset[int] | None, screen_id: uuid.UUID = screen.id) -> Awaitable[Screen]:
        return house.catalog.replace_layout(ADMIN, screen_id, wanted, seen)

    assert (await refusal(replace(None)))[0] == "PRECONDITION_REQUIRED"
    for stale in (set(), {2}, {0, 10**18}):
        assert (await refusal(replace(frozenset(stale))))[0] == "PRECONDITION_FAILED"
    assert (await replace(frozenset({1, 7}))).layout_version == 2
    assert (await refusal(replace(FIRST)))[0] == "PRECONDITION_FAILED"
    gone = uuid.UUID(int=0)
    for seen in (None, FIRST):
        assert (await refusal(replace(seen, gone)))[0] == "NOT_FOUND"


async def test_prices_are_only_for_categories_of_the_screens_layout(house: House) -> None:
    screen = await house.screen(await house.cinema())
    movie = await house.movie()
    with pytest.raises(Refused) as caught:
        await house.show(movie, screen, price_overrides={"regular": 900, "sofa": 5000})
    assert caught.value.rejection.code == "UNKNOWN_CATEGORY"
    assert caught.value.rejection.details == {"category": "sofa", "categories": ["regular"]}
    await house.show(movie, screen, price_overrides={"regular": 900})
    seats = (LayoutSeat(number=1, category="sofa"),)
    layout = Layout(rows=(LayoutRow(label="A", seats=seats),))
    await house.catalog.replace_layout(ADMIN, screen.id, LayoutInput(layout=layout), FIRST)
    day_after = START + timedelta(days=1)
    await house.show(movie, screen, day_after, price_overrides={"sofa": 5000})
    again = house.show(movie, screen, day_after, price_overrides={"regular": 900})
    assert (await refusal(again))[0] == "UNKNOWN_CATEGORY"


async def test_showtime_ends_after_advertisements_and_film(house: House) -> None:
    screen = await house.screen(await house.cinema())
    made = await house.show(await house.movie(minutes=161), screen)
    assert made.ends_at == START + timedelta(minutes=20 + 161)
    assert made.sales.opens_at == START - timedelta(days=30)
    assert not made.sales.paused
    assert await house.showtimes.showtime(made.id) == made
    shown = msgspec.to_builtins(made)
    assert shown["starts_at"] == "2026-06-01T18:00:00Z"
    assert shown["base_price"] == {"amount": 1200, "currency": "EUR"}


async def test_showtime_has_its_head_row(house: House) -> None:
    made = await house.show(await house.movie(), await house.screen(await house.cinema()))
    row = await house.pool.fetchrow(
        "select epoch, seq, released from showtime_heads where showtime_id = $1",
        made.id,
    )
    assert row is not None
    assert tuple(row) == (0, 0, True)


async def test_screen_is_occupied_until_it_is_clean(house: House) -> None:
    cinema = await house.cinema()
    screen, other = await house.screen(cinema), await house.screen(cinema, "Two")
    movie = await house.movie(minutes=100)
    await house.show(movie, screen)
    clear = START + timedelta(minutes=20 + 100 + 15)
    for starts_at in (START, clear - timedelta(seconds=1), START - timedelta(minutes=134)):
        assert (await refusal(house.show(movie, screen, starts_at)))[0] == "SCREEN_OCCUPIED"
    await house.show(movie, screen, clear)
    await house.show(movie, screen, START - timedelta(minutes=135))
    await house.show(movie, other)
    assert await house.pool.fetchval("select count(*) from showtime_heads") == 4


async def test_of_concurrent_overlapping_showtimes_one_is_made(house: House) -> None:
    screen = await house.screen(await house.cinema())
    movie = await house.movie()
    results = await asyncio.gather(
        *(house.show(movie, screen, START + timedelta(minutes=n)) for n in range(8)),
        return_exceptions=True,
    )
    codes = [one.rejection.code for one in results if isinstance(one, Refused)]
    assert codes == ["SCREEN_OCCUPIED"] * 7
    assert sum(isinstance(one, Showtime) for one in results) == 1


async def test_showtimes_of_one_screen_wait_for_each_other_and_do_not_deadlock(
    house: House,
) -> None:
    screen = await house.screen(await house.cinema())
    movie = await house.movie()
    async with house.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from screens for no key update")
        second = asyncio.ensure_future(house.show(movie, screen))
        waiting = "select count(*) from pg_locks where not granted"
        while not await connection.fetchval(waiting):
            assert not second.done()
    assert (await second).screen_id == screen.id


async def test_cancelled_showtime_frees_its_screen(house: House) -> None:
    screen = await house.screen(await house.cinema())
    movie = await house.movie()
    made = await house.show(movie, screen)
    await house.pool.execute("update showtimes set status = 'cancelled' where id = $1", made.id)
    await house.show(movie, screen)


async def test_impossible_showtimes_are_refused(house: House) -> None:
    movie, screen = await house.movie(), await house.screen(await house.cinema())
    other = await house.cinema()
    good = showing(movie, screen)
    nothing = uuid.UUID(bytes=new_id(1, 1))
    far_east = datetime(9999, 12, 31, 23, 59, tzinfo=ZoneInfo("Etc/GMT+12"))
    for changes, code, path in (
        ({"movie_id": nothing}, "UNKNOWN_REFERENCE", "$.movie_id"),
        ({"screen_id": nothing}, "UNKNOWN_REFERENCE", "$.screen_id"),
        ({"cinema_id": other.id}, "UNKNOWN_REFERENCE", "$.cinema_id"),
        ({"starts_at": house.now}, "VALIDATION_ERROR", "$.starts_at"),
        ({"starts_at": house.now + timedelta(days=731)}, "VALIDATION_ERROR", "$.starts_at"),
        ({"starts_at": far_east}, "VALIDATION_ERROR", "$.starts_at"),
        ({"base_price": Money(1, "USD")}, "VALIDATION_ERROR", "$.base_price.currency"),
        ({"base_price": Money(10**9, "EUR")}, "VALIDATION_ERROR", "$.base_price.amount"),
        ({"sales": SalesInput(opens_at=far_east)}, "VALIDATION_ERROR", "$.sales.opens_at"),
        (
            {"sales": SalesInput(opens_at=START, closes_at=START)},
            "VALIDATION_ERROR",
            "$.sales",
        ),
        (
            {"sales": SalesInput(closes_at=START + timedelta(hours=5))},
            "VALIDATION_ERROR",
            "$.sales",
        ),
    ):
        request = msgspec.structs.replace(good, **changes)
        assert await refusal(house.showtimes.create_showtime(ADMIN, request)) == (code, path)
    assert await house.pool.fetchval("select count(*) from showtimes") == 0


async def test_same_key_makes_one_showtime_and_answers_the_same(house: House) -> None:
    movie, screen = await house.movie(), await house.screen(await house.cinema())
    request = showing(movie, screen, house.now + timedelta(hours=1))
    key = idempotency_key(ADMIN.user_id, "createShowtime", (), "k", request)
    first = await house.showtimes.create_showtime(ADMIN, request, key)
    assert await house.showtimes.create_showtime(ADMIN, request, key) == first
    other = idempotency_key(ADMIN.user_id, "createShowtime", (), "k", "other")
    call = house.showtimes.create_showtime(ADMIN, request, other)
    assert (await refusal(call))[0] == "IDEMPOTENCY_MISMATCH"
    house.now += timedelta(hours=2)
    assert await house.showtimes.create_showtime(ADMIN, request, key) == first


async def test_concurrent_requests_with_one_key_have_one_effect(house: House) -> None:
    request = MovieInput(title="Stalker", runtime_minutes=161)
    key = idempotency_key(ADMIN.user_id, "createMovie", (), "k", request)
    made = await asyncio.gather(*(house.catalog.create_movie(request, key) for _ in range(8)))
    assert len({movie.id for movie in made}) == 1
    assert await house.pool.fetchval("select count(*) from movies") == 1


async def test_second_request_does_the_work_when_the_first_is_undone(house: House) -> None:
    request = MovieInput(title="Stalker", runtime_minutes=161)
    key = idempotency_key(ADMIN.user_id, "createMovie", (), "k", request)
    async with house.pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        await connection.execute(
            "insert into idempotent_requests values ($1, $2, null, now() + interval '1 day')",
            key.digest,
            key.fingerprint,
        )
        second = asyncio.ensure_future(house.catalog.create_movie(request, key))
        waiting = "select count(*) from pg_locks where not granted"
        while not await connection.fetchval(waiting):
            assert not second.done()
        await undone.rollback()
    assert (await second).title == "Stalker"


async def test_showtimes_are_paged_by_start(house: House) -> None:
    cinema = await house.cinema()
    screens = [await house.screen(cinema, f"Screen {n}") for n in range(3)]
    movie = await house.movie()
    made = [
        await house.show(movie, screen, START + timedelta(days=day))
        for day in range(3)
        for screen in screens
    ]
    listed = await all_pages(
        lambda cursor: house.showtimes.showtimes(ShowtimeQuery(limit=2, cursor=cursor))
    )
    assert sorted(one.id for one in listed) == sorted(one.id for one in made)
    assert [one.starts_at for one in listed] == sorted(one.starts_at for one in made)


async def test_days_are_those_of_each_cinemas_calendar(house: House) -> None:
    berlin = await house.screen(await house.cinema("Europe/Berlin"))
    samoa = await house.screen(await house.cinema("Pacific/Apia"))
    hawaii = await house.screen(await house.cinema("Pacific/Honolulu"))
    movie = await house.movie()
    late = datetime(2026, 6, 1, 23, 0, tzinfo=UTC)
    shows = {
        "berlin": await house.show(movie, berlin, late),
        "samoa": await house.show(movie, samoa, late),
        "hawaii": await house.show(movie, hawaii, late),
    }
    names = {one.id: name for name, one in shows.items()}

    async def on(**query: Any) -> set[str]:
        page = await house.showtimes.showtimes(ShowtimeQuery(**query))
        return {names[one.id] for one in page.items}

    assert await on(date=date(2026, 6, 1)) == {"hawaii"}
    assert await on(date=date(2026, 6, 2)) == {"berlin", "samoa"}
    assert await on(date_from=date(2026, 6, 2)) == {"berlin", "samoa"}
    assert await on(date_to=date(2026, 6, 1)) == {"hawaii"}
    assert await on(date_from=date(2026, 6, 1), date_to=date(2026, 6, 2)) == set(shows)
    assert await on(cinema_id=shows["berlin"].cinema_id) == {"berlin"}
    assert await on(movie_id=uuid.UUID(bytes=new_id(1, 1))) == set()


async def test_the_whole_day_counts_at_either_end_of_the_world(house: House) -> None:
    movie = await house.movie()
    for name, hour, minute in (("Pacific/Kiritimati", 0, 0), ("Etc/GMT+12", 23, 59)):
        screen = await house.screen(await house.cinema(name))
        local = datetime(2026, 6, 2, hour, minute, tzinfo=ZoneInfo(name))
        made = await house.show(movie, screen, local.astimezone(UTC))
        query = ShowtimeQuery(date=date(2026, 6, 2), cinema_id=made.cinema_id)
        assert (await house.showtimes.showtimes(query)).items == [made]


async def test_days_on_which_clocks_change_hold_their_showtimes(house: House) -> None:
    house.now = datetime(2026, 3, 20, tzinfo=UTC)
    screen = await house.screen(await house.cinema())
    movie = await house.movie(minutes=60)
    zone = ZoneInfo("Europe/Berlin")
    for day in (date(2026, 3, 29), date(2026, 10, 25)):
        first = datetime(day.year, day.month, day.day, 0, 0, tzinfo=zone).astimezone(UTC)
        last = datetime(day.year, day.month, day.day, 23, 59, tzinfo=zone).astimezone(UTC)
        for starts_at in (first, last):
            await house.show(movie, screen, starts_at)
        page = await house.showtimes.showtimes(ShowtimeQuery(date=day))
        assert [one.starts_at for one in page.items] == [first, last]


async def test_without_a_day_only_what_is_not_over_is_listed(house: House) -> None:
    screen = await house.screen(await house.cinema())
    made = await house.show(await house.movie(minutes=100), screen)
    house.now = made.ends_at - timedelta(seconds=1)
    assert (await house.showtimes.showtimes(ShowtimeQuery())).items == [made]
    house.now = made.ends_at
    assert (await house.showtimes.showtimes(ShowtimeQuery())).items == []
    past = await house.showtimes.showtimes(ShowtimeQuery(date=date(2026, 6, 1)))
    assert past.items == [made]


@pytest.mark.parametrize(
    "query",
    [
        ShowtimeQuery(date=date(2026, 1, 1), date_from=date(2026, 1, 1)),
        ShowtimeQuery(date_from=date(2026, 1, 2), date_to=date(2026, 1, 1)),
        ShowtimeQuery(date=date(1, 1, 1)),
        ShowtimeQuery(date_to=date(9999, 12, 31)),
    ],
)
async def test_impossible_filters_are_refused(house: House, query: ShowtimeQuery) -> None:
    assert (await refusal(house.showtimes.showtimes(query)))[0] == "VALIDATION_ERROR"


async def test_movies_showtimes_are_only_its_own(house: House) -> None:
    cinema = await house.cinema()
    movie, other = await house.movie(), await house.movie()
    own = await house.show(movie, await house.screen(cinema))
    await house.show(other, await house.screen(cinema, "Two"))
    page = await house.showtimes.showtimes_of_movie(movie.id, ShowtimeQuery())
    assert page.items == [own]


async def test_terms_gather_prices_times_and_rules(house: House) -> None:
    cinema = await house.cinema()
    seats = (
        LayoutSeat(number=1, category="regular"),
        LayoutSeat(number=2, category="premium"),
        LayoutSeat(number=3, category="sofa"),
    )
    layout = Layout(rows=(LayoutRow(label="A", seats=seats),))
    screen = await house.catalog.create_screen(
        ADMIN,
        ScreenInput(
            cinema_id=cinema.id,
            name="One",
            layout=layout,
            rules=Rules(seats_per_hold=6, protect_orphans=False),
        ),
    )
    made = await house.show(
        await house.movie(),
        screen,
        price_overrides={"sofa": 5000},
        rules=Rules(seats_per_hold=2, hold_ttl_s=60),
    )
    terms = await house.terms.load_terms(made.id.bytes)
    assert terms is not None
    assert terms.prices_minor == (1200, 1500, 5000)
    assert terms.cinema_id == made.cinema_id.bytes
    assert (terms.currency, terms.starts_at_us) == ("EUR", int(START.timestamp() * 1_000_000))
    assert terms.ends_at_us == int(made.ends_at.timestamp() * 1_000_000)
    assert terms.sales_closes_at_us == int(made.sales.closes_at.timestamp() * 1_000_000)
    assert (terms.seats_per_hold, terms.hold_ttl_s, terms.hold_max_s) == (2, 60, 1800)
    assert not terms.protect_orphans
    assert terms.companions_need_accessible
    assert await house.terms.load_terms(new_id(1, 1)) is None


async def test_showtimes_of_one_layout_share_one_plan(house: House) -> None:
    screen = await house.screen(await house.cinema())
    movie = await house.movie()
    made = [await house.show(movie, screen, START + timedelta(days=day)) for day in range(4)]
    loaded = await asyncio.gather(*(house.terms.load_terms(one.id.bytes) for one in made))
    assert len({id(terms.plan) for terms in loaded if terms is not None}) == 1
    plan = await house.terms.load_plan(made[0].id.bytes, 1)
    assert plan is not None
    assert loaded[0] is not None
    assert plan is loaded[0].plan
    assert await house.terms.load_plan(made[0].id.bytes, 2) is None
    assert await house.terms.load_plan(new_id(1, 1), 1) is None


async def test_plans_kept_are_bounded(house: House, pool: Pool) -> None:
    cinema, movie = await house.cinema(), await house.movie()
    made = [await house.show(movie, await house.screen(cinema, f"{n}")) for n in range(3)]
    terms = TermsSource(pool, DEFAULTS, plans_limit=1)
    first = await terms.load_terms(made[0].id.bytes)
    for one in made[1:]:
        await terms.load_terms(one.id.bytes)
    again = await terms.load_terms(made[0].id.bytes)
    assert first is not None
    assert again is not None
    assert first.plan is not again.plan
