"""Rows of the catalogue that change: versions, lost updates, and deletions that are refused."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from cinema.domain.idempotency import idempotency_key
from cinema.domain.ids import new_id
from cinema.domain.paging import PageQuery
from cinema.domain.rejections import Refused
from cinema.features.catalog.service import Seen
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    Deleted,
    Movie,
    MovieInput,
    MovieQuery,
    ScreenChange,
)
from cinema.features.showtimes.shapes import Showtime
from cinema.storage.database.transactions import Pool
from tests.integration.features.catalog_house import ADMIN, FIRST, MANAGER, House, refusal

pytestmark = pytest.mark.postgres

FILM = MovieInput(title="Solaris", runtime_minutes=167, release_date=date(1972, 3, 20))
ROOM = ScreenChange(name="Grand Hall")


@pytest.fixture
def house(pool: Pool) -> House:
    return House(pool)


def described(cinema: Cinema, **changes: Any) -> CinemaInput:
    fields = msgspec.structs.asdict(cinema)
    del fields["id"], fields["version"]
    return CinemaInput(**{**fields, **changes})


async def test_changed_rows_are_what_they_were_changed_to_with_the_next_version(
    house: House,
) -> None:
    movie, cinema = await house.movie(genres=["Drama"]), await house.cinema()
    screen = await house.screen(cinema)
    changed = await house.catalog.change_movie(ADMIN, movie.id, FILM, FIRST)
    assert changed == Movie(id=movie.id, version=2, **msgspec.structs.asdict(FILM))
    assert await house.catalog.movie(movie.id) == changed
    assert (await house.catalog.movies(MovieQuery(genre="drama"))).items == []
    moved = await house.catalog.change_cinema(
        ADMIN, cinema.id, described(cinema, city="Leipzig", time_zone="Europe/Rome"), FIRST
    )
    assert (moved.city, moved.time_zone, moved.version) == ("Leipzig", "Europe/Rome", 2)
    assert await house.catalog.cinema(cinema.id) == moved
    renamed = await house.catalog.rename_screen(ADMIN, screen.id, ROOM, FIRST)
    assert renamed == msgspec.structs.replace(screen, name="Grand Hall", version=2)
    assert await house.catalog.screen(screen.id) == renamed


async def test_rows_know_who_made_and_who_changed_them(house: House) -> None:
    by = msgspec.structs.replace(ADMIN, user_id=new_id(1, 9))
    movie = await house.catalog.create_movie(FILM, by=MANAGER)
    house.now += timedelta(hours=1)
    await house.catalog.change_movie(by, movie.id, FILM, FIRST)
    row = await house.pool.fetchrow(
        "select created_by, created_at, updated_by, updated_at from movies"
    )
    assert row is not None
    assert row["created_by"].bytes == MANAGER.user_id
    assert row["updated_by"].bytes == by.user_id
    assert row["updated_at"] - row["created_at"] == timedelta(hours=1)


Change = Callable[[Seen], Awaitable[object]]


async def changes_of(house: House) -> dict[str, Change]:
    """Every way to change or delete a row that has version 2, by what has been seen of it."""
    movie, cinema = await house.movie(), await house.cinema()
    screen = await house.screen(cinema)
    await house.catalog.change_movie(ADMIN, movie.id, FILM, FIRST)
    await house.catalog.change_cinema(ADMIN, cinema.id, described(cinema), FIRST)
    await house.catalog.rename_screen(ADMIN, screen.id, ROOM, FIRST)
    of = house.catalog
    return {
        "change movie": lambda seen: of.change_movie(ADMIN, movie.id, FILM, seen),
        "delete movie": lambda seen: of.delete_movie(ADMIN, movie.id, seen),
        "rename screen": lambda seen: of.rename_screen(ADMIN, screen.id, ROOM, seen),
        "delete screen": lambda seen: of.delete_screen(ADMIN, screen.id, seen),
        "change cinema": lambda seen: of.change_cinema(ADMIN, cinema.id, described(cinema), seen),
        "delete cinema": lambda seen: of.delete_cinema(ADMIN, cinema.id, seen),
    }


async def test_a_change_rests_on_the_version_that_is_there(house: House) -> None:
    changes = await changes_of(house)
    for name, change in changes.items():
        assert (await refusal(change(None)))[0] == "PRECONDITION_REQUIRED", name
        for stale in (frozenset[int](), FIRST, frozenset({3, 10**17})):
            with pytest.raises(Refused) as caught:
                await change(stale)
            assert caught.value.rejection.code == "PRECONDITION_FAILED", name
            assert caught.value.rejection.details == {"version": 2}, name
    for name in ("change movie", "rename screen", "change cinema"):
        await changes[name](frozenset({1, 2}))
    for name in ("delete movie", "delete screen", "delete cinema"):
        await changes[name](frozenset({3}))


async def test_of_concurrent_changes_of_one_version_one_is_made(house: House) -> None:
    movie, cinema = await house.movie(), await house.cinema()
    screen = await house.screen(cinema)

    async def race(change: Callable[[int], Awaitable[object]]) -> None:
        results = await asyncio.gather(*map(change, range(6)), return_exceptions=True)
        refused = [one.rejection.code for one in results if isinstance(one, Refused)]
        assert refused == ["PRECONDITION_FAILED"] * 5, results

    def film(n: int) -> MovieInput:
        return msgspec.structs.replace(FILM, title=f"Solaris {n}")

    of = house.catalog
    await race(lambda n: of.change_movie(ADMIN, movie.id, film(n), FIRST))
    await race(lambda n: of.rename_screen(ADMIN, screen.id, ScreenChange(name=f"{n}"), FIRST))
    await race(lambda n: of.change_cinema(ADMIN, cinema.id, described(cinema, city=f"{n}"), FIRST))
    assert {
        (await house.catalog.movie(movie.id)).version,
        (await house.catalog.screen(screen.id)).version,
        (await house.catalog.cinema(cinema.id)).version,
    } == {2}


async def test_what_is_deleted_is_nowhere_but_in_its_row(house: House) -> None:
    movie, cinema = await house.movie(), await house.cinema()
    screen = await house.screen(cinema)
    of = house.catalog
    assert await of.delete_movie(ADMIN, movie.id, FIRST) == Deleted(
        id=movie.id, deleted_at=house.now
    )
    await of.delete_cinema(ADMIN, cinema.id, FIRST)
    seen = frozenset({1, 2})
    for call in (
        of.movie(movie.id),
        of.change_movie(ADMIN, movie.id, FILM, seen),
        of.delete_movie(ADMIN, movie.id, seen),
        of.delete_movie(ADMIN, movie.id, None),
        of.cinema(cinema.id),
        of.screens(cinema.id, PageQuery()),
        of.change_cinema(ADMIN, cinema.id, described(cinema), seen),
        of.delete_cinema(ADMIN, cinema.id, seen),
        of.screen(screen.id),
        of.layout(screen.id),
        of.rename_screen(ADMIN, screen.id, ROOM, seen),
        of.delete_screen(ADMIN, screen.id, seen),
    ):
        assert (await refusal(call))[0] == "NOT_FOUND"
    assert (await of.movies(MovieQuery())).items == []
    assert (await of.cinemas(PageQuery())).items == []
    assert await house.pool.fetchval("select count(*) from screens") == 1
    movie = await house.movie()
    assert (await refusal(house.show(movie, screen)))[0] == "UNKNOWN_REFERENCE"
    assert (await refusal(house.screen(cinema)))[0] == "UNKNOWN_REFERENCE"


async def test_name_of_a_deleted_screen_is_free_again(house: House) -> None:
    cinema = await house.cinema()
    screen = await house.screen(cinema, "One")
    other = await house.screen(cinema, "Two")
    change = house.catalog.rename_screen(ADMIN, other.id, ScreenChange(name="One"), FIRST)
    assert (await refusal(change))[0] == "NAME_TAKEN"
    await house.catalog.delete_screen(ADMIN, screen.id, FIRST)
    again = await house.screen(cinema, "One")
    assert (await house.catalog.screens(cinema.id, PageQuery())).items == [other, again]


async def test_managers_rename_and_delete_their_own_screens(house: House) -> None:
    own, other = await house.cinema(), await house.cinema()
    manager = msgspec.structs.replace(MANAGER, cinema_ids=frozenset({own.id.bytes}))
    mine, theirs = await house.screen(own), await house.screen(other)
    of = house.catalog
    for call in (
        of.rename_screen(manager, theirs.id, ROOM, FIRST),
        of.delete_screen(manager, theirs.id, FIRST),
        of.delete_screen(manager, theirs.id, None),
    ):
        assert (await refusal(call))[0] == "FORBIDDEN"
    await of.rename_screen(manager, mine.id, ROOM, FIRST)
    key = idempotency_key(manager.user_id, "deleteScreen", (mine.id.bytes,), "k")
    gone = await of.delete_screen(manager, mine.id, frozenset({2}), key)
    assert await of.delete_screen(manager, mine.id, frozenset({2}), key) == gone


async def in_the_way(call: Awaitable[object], code: str) -> list[Any]:
    """The showtimes that a refused deletion names."""
    with pytest.raises(Refused) as caught:
        await call
    rejection = caught.value.rejection
    assert rejection.code == code
    assert rejection.details is not None
    assert rejection.details["more"] is False
    return list(rejection.details["showtimes"])


async def test_nothing_is_deleted_under_showtimes_that_lie_ahead(house: House) -> None:
    movie, cinema = await house.movie(minutes=100), await house.cinema()
    screen = await house.screen(cinema)
    made = await house.show(movie, screen)
    await house.pool.execute(
        "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
        " currency, created_at) select gen_random_uuid(), status, $1, $1, $1, status, 1, 'EUR',"
        " now() from unnest('{pending,confirmed,cancelled,refunded}'::text[]) as status",
        made.id,
    )
    of = house.catalog
    told = [{"id": str(made.id), "starts_at": "2026-06-01T18:00:00Z", "bookings": 2}]

    deletions: list[tuple[Callable[[], Awaitable[object]], str]] = [
        (lambda: of.delete_movie(ADMIN, movie.id, FIRST), "MOVIE_IN_USE"),
        (lambda: of.delete_screen(ADMIN, screen.id, FIRST), "SCREEN_IN_USE"),
        (lambda: of.delete_cinema(ADMIN, cinema.id, FIRST), "CINEMA_IN_USE"),
    ]
    elsewhere = described(cinema, currency="PLN")
    for now in (house.now, made.ends_at - timedelta(seconds=1)):
        house.now = now
        for delete, code in deletions:
            assert await in_the_way(delete(), code) == told
        move = of.change_cinema(ADMIN, cinema.id, elsewhere, FIRST)
        assert await in_the_way(move, "CINEMA_IN_USE") == told
    house.now = made.ends_at
    for delete, _ in deletions:
        await delete()


async def test_cancelled_showtimes_are_in_nobodys_way(house: House) -> None:
    movie, screen = await house.movie(), await house.screen(await house.cinema())
    made = await house.show(movie, screen)
    await house.pool.execute("update showtimes set status = 'cancelled' where id = $1", made.id)
    await house.catalog.delete_movie(ADMIN, movie.id, FIRST)
    await house.catalog.delete_screen(ADMIN, screen.id, FIRST)


@pytest.mark.parametrize("kind", ["movie", "screen", "cinema"])
async def test_a_showtime_and_the_deletion_of_what_it_needs_wait_for_each_other(
    house: House, kind: str
) -> None:
    movie, cinema = await house.movie(), await house.cinema()
    screen = await house.screen(cinema)
    deletions: dict[str, Callable[[], Awaitable[Deleted]]] = {
        "movie": lambda: house.catalog.delete_movie(ADMIN, movie.id, FIRST),
        "screen": lambda: house.catalog.delete_screen(ADMIN, screen.id, FIRST),
        "cinema": lambda: house.catalog.delete_cinema(ADMIN, cinema.id, FIRST),
    }
    results = await asyncio.gather(
        house.show(movie, screen), deletions[kind](), return_exceptions=True
    )
    show, deleted = results
    assert isinstance(deleted, Deleted)
    if isinstance(show, Showtime):
        # A job takes care of the showtime first.
        assert (deleted.deleted_at, deleted.job_id is None) == (None, False)
    else:
        assert isinstance(show, Refused)
        assert show.rejection.code == "UNKNOWN_REFERENCE"
        assert deleted.deleted_at == house.now


async def test_a_screen_waits_for_the_deletion_of_its_cinema(house: House) -> None:
    cinema = await house.cinema()
    async with house.pool.acquire() as connection:
        deletion = connection.transaction()
        await deletion.start()
        await connection.execute("select from cinemas where id = $1 for update", cinema.id)
        second = asyncio.ensure_future(house.screen(cinema))
        waiting = "select count(*) from pg_locks where not granted"
        while not await connection.fetchval(waiting):
            assert not second.done()
        await connection.execute("update cinemas set deleted_at = now() where id = $1", cinema.id)
        await deletion.commit()
    assert await refusal(second) == ("UNKNOWN_REFERENCE", "$.cinema_id")


async def test_a_showtime_waits_for_the_change_of_its_cinema(house: House) -> None:
    cinema = await house.cinema()
    movie, screen = await house.movie(), await house.screen(cinema)
    async with house.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from cinemas where id = $1 for update", cinema.id)
        second = asyncio.ensure_future(house.show(movie, screen))
        waiting = "select count(*) from pg_locks where not granted"
        while not await connection.fetchval(waiting):
            assert not second.done()
        await connection.execute("update cinemas set currency = 'USD'")
    assert await refusal(second) == ("VALIDATION_ERROR", "$.base_price.currency")


async def test_a_cinema_changes_its_clock_only_behind_the_showtimes_that_are_being_made(
    house: House,
) -> None:
    cinema = await house.cinema()
    movie, screen = await house.movie(), await house.screen(cinema)
    there = CinemaInput(
        name="Aurora", city="Berlin", country="DE", time_zone="Asia/Tokyo", currency="EUR"
    )
    async with house.pool.acquire() as connection, connection.transaction():
        # The showtime has looked at the clock and waits for its film.
        await connection.execute("select from movies for update")
        made = asyncio.ensure_future(house.show(movie, screen))
        waiting = "select count(*) from pg_locks where not granted"
        while not await connection.fetchval(waiting):
            assert not made.done()
        change = asyncio.ensure_future(house.catalog.change_cinema(ADMIN, cinema.id, there, FIRST))
        while await connection.fetchval(waiting) < 2:
            assert not change.done()
    assert (await made).screen_id == screen.id
    assert (await refusal(change))[0] == "CINEMA_IN_USE"


async def test_repeated_deletion_under_one_key_answers_the_same(house: House) -> None:
    movie = await house.movie()
    key = idempotency_key(ADMIN.user_id, "deleteMovie", (movie.id.bytes,), "k")
    first = await house.catalog.delete_movie(ADMIN, movie.id, FIRST, key)
    house.now += timedelta(minutes=1)
    assert await house.catalog.delete_movie(ADMIN, movie.id, FIRST, key) == first
    nothing = uuid.UUID(bytes=new_id(1, 1))
    assert (await refusal(house.catalog.delete_movie(ADMIN, nothing, FIRST)))[0] == "NOT_FOUND"
