"""Deletions of what coming showtimes stand on: bookings that come in between, and crashes.

The showtimes here do to their rows what actors do; with real ones it is shown in `tests/e2e`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from cinema.actors.messages import TRY_AGAIN, Accepted, Outcome
from cinema.domain.rejections import Refused, Rejection
from cinema.domain.showtime.commands import CancelShowtime, PauseSales, ResumeSales
from cinema.features.catalog.deletion_store import DELETION, DeletionsRepository
from cinema.features.catalog.shapes import Deleted, Movie, Screen
from cinema.features.feature import JobKind
from cinema.features.jobs.shapes import AdminJob
from cinema.features.showtimes.jobs import ADDED, BOOKED, ROUNDS_LIMIT, Deletions
from cinema.features.showtimes.shapes import Showtime
from tests.integration.features.catalog_house import ADMIN, FIRST, START, House, refusal
from tests.integration.features.jobs_house import Yard

pytestmark = pytest.mark.postgres

SHOWS = 3
_BOOK = (
    "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,"
    " created_at) values (gen_random_uuid(), 'CODE', $1, $1, $1, 'confirmed', 1, 'EUR', now())"
)


class Dies(Exception):
    """A process ends here."""


class Showtimes:
    """Do what they are asked, unless something happens just before or behind it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self.asked: list[str] = []
        self.before: dict[int, Callable[[UUID], Any]] = {}
        self.dies_behind: set[int] = set()
        self.unavailable: set[int] = set()

    async def ask(self, raw_id: bytes, command: Any) -> Outcome:
        showtime_id, number = UUID(bytes=raw_id), len(self.asked) + 1
        self.asked.append(type(command).__name__)
        if number in self.before:
            await self.before[number](showtime_id)
        if number in self.unavailable:
            return TRY_AGAIN
        outcome = await self._done(showtime_id, command)
        if number in self.dies_behind:
            raise Dies
        return outcome

    async def _done(self, showtime_id: UUID, command: Any) -> Outcome:
        sql = "update showtimes set sales_paused = $2 where id = $1"
        match command:
            case PauseSales() | ResumeSales():
                await self._pool.execute(sql, showtime_id, isinstance(command, PauseSales))
            case CancelShowtime():
                assert command.unless_booked
                booked = "select exists (select from bookings where showtime_id = $1)"
                if await self._pool.fetchval(booked, showtime_id):
                    return Rejection(code="SHOWTIME_IN_USE")
                cancel = "update showtimes set status = 'cancelled' where id = $1"
                await self._pool.execute(cancel, showtime_id)
        no_terms: Any = None
        return Accepted(None, 1, 1, 0, no_terms)


class Office:
    """A film with coming showtimes, and the job that deletes it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.house = House(pool)
        self.yard = Yard(pool)
        self.yard.now = self.house.now
        self.showtimes = Showtimes(pool)
        self.use(self.house.deletions)
        self.movie: Movie
        self.screen: Screen
        self.shows: list[Showtime] = []

    def use(self, deletions: DeletionsRepository) -> None:
        """Let the job go by these."""
        dispatch: Any = self.showtimes
        job = Deletions(dispatch, deletions, now=lambda: self.house.now)
        self.queue = self.yard.node({DELETION: JobKind(run=job.run)})

    async def open(self) -> None:
        self.movie = await self.house.movie(minutes=60)
        self.screen = await self.house.screen(await self.house.cinema())
        for number in range(SHOWS):
            await self.show(number)

    async def show(self, number: int) -> None:
        """One more showtime."""
        starts_at = START + timedelta(hours=3 * number)
        self.shows.append(await self.house.show(self.movie, self.screen, starts_at))

    async def delete(self, kind: str = "movie") -> Deleted:
        of = self.house.catalog
        if kind == "movie":
            return await of.delete_movie(ADMIN, self.movie.id, FIRST)
        if kind == "screen":
            return await of.delete_screen(ADMIN, self.screen.id, FIRST)
        return await of.delete_cinema(ADMIN, self.screen.cinema_id, FIRST)

    async def work(self, attempts: int = 1) -> None:
        for _ in range(attempts):
            await self.yard.do_all(self.queue)
            self.yard.pass_s(8 * 3600)

    async def book(self, showtime_id: UUID) -> None:
        await self.pool.execute(_BOOK, showtime_id)

    async def rows(self) -> list[tuple[str, bool]]:
        """Status, and whether sales are paused, in the order in which they were made."""
        rows = await self.pool.fetch("select status, sales_paused from showtimes order by id")
        return [(row[0], row[1]) for row in rows]

    async def is_kept(self) -> bool:
        return bool(await self.pool.fetchval("select deleted_at is null from movies"))

    async def job(self, deleted: Deleted) -> AdminJob:
        assert deleted.job_id is not None
        return await self.yard.job(deleted.job_id)


@pytest.fixture
async def office(pool: asyncpg.Pool[asyncpg.Record]) -> Office:
    made = Office(pool)
    await made.open()
    return made


@pytest.mark.parametrize("kind", ["movie", "screen", "cinema"])
async def test_what_nobody_has_booked_goes_with_what_it_stands_on(
    office: Office, kind: str
) -> None:
    deleted = await office.delete(kind)
    assert deleted.deleted_at is None
    assert (await office.delete(kind)).job_id == deleted.job_id
    await office.work()
    job = await office.job(deleted)
    assert (job.status, job.total, job.done, job.result) == ("done", 3, 3, {"cancelled": 3})
    assert [status for status, _ in await office.rows()] == ["cancelled"] * SHOWS
    assert office.showtimes.asked == ["PauseSales"] * SHOWS + ["CancelShowtime"] * SHOWS
    assert (await refusal(office.delete(kind)))[0] == "NOT_FOUND"
    if kind != "movie":
        assert await office.pool.fetchval("select deleted_at is not null from screens")


async def test_a_booking_while_sales_are_closed_undoes_all_of_it(office: Office) -> None:
    await office.pool.execute(
        "update showtimes set sales_paused = true where id = $1", office.shows[1].id
    )
    deleted = await office.delete()
    # The second command is for the third showtime, since sales of the second pause already.
    office.showtimes.before[2] = lambda _: office.book(office.shows[0].id)
    await office.work()
    job = await office.job(deleted)
    assert (job.status, job.done, job.reason) == ("failed", 0, BOOKED)
    assert office.showtimes.asked == ["PauseSales"] * 2 + ["ResumeSales"] * 2
    assert await office.rows() == [
        ("scheduled", False),
        # As somebody else had left it.
        ("scheduled", True),
        ("scheduled", False),
    ]
    assert await office.is_kept()
    assert (await refusal(office.delete()))[0] == "MOVIE_IN_USE"


async def test_a_hold_that_is_booked_behind_the_look_keeps_the_film(office: Office) -> None:
    deleted = await office.delete()
    office.showtimes.before[SHOWS + 2] = lambda _: office.book(office.shows[1].id)
    await office.work()
    assert (await office.job(deleted)).reason == BOOKED
    assert await office.rows() == [("cancelled", True), ("scheduled", False), ("scheduled", False)]
    assert await office.is_kept()
    # Whoever continues it when the booking is gone begins anew.
    await office.pool.execute("delete from bookings")
    assert deleted.job_id is not None
    assert await office.yard.jobs.revive(deleted.job_id)
    await office.work()
    assert (await office.job(deleted)).status == "done"
    assert not await office.is_kept()


async def test_a_booking_from_before_the_job_touches_nothing(office: Office) -> None:
    deleted = await office.delete()
    await office.book(office.shows[2].id)
    await office.work()
    assert (await office.job(deleted)).reason == BOOKED
    assert office.showtimes.asked == []
    assert await office.rows() == [("scheduled", False)] * SHOWS


@pytest.mark.parametrize("number", range(1, 2 * SHOWS + 1))
@pytest.mark.parametrize("how", ["dies_behind", "unavailable"])
async def test_a_job_that_ends_in_the_middle_is_continued(
    office: Office, number: int, how: str
) -> None:
    deleted = await office.delete()
    getattr(office.showtimes, how).add(number)
    await office.work(2)
    assert (await office.job(deleted)).status == "done"
    assert [status for status, _ in await office.rows()] == ["cancelled"] * SHOWS
    assert not await office.is_kept()


@pytest.mark.parametrize("number", range(2, 2 * SHOWS + 2))
async def test_a_job_that_ends_in_the_middle_of_undoing_is_continued(
    office: Office, number: int
) -> None:
    deleted = await office.delete()
    office.showtimes.before[SHOWS] = lambda _: office.book(office.shows[0].id)
    office.showtimes.dies_behind.add(number)
    await office.work(3)
    assert (await office.job(deleted)).status == "failed"
    assert await office.rows() == [("scheduled", False)] * SHOWS
    assert await office.is_kept()


async def test_showtimes_that_are_added_meanwhile_go_too(office: Office) -> None:
    deleted = await office.delete()
    office.showtimes.before[2 * SHOWS] = lambda _: office.show(10)
    await office.work()
    job = await office.job(deleted)
    assert (job.status, job.result) == ("done", {"cancelled": SHOWS + 1})
    assert [status for status, _ in await office.rows()] == ["cancelled"] * (SHOWS + 1)


async def test_what_is_planned_all_the_time_is_kept(office: Office) -> None:
    class Busy(DeletionsRepository):
        """Somebody adds a showtime behind each last look."""

        async def finish(self, *of: Any) -> bool:
            await office.show(10 + len(office.shows))
            return await super().finish(*of)

    office.use(Busy(office.pool, office.house.jobs))
    deleted = await office.delete()
    await office.work()
    job = await office.job(deleted)
    assert (job.status, job.reason) == ("failed", ADDED)
    assert job.done == SHOWS + ROUNDS_LIMIT - 1
    assert ("scheduled", True) not in await office.rows()
    assert await office.is_kept()


async def test_what_is_over_by_then_is_left_alone(office: Office) -> None:
    deleted = await office.delete()
    office.house.now = START + timedelta(days=1)
    await office.work()
    assert (await office.job(deleted)).result == {"cancelled": 0}
    assert await office.rows() == [("scheduled", False)] * SHOWS
    assert not await office.is_kept()


async def test_only_showtimes_with_bookings_are_in_the_way(office: Office) -> None:
    await office.book(office.shows[1].id)
    for kind in ("movie", "screen", "cinema"):
        with pytest.raises(Refused) as caught:
            await office.delete(kind)
        rejection = caught.value.rejection
        assert rejection.code == f"{kind.upper()}_IN_USE"
        assert msgspec.to_builtins(rejection.details) == {
            "showtimes": [
                {
                    "id": str(office.shows[1].id),
                    "starts_at": "2026-06-01T21:00:00Z",
                    "bookings": 1,
                }
            ],
            "more": False,
        }
