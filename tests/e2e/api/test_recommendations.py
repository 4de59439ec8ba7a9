"""Recommendations: what may be on the list, why, and what customers say and do about it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
import structlog

from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.recommendations.birth_store import SEALED
from cinema.features.recommendations.jobs import (
    COMMAND,
    REBUILD,
    REFIT,
    TRIAL_WEEKS,
    WEIGHTS_COMMAND,
    Models,
    building,
    refitting,
)
from cinema.features.recommendations.model.facts import ActKind
from cinema.features.recommendations.model.reasons import Reason, reason_for
from cinema.features.recommendations.personal_store import RecommendationFacts
from cinema.features.recommendations.rules import (
    Assigned,
    Experiment,
    assigned,
    choice_for,
    shown_reason,
)
from cinema.features.recommendations.service import CurrentModel, Programme
from cinema.features.recommendations.shapes import PageEvent
from cinema.features.recommendations.store import (
    KEPT_DAYS,
    Exposure,
    ModelRepository,
    RecommendationsRepository,
)
from cinema.features.recommendations.trial_store import TrialsRepository
from cinema.settings import experiment_of
from cinema.storage.database.pool import open_pool
from cinema.storage.database.transactions import Pool
from cinema.storage.encryption import Cipher
from tests.e2e.api.house import PATIENCE_S, UNKNOWN_ID, Clocks, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="function")

CIPHER = Cipher([bytes.fromhex("ab" * 32)])
"""That of the house."""

AFTER_PROGRAMME_S = 11.0
"""What can be booked is asked for anew after so long."""


BY_THE_TEST = timedelta(hours=2)
"""How far the tests that build are ahead of the node, which takes the model for being built."""


async def keep_from_building(database: str) -> None:
    """Let the node take the model for being built already."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "update recommendation_model set claimed_until = now() + interval '1 hour'"
    )
    await connection.close()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks) -> AsyncIterator[House]:
    await keep_from_building(database)
    async with open_house(database, clocks=clocks) as house:
        yield house


async def film(house: House, title: str, *genres: str) -> str:
    """The id of a new film."""
    body = {"title": title, "runtime_minutes": 90, "genres": list(genres)}
    return str((await house.ask("admin", "POST", "movies", body)).data["id"])


async def shown(house: House, movie_id: str, screen_id: str | None = None) -> str:
    """The id of a new showtime of a film."""
    before, house.movie_id = house.movie_id, movie_id
    try:
        return await house.showtime(screen_id=screen_id)
    finally:
        house.movie_id = before


async def listed(house: House, person: str | None, query: str = "limit=20") -> list[Any]:
    answer = await house.ask(person, "GET", f"recommendations?{query}")
    assert answer.status == 200, answer
    return list(answer.data)


async def titles(house: House, person: str | None, query: str = "limit=20") -> set[str]:
    return {one["movie"]["title"] for one in await listed(house, person, query)}


async def three_films(house: House) -> dict[str, str]:
    """Titles and ids of three films that can be booked."""
    films = {
        title: await film(house, title, genre)
        for title, genre in (("One", "Drama"), ("Two", "Drama"), ("Three", "Western"))
    }
    for movie_id in films.values():
        await shown(house, movie_id)
    return films


async def test_anybody_is_recommended_what_can_be_booked(house: House, clocks: Clocks) -> None:
    films = await three_films(house)
    hidden = await film(house, "Paused", "Drama")
    paused = await shown(house, hidden)
    answer = await house.database.execute(
        "update showtimes set sales_paused = true where id = $1", paused
    )
    assert answer == "UPDATE 1"
    found = await listed(house, None)
    assert {one["movie"]["title"] for one in found} == set(films)
    for one in found:
        assert one["exposure_id"] is None
        assert one["reason"] == {"code": "new_this_week", "args": {}, "text": "New this week."}
        (showtime,) = one["next_showtimes"]
        assert showtime["cinema_id"] == house.cinema_id
    assert await house.database.fetchval("select count(*) from recommendation_exposures") == 0
    assert len(await listed(house, None, "limit=2")) == 2
    assert (await house.ask(None, "GET", "recommendations?limit=21")).error[0] == 400


async def test_what_is_sold_no_more_is_not_recommended(house: House, clocks: Clocks) -> None:
    films = await three_films(house)
    assert await titles(house, None) == set(films)
    await house.database.execute("update showtimes set sales_paused = true")
    clocks.ahead_s += AFTER_PROGRAMME_S
    assert await titles(house, None) == set()


async def test_what_a_customer_has_booked_is_not_recommended_until_it_is_given_back(
    house: House,
) -> None:
    films = await three_films(house)
    showtime_id = await shown(house, films["One"])
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    assert await titles(house, "ada") == {"Two", "Three"}
    assert await titles(house, "bob") == set(films)
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).status == 200
    assert await titles(house, "ada") == set(films)


async def test_what_a_customer_hides_or_has_seen_leaves_the_list(house: House) -> None:
    films = await three_films(house)
    for kind, title in (("hide", "One"), ("seen", "Two")):
        body = {"movie_id": films[title], "kind": kind}
        answer = await house.ask("ada", "POST", "recommendations/feedback", body)
        assert answer.status == 200
        assert answer.data["kind"] == kind
    assert await titles(house, "ada") == {"Three"}
    path = f"recommendations/feedback?movie_id={films['One']}"
    assert (await house.ask("ada", "DELETE", path)).data == {"movie_id": films["One"]}
    assert await titles(house, "ada") == {"One", "Three"}
    assert (await house.ask("ada", "DELETE", path)).error == (404, "NOT_FOUND")
    body = {"movie_id": UNKNOWN_ID, "kind": "hide"}
    answer = await house.ask("ada", "POST", "recommendations/feedback", body)
    assert answer.error == (404, "NOT_FOUND")


async def test_more_of_a_film_brings_its_genre_first_and_says_so(house: House) -> None:
    films = await three_films(house)
    body = {"movie_id": films["One"], "kind": "more"}
    assert (await house.ask("ada", "POST", "recommendations/feedback", body)).status == 200
    found = await listed(house, "ada")
    of_genre = [one for one in found if one["movie"]["genres"] == ["Drama"]]
    assert len(of_genre) == 2
    for one in of_genre:
        assert one["reason"]["code"] == "more_of"
        assert one["reason"]["args"] == {"genre": "Drama"}
    (western,) = [one for one in found if one not in of_genre]
    assert western["score"] < min(one["score"] for one in of_genre)


async def test_the_list_of_a_cinema_has_only_what_runs_there(house: House) -> None:
    films = await three_films(house)
    cinema = {"name": "Far", "city": "Far", "country": "DE", "time_zone": "Europe/Berlin"}
    made = await house.ask("admin", "POST", "cinemas", {**cinema, "currency": "EUR"})
    far = made.data["id"]
    body = {"cinema_id": far, "name": "1", "grid": {"rows": 3, "columns": 3}}
    screen_id = (await house.ask("admin", "POST", "screens", body)).data["id"]
    await shown(house, films["Three"], screen_id)
    assert await titles(house, None, f"cinema_id={far}") == {"Three"}
    wanted = {"cinema_ids": [far], "genres": ["Drama", "Drama"]}
    answer = await house.ask("ada", "PUT", "me/preferences", wanted)
    assert answer.data == {
        "cinema_ids": [far],
        "genres": ["Drama"],
        "opt_out": False,
        "date_of_birth": None,
    }
    assert (await house.ask("ada", "GET", "me/preferences")).data == answer.data
    assert await titles(house, "ada") == {"Three"}
    (one,) = await listed(house, "ada")
    assert [showtime["cinema_id"] for showtime in one["next_showtimes"]] == [far]
    assert await titles(house, "ada", f"cinema_id={house.cinema_id}") == set(films)
    assert await titles(house, "ada", f"cinema_id={UNKNOWN_ID}") == set()


async def test_preferences_name_cinemas_that_are_there(house: House) -> None:
    answer = await house.ask("ada", "PUT", "me/preferences", {"cinema_ids": [UNKNOWN_ID]})
    assert answer.error == (422, "UNKNOWN_REFERENCE")
    assert (await house.ask("bob", "GET", "me/preferences")).data == {
        "genres": [],
        "cinema_ids": [],
        "opt_out": False,
        "date_of_birth": None,
    }


RATINGS = {"U": 0, "FSK 12": 12, "PG-13": 13, "15": 15, "NC-17": 18, "unrated": 0}
"""Films by their ratings, and from what age they are recommended."""


async def rated_films(house: House) -> None:
    for rating in RATINGS:
        body = {"title": rating, "runtime_minutes": 90, "age_rating": rating}
        made = await house.ask("admin", "POST", "movies", body)
        await shown(house, made.data["id"])


def born(years: int) -> str:
    """A day of birth of whoever has been so old for some days."""
    today = datetime.now(UTC).date()
    birthday = today.replace(year=today.year - years, day=min(today.day, 28))
    return str(birthday - timedelta(days=5))


async def test_films_for_older_people_are_not_recommended_to_who_says_the_age(
    house: House,
) -> None:
    await rated_films(house)
    assert await titles(house, "ada") == set(RATINGS)
    for years in (14, 40, 3):
        body = {"date_of_birth": born(years)}
        answer = await house.ask("ada", "PUT", "me/preferences", body)
        assert answer.data["date_of_birth"] == body["date_of_birth"]
        assert (await house.ask("ada", "GET", "me/preferences")).data == answer.data
        allowed = {rating for rating, least in RATINGS.items() if years >= least}
        assert await titles(house, "ada") == allowed, years
        assert await titles(house, "bob") == set(RATINGS)
    # What is not said any more is deleted.
    gone = await house.ask("ada", "PUT", "me/preferences", {"genres": ["Drama"]})
    assert gone.data["date_of_birth"] is None
    assert await titles(house, "ada") == set(RATINGS)


async def test_who_opts_out_is_shown_films_for_the_age_all_the_same(house: House) -> None:
    await rated_films(house)
    body = {"date_of_birth": born(10), "opt_out": True}
    assert (await house.ask("ada", "PUT", "me/preferences", body)).status == 200
    assert await titles(house, "ada") == {"U", "unrated"}


@pytest.mark.parametrize("day", ["1899-12-31", "2999-01-01"])
async def test_nobody_was_born_in_the_future_or_very_long_ago(house: House, day: str) -> None:
    answer = await house.ask("ada", "PUT", "me/preferences", {"date_of_birth": day})
    assert answer.error == (400, "VALIDATION_ERROR")


async def test_a_date_of_birth_is_sealed_and_its_owner_gets_it_with_the_rest(
    house: House,
) -> None:
    await house.ask("ada", "PUT", "me/preferences", {"date_of_birth": "1995-03-22"})
    ada = UUID(house.people["ada"])
    kept = await house.database.fetchval(
        "select date_of_birth from recommendation_preferences where user_id = $1", ada
    )
    assert CIPHER.open(kept, place=SEALED.place(ada)) == b"1995-03-22"
    async with await open_pool(house.address, size=2) as pool:
        (said,) = (await disclosed(pool, ada))["recommendation_preferences.json"]
    assert said["date_of_birth"] == "1995-03-22"
    seen = await house.ask("admin", "GET", f"admin/users/{ada}")
    assert seen.status == 200
    assert "1995" not in str(seen.envelope)


async def test_what_was_shown_is_kept_with_its_place_and_its_chance(house: House) -> None:
    await three_films(house)
    found = await listed(house, "ada")
    rows = await house.database.fetch("select * from recommendation_exposures order by place")
    assert [row["place"] for row in rows] == [1, 2, 3]
    assert [str(row["id"]) for row in rows] == [one["exposure_id"] for one in found]
    assert [str(row["movie_id"]) for row in rows] == [one["movie"]["id"] for one in found]
    assert {str(row["user_id"]) for row in rows} == {house.people["ada"]}
    assert all(0 < row["propensity"] <= 1 for row in rows)
    assert [row["reason"] for row in rows] == [one["reason"]["code"] for one in found]


async def test_events_are_kept_of_films_that_there_are(house: House) -> None:
    films = await three_films(house)
    (first, *_) = await listed(house, "ada")
    events = [
        {"kind": "click", "movie_id": films["One"], "exposure_id": first["exposure_id"]},
        {"kind": "seat_map", "movie_id": films["Two"]},
        {"kind": "click", "movie_id": UNKNOWN_ID},
    ]
    answer = await house.ask("ada", "POST", "events", {"events": events})
    assert answer.status == 202
    assert answer.data == {"accepted": 2}
    columns = await house.database.fetch(
        "select column_name from information_schema.columns"
        " where table_name = 'recommendation_events'"
    )
    # No address and no device.
    assert {row["column_name"] for row in columns} == {
        *("id", "user_id", "movie_id", "kind", "exposure_id", "at"),
    }
    for wrong in ([], events * 17, [{"kind": "dance", "movie_id": films["One"]}]):
        refused = await house.ask("ada", "POST", "events", {"events": wrong})
        assert refused.error == (400, "VALIDATION_ERROR")


async def visited(house: House, showtime_id: str, *expected: int) -> None:
    """Return once so many seat maps and checkouts of a showtime are counted, and not more."""
    question = "select seat_maps, checkout_pages from showtime_visits where showtime_id = $1"
    async with asyncio.timeout(6 * PATIENCE_S):
        counted: tuple[int, ...] = ()
        while counted != expected:
            counted = tuple(await house.database.fetchrow(question, showtime_id) or ())
            assert all(map(int.__le__, counted, expected)), counted
            await asyncio.sleep(0.05)


async def test_visits_of_showtimes_are_counted_whoever_made_them(house: House) -> None:
    films = await three_films(house)
    showtime_id = await shown(house, films["One"])
    about = {"movie_id": films["One"], "showtime_id": showtime_id}
    events = [
        {"kind": "seat_map", **about},
        {"kind": "checkout_start", **about},
        # These say nothing of a showtime that there is.
        {"kind": "click", **about},
        {"kind": "seat_map", "movie_id": films["One"]},
        {"kind": "seat_map", **about, "showtime_id": UNKNOWN_ID},
    ]
    await house.ask("bob", "PUT", "me/preferences", {"opt_out": True})
    kept = {None: 0, "bob": 0, "guest": 5, "ada": 5}
    for person, accepted in kept.items():
        answer = await house.ask(person, "POST", "events", {"events": events})
        assert (answer.status, answer.data) == (202, {"accepted": accepted}), person
    await visited(house, showtime_id, 4, 4)
    await house.ask(None, "POST", "events", {"events": events[:1]})
    await visited(house, showtime_id, 5, 4)
    assert await house.database.fetchval("select count(*) from showtime_visits") == 1
    rows = await house.database.fetch("select distinct user_id from recommendation_events")
    assert {str(row["user_id"]) for row in rows} == {house.people["guest"], house.people["ada"]}


async def test_who_opts_out_is_not_looked_at(house: House) -> None:
    films = await three_films(house)
    event = {"events": [{"kind": "click", "movie_id": films["One"]}]}
    await house.booked("ada", await shown(house, films["One"]), "A1")
    await listed(house, "ada")
    assert (await house.ask("ada", "POST", "events", event)).data == {"accepted": 1}
    hidden = {"movie_id": films["Two"], "kind": "hide"}
    await house.ask("ada", "POST", "recommendations/feedback", hidden)
    answer = await house.ask("ada", "PUT", "me/preferences", {"opt_out": True})
    assert answer.data["opt_out"] is True
    assert (await house.ask("ada", "POST", "events", event)).data == {"accepted": 0}
    found = await listed(house, "ada")
    # What was booked is looked at no more; what was hidden stays hidden.
    assert {one["movie"]["title"] for one in found} == {"One", "Three"}
    assert {one["exposure_id"] for one in found} == {None}
    for table in ("recommendation_events", "recommendation_exposures"):
        assert await house.database.fetchval(f"select count(*) from {table}") == 0
    async with await open_pool(house.address, size=2) as pool:
        task = await ModelRepository(pool).task([], datetime.now(UTC) + timedelta(minutes=1))
    assert task.histories == []


async def test_a_booking_of_who_opts_out_counts_nowhere(house: House) -> None:
    """Nor does one that a guest made whom such an account has claimed."""
    films = await three_films(house)
    guest = UUID(house.people["guest"])
    await house.booked("ada", await shown(house, films["One"]), "A1")
    await house.booked("bob", await shown(house, films["Two"]), "A1")
    await house.booked("guest", await shown(house, films["Three"]), "A1")
    await house.database.execute(
        "update guests set claimed_by = $1, claimed_at = now() where id = $2",
        UUID(house.people["ada"]),
        guest,
    )
    now = datetime.now(UTC) + timedelta(minutes=1)
    async with await open_pool(house.address, size=2) as pool:
        before = await ModelRepository(pool).task([], now)
        assert set(before.popularity.chain) == {UUID(one) for one in films.values()}
        await house.ask("ada", "PUT", "me/preferences", {"opt_out": True})
        after = await ModelRepository(pool).task([], now)
    two = UUID(films["Two"])
    assert [film.id for film in after.films] == [two]
    assert after.histories == [{0: pytest.approx(3.0, rel=1e-3)}]
    assert set(after.popularity.chain) == {two}
    cinema_id = UUID(house.cinema_id)
    assert {one: set(of) for one, of in after.popularity.cinemas.items()} == {cinema_id: {two}}
    assert after.popularity.bookings == {cinema_id: {two: 1}}


async def test_what_a_guest_does_whose_account_has_opted_out_is_not_kept(house: House) -> None:
    film_id = UUID((await three_films(house))["One"])
    guest, now = UUID(house.people["guest"]), datetime.now(UTC)
    clicked = [PageEvent(kind="click", movie_id=film_id)]

    def seen() -> list[Exposure]:
        return [
            Exposure(
                id=uuid4(),
                movie_id=film_id,
                place=1,
                propensity=1.0,
                explored=False,
                reason="new_this_week",
            )
        ]

    await house.database.execute(
        "update guests set claimed_by = $1, claimed_at = now() where id = $2",
        UUID(house.people["ada"]),
        guest,
    )
    count = "select count(*) from recommendation_exposures"
    async with await open_pool(house.address, size=2) as pool:
        store = RecommendationsRepository(pool, CIPHER, new_id=uuid4)
        await store.show(guest, seen(), 1, Assigned(), now)
        assert await store.note(guest, clicked, now) == 1
        assert await house.database.fetchval(count) == 1
        await house.ask("ada", "PUT", "me/preferences", {"opt_out": True})
        before = await house.database.fetchval(count)
        await store.show(guest, seen(), 1, Assigned(), now)
        assert await store.note(guest, clicked, now) == 0
    assert await house.database.fetchval(count) == before


async def test_a_film_that_is_deleted_meanwhile_keeps_no_model_from_being_built(
    house: House,
) -> None:
    films = await three_films(house)
    gone, one = uuid4(), UUID(films["One"])
    now = datetime.now(UTC) + timedelta(minutes=1)
    async with await open_pool(house.address, size=2) as pool:
        task = await ModelRepository(pool).task([gone, one], now)
    assert one in {film.id for film in task.films}
    assert task.candidates == [one]


async def test_old_exposures_and_events_are_deleted(house: House) -> None:
    films = await three_films(house)
    await listed(house, "ada")
    event = {"events": [{"kind": "click", "movie_id": films["One"]}]}
    await house.ask("ada", "POST", "events", event)
    async with await open_pool(house.address, size=2) as pool:
        store = RecommendationsRepository(pool, CIPHER, new_id=uuid4)
        now = datetime.now(UTC)
        assert await store.forget_exposures(now, 10) == await store.forget_events(now, 10) == 0
        later = now + timedelta(days=KEPT_DAYS + 1)
        assert await store.forget_exposures(later, 2) == 2
        assert await store.forget_exposures(later, 2) == 1
        assert await store.forget_events(later, 2) == 1


async def disclosed(pool: Pool, user_id: UUID) -> dict[str, Any]:
    """The files of an export."""
    files = {}
    async for one in RecommendationFacts(pool, CIPHER, page_rows=2).disclose(user_id):
        files[one.name] = json.loads(b"".join([piece async for piece in one.pieces]))
    return files


async def test_what_is_kept_is_in_the_export_and_goes_with_the_account(house: House) -> None:
    films = await three_films(house)
    guest = UUID(house.people["guest"])
    for person in ("ada", "bob", "guest"):
        await listed(house, person)
        event = {"events": [{"kind": "click", "movie_id": one} for one in films.values()]}
        assert (await house.ask(person, "POST", "events", event)).status == 202
    await house.ask("ada", "PUT", "me/preferences", {"genres": ["Drama"]})
    for movie_id in films.values():
        said = {"movie_id": movie_id, "kind": "more"}
        await house.ask("ada", "POST", "recommendations/feedback", said)
    ada, bob = UUID(house.people["ada"]), UUID(house.people["bob"])
    await house.database.execute(
        "update guests set claimed_by = $1, claimed_at = now() where id = $2", ada, guest
    )
    async with await open_pool(house.address, size=2) as pool:
        files = await disclosed(pool, ada)
        assert {name: len(rows) for name, rows in files.items()} == {
            "recommendation_preferences.json": 1,
            "recommendation_feedback.json": 3,
            "recommendation_events.json": 6,
            "recommendations_shown.json": 6,
        }
        assert {one["movie_id"] for one in files["recommendation_feedback.json"]} == set(
            films.values()
        )
        await house.database.execute("update users set erase_at = now() where id = $1", ada)
        erasure = ErasureRepository(pool, unposted, new_id=uuid4)
        assert await erasure.erase_due(datetime.now(UTC) + timedelta(seconds=1), 10) == 1
        assert all(rows == [] for rows in (await disclosed(pool, ada)).values())
        others = await disclosed(pool, bob)
    assert len(others["recommendation_events.json"]) == 3
    for table in ("events", "exposures"):
        left = await house.database.fetch(f"select user_id from recommendation_{table}")
        assert {row["user_id"] for row in left} == {bob}


async def unposted(_running: Any, _letter: Any, /) -> None:
    """No mail."""


# --- the model


async def rate(house: House, person: str, movie_id: str, rating: int, **more: Any) -> None:
    """A review, in its table alone."""
    await house.database.execute(
        "insert into reviews (id, movie_id, user_id, rating, text, status, created_at, deleted_at)"
        " values ($1, $2, $3, $4, '', $5, now() - interval '1 hour', $6)",
        *(uuid4(), UUID(movie_id), UUID(house.people[person]), rating),
        *(more.get("status", "published"), more.get("deleted_at")),
    )


async def test_a_good_rating_counts_as_liking_the_film(house: House) -> None:
    titles = ("Good", "Fair", "Hidden", "Gone")
    films = {title: await film(house, title, "Drama") for title in titles}
    await rate(house, "ada", films["Good"], 4)
    await rate(house, "ada", films["Fair"], 3)
    await rate(house, "ada", films["Hidden"], 5, status="rejected")
    await rate(house, "ada", films["Gone"], 5, deleted_at=datetime.now(UTC))
    ada, now = UUID(house.people["ada"]), datetime.now(UTC) + timedelta(minutes=1)
    # What a moderator thinks of the text says nothing about the taste of who wrote it.
    liked = {UUID(films["Good"]), UUID(films["Hidden"])}
    async with await open_pool(house.address, size=2) as pool:
        store = RecommendationsRepository(pool, CIPHER, new_id=uuid4)
        known = await store.known(ada, [ada], now)
        assert {(act.movie_id, act.kind) for act in known.acts} == {
            (one, ActKind.LIKED) for one in liked
        }
        task = await ModelRepository(pool).task([], now)
        (weights,) = task.histories
        found = {task.films[place].id: weight for place, weight in weights.items()}
        assert found == {one: pytest.approx(2.0, rel=1e-3) for one in liked}
        await house.ask("ada", "PUT", "me/preferences", {"opt_out": True})
        assert (await store.known(ada, [ada], now)).acts == []
        assert (await ModelRepository(pool).task([], now)).histories == []


def models(
    pool: Pool,
    *,
    ahead: timedelta = BY_THE_TEST,
    command: tuple[str, ...] = COMMAND,
    refit_command: tuple[str, ...] = WEIGHTS_COMMAND,
) -> tuple[Models, CurrentModel]:
    """What a node does every ten seconds, and the model that it serves."""
    current = CurrentModel()

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    programme = Programme(RecommendationsRepository(pool, CIPHER, new_id=uuid4), now=now)
    ours = Models(
        *(ModelRepository(pool), programme, current, building(command)),
        *(TrialsRepository(pool), refitting(refit_command)),
        now=now,
    )
    return ours, current


async def book_by_many(house: House, movie_id: str, customers: range) -> None:
    """Customers who have booked a film."""
    showtime_id = await shown(house, movie_id)
    await house.database.executemany(
        "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
        " currency, created_at) values ($1, $2, $3, $4, $1, 'confirmed', 1000, 'EUR',"
        " now() - interval '1 hour')",
        [(uuid4(), uuid4().hex[:12], showtime_id, UUID(int=one + 1)) for one in customers],
    )


async def test_what_others_with_the_same_taste_saw_comes_first_with_its_reason(
    house: House,
) -> None:
    films = {title: await film(house, title) for title in ("Seen", "Near", "Far", "Else")}
    await book_by_many(house, films["Seen"], range(60))
    await book_by_many(house, films["Near"], range(60))
    # As popular, but among others.
    await book_by_many(house, films["Else"], range(60, 120))
    await book_by_many(house, films["Far"], range(120, 180))
    await house.booked("ada", await shown(house, films["Seen"]), "A1")
    ada, now = UUID(house.people["ada"]), datetime.now(UTC)
    async with await open_pool(house.address, size=2) as pool:
        ours, current = models(pool)
        await ours.round()
        model = current.scorer.model
        assert set(model.rows) == {UUID(films[one]) for one in films}
        assert model.popularity.bookings[UUID(house.cinema_id)] == {
            UUID(films["Seen"]): 61,
            UUID(films["Near"]): 60,
            UUID(films["Else"]): 60,
            UUID(films["Far"]): 60,
        }
        store = RecommendationsRepository(pool, CIPHER, new_id=uuid4)
        known, programme = await store.known(ada, [ada], now), await store.programme(now)
    choice = choice_for(known, programme, None, now)
    order = current.scorer.order(choice.candidates, choice.customer)
    assert order[0].candidate.film.title == "Near"
    reason = reason_for(order[0], choice.customer, current.scorer)
    assert reason == Reason(code="because_you_saw", movie_id=UUID(films["Seen"]))
    shown_as = shown_reason(reason, known.films, {})
    assert shown_as.text == "Because you saw Seen."


async def test_without_any_booking_there_is_nothing_to_learn(house: House) -> None:
    await three_films(house)
    async with await open_pool(house.address, size=2) as pool:
        ours, current = models(pool, command=("false",))
        with structlog.testing.capture_logs() as events:
            await ours.round()
        assert events == []
        assert current.version == await ModelRepository(pool).version() == 0


async def test_one_node_builds_at_a_time_and_all_take_what_is_newest(house: House) -> None:
    await book_by_many(house, await film(house, "Seen"), range(3))
    async with await open_pool(house.address, size=4) as pool:
        store = ModelRepository(pool)
        now = datetime.now(UTC) + BY_THE_TEST
        version = await store.claim(now, now + timedelta(minutes=3), now - REBUILD)
        assert version == 0
        ours, current = models(pool)
        await ours.round()
        # Somebody else builds.
        assert await store.version() == current.version == 0
        # That one has died.
        later, its = models(pool, ahead=BY_THE_TEST + timedelta(minutes=10))
        await later.round()
        assert its.version == await store.version() == 1
        # The one that was late changes nothing.
        assert not await store.keep(version, b"late", now)
        await ours.round()
        assert current.version == await store.version() == 1
        assert its.scorer.model == current.scorer.model


async def test_a_process_that_fails_leaves_the_model_as_it_is(house: House) -> None:
    await book_by_many(house, await film(house, "Seen"), range(3))
    async with await open_pool(house.address, size=2) as pool:
        ours, _ = models(pool)
        await ours.round()
        with structlog.testing.capture_logs() as events:
            late, current = models(
                pool, ahead=BY_THE_TEST + REBUILD + timedelta(minutes=1), command=("false",)
            )
            await late.round()
        assert [one["event"] for one in events] == ["recommendation_model_not_built"]
        assert current.version == await ModelRepository(pool).version() == 1


async def weeks_of_bookings(house: House, movie_ids: list[str], each: int) -> None:
    """So many customers in each of the weeks that weights are tried on; each books one film."""
    for weeks in range(1, TRIAL_WEEKS + 1):
        showtimes = []
        for number, movie_id in enumerate(movie_ids):
            showtimes.append(showtime_id := await shown(house, movie_id))
            starts_at = datetime.now(UTC) - timedelta(weeks=weeks, days=-4, hours=-4 * number)
            await house.database.execute(
                "update showtimes set starts_at = $2, ends_at = $3, clear_at = $3,"
                " sales_opens_at = $4 where id = $1",
                *(showtime_id, starts_at, starts_at + timedelta(hours=2)),
                starts_at - timedelta(days=60),
            )
        await house.database.executemany(
            "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
            " currency, created_at) values ($1, $2, $3, $4, $1, 'confirmed', 1000, 'EUR', $5)",
            [
                (
                    *(uuid4(), uuid4().hex[:12], showtimes[one % len(showtimes)], uuid4()),
                    datetime.now(UTC) - timedelta(weeks=weeks, days=-3),
                )
                for one in range(each)
            ],
        )


def tried_in(events: list[Any]) -> list[Any]:
    return [one for one in events if one["event"] == "recommendation_weights_tried"]


async def test_weights_are_tried_on_recent_weeks_once_a_day_and_kept_with_the_model(
    house: House,
) -> None:
    films = list((await three_films(house)).values())
    await weeks_of_bookings(house, films, 60)
    async with await open_pool(house.address, size=2) as pool:
        ours, current = models(pool)
        with structlog.testing.capture_logs() as events:
            await ours.round()
        (tried,) = tried_in(events)
        # All but those of the last week, on whom they are tried.
        assert tried["choices"] == (TRIAL_WEEKS - 1) * 60
        model = current.scorer.model
        if tried["is_new"]:
            assert tried["after"] >= tried["before"]
            assert model.weights is not None
            assert msgspec.structs.asdict(model.weights) == tried["weights"]
            assert current.scorer.weights == model.weights
        else:
            assert model.weights is None
        first = model.refitted_at_s
        assert first > 0
        for ahead, times in ((BY_THE_TEST + REBUILD, 0), (BY_THE_TEST + REFIT, 1)):
            later, its = models(pool, ahead=ahead + timedelta(minutes=1))
            with structlog.testing.capture_logs() as events:
                await later.round()
            assert len(tried_in(events)) == times
            assert (its.scorer.model.refitted_at_s > first) == bool(times)
        assert its.version == 3


async def test_a_model_is_built_also_if_weights_cannot_be_refitted(house: House) -> None:
    await book_by_many(house, await film(house, "Seen"), range(3))
    async with await open_pool(house.address, size=2) as pool:
        ours, current = models(pool, refit_command=("false",))
        with structlog.testing.capture_logs() as events:
            await ours.round()
        assert [one["event"] for one in events] == ["recommendation_weights_not_tried"]
        assert current.version == 1
        assert (current.scorer.model.weights, current.scorer.model.refitted_at_s) == (None, 0.0)


# --- experiments

EXPERIMENT = "ranking:popular=50,full=50"


async def test_customers_of_an_experiment_are_counted_against_control(
    database: str, clocks: Clocks
) -> None:
    await keep_from_building(database)
    settings = {"recommendation_experiment": EXPERIMENT}
    async with open_house(database, clocks=clocks, **settings) as house:
        films = await three_films(house)
        people = ("ada", "bob", "guest")
        await house.ask("staff", "PUT", "me/preferences", {"opt_out": True})
        arms = {}
        for person in people:
            (first, *_) = await listed(house, person)
            customer = UUID(house.people[person])
            rows = await house.database.fetch(
                "select experiment, arm, is_control from recommendation_exposures"
                " where user_id = $1",
                customer,
            )
            name, shares = experiment_of(EXPERIMENT)
            way = assigned(Experiment(name=name, arms=shares), customer)
            assert {tuple(row) for row in rows} == {("ranking", way.arm, way.is_control)}
            arms[person] = way.arm
        # Neither of these is in it.
        assert len(await listed(house, None)) == len(await listed(house, "staff")) == 3
        event = {"kind": "click", "movie_id": first["movie"]["id"]}
        told = {"events": [{**event, "exposure_id": first["exposure_id"]}]}
        await house.ask("guest", "POST", "events", told)
        await house.booked("bob", await shown(house, films["One"]), "A1")
        today = datetime.now(UTC).date()
        path = (
            "admin/reports/recommendations"
            f"?from={today - timedelta(days=1)}&to={today + timedelta(days=1)}"
        )
        rows = (await house.ask("admin", "GET", path)).data
        reached = {(one["measure"], one["arm"]): one["reached"] for one in rows if one["reached"]}
        assert reached == {
            ("clicked", arms["guest"]): 1,
            ("booked_shown", arms["bob"]): 1,
            ("booked", arms["bob"]): 1,
        }
        assert sum(one["customers"] for one in rows if one["measure"] == "booked") == 3
        assert {one["maturing"] == one["customers"] for one in rows} == {True}
        bearer = {"Authorization": f"Bearer {house.token('admin')}"}
        async with house.client.get(f"{path}&format=csv", headers=bearer) as reply:
            read = list(csv.DictReader(io.StringIO(await reply.text())))
        assert [one["key"] for one in read] == [one["key"] for one in rows]
        # Managers see what came of it at their own cinemas.
        assert (await house.ask("manager", "GET", path)).data == rows
        here = f"{path}&cinema_id={house.cinema_id}"
        assert (await house.ask("admin", "GET", here)).data == rows
        assert (await house.ask("manager elsewhere", "GET", here)).error == (403, "FORBIDDEN")
        elsewhere = (await house.ask("manager elsewhere", "GET", path)).data
        assert {one["measure"] for one in elsewhere if one["reached"]} == {"clicked"}
        by_day = (await house.ask("admin", "GET", f"{path}&group_by=date")).data
        assert sum(one["customers"] for one in by_day) == sum(one["customers"] for one in rows)
        assert all(one["date"] in one["label"] for one in by_day)
        backwards = f"admin/reports/recommendations?from={today}&to=2026-01-01"
        assert (await house.ask("admin", "GET", backwards)).error == (400, "VALIDATION_ERROR")
