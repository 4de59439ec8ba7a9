"""On which days showtimes are: series through a change of clocks, and shows over midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cinema.features.schedules.store import SchedulesRepository
from cinema.features.showtimes.shapes import ShowtimeQuery
from cinema.storage.database.transactions import Pool
from tests.integration.features.catalog_house import House

pytestmark = pytest.mark.postgres

ZONE = "Europe/Berlin"
BERLIN = ZoneInfo(ZONE)
SATURDAY, SUNDAY, MONDAY = (date(2026, 10, day) for day in (24, 25, 26))
"""Clocks go back by an hour in the night to the Sunday, which has 25 hours."""


class Days:
    """A cinema, and what it shows on a day by each of the two lists."""

    def __init__(self, pool: Pool) -> None:
        self.house = House(pool)
        self._schedules = SchedulesRepository(pool)

    async def open(self, *starts: datetime, minutes: int = 90) -> None:
        movie = await self.house.movie(minutes=minutes)
        cinema = await self.house.cinema(ZONE)
        self.cinema_id = cinema.id
        for number, starts_at in enumerate(starts):
            screen = await self.house.screen(cinema, f"Screen {number}")
            await self.house.show(movie, screen, starts_at)

    async def on(self, day: date) -> list[str]:
        """Starts on the clock of the cinema; both lists say the same."""
        query = ShowtimeQuery(date=day, cinema_id=self.cinema_id)
        listed = [one.starts_at for one in (await self.house.showtimes.showtimes(query)).items]
        schedule = await self._schedules.schedule(self.cinema_id, day)
        assert schedule is not None
        assert [one.starts_at.astimezone(UTC) for one in schedule.showtimes] == listed
        return [f"{one.astimezone(BERLIN):%d %H:%M %z}" for one in listed]


def at(day: date, hour: int, minute: int = 0, *, fold: int = 0) -> datetime:
    """A moment on the clock of the cinema."""
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN, fold=fold)
    return local.astimezone(UTC)


@pytest.fixture
def days(pool: Pool) -> Days:
    return Days(pool)


async def test_a_series_starts_at_the_same_hour_behind_a_change_of_clocks(days: Days) -> None:
    await days.open(*(at(day, 20) for day in (SATURDAY, SUNDAY, MONDAY)))
    assert await days.on(SATURDAY) == ["24 20:00 +0200"]
    assert await days.on(SUNDAY) == ["25 20:00 +0100"]
    assert await days.on(MONDAY) == ["26 20:00 +0100"]


async def test_the_hour_that_comes_twice_is_of_one_day_both_times(days: Days) -> None:
    await days.open(at(SUNDAY, 2, 30), at(SUNDAY, 2, 30, fold=1), at(SUNDAY, 0), at(SUNDAY, 23, 59))
    assert await days.on(SUNDAY) == [
        "25 00:00 +0200",
        "25 02:30 +0200",
        "25 02:30 +0100",
        "25 23:59 +0100",
    ]
    assert await days.on(SATURDAY) == await days.on(MONDAY) == []


async def test_a_show_over_midnight_is_of_the_day_on_which_it_starts(days: Days) -> None:
    """Also through the change of clocks, in which it is as long as any other."""
    await days.open(at(SATURDAY, 23, 30), at(SUNDAY, 0, 15), minutes=200)
    assert await days.on(SATURDAY) == ["24 23:30 +0200"]
    assert await days.on(SUNDAY) == ["25 00:15 +0200"]
    query = ShowtimeQuery(date=SATURDAY, cinema_id=days.cinema_id)
    (night,) = (await days.house.showtimes.showtimes(query)).items
    settings = await days.house.pool.fetchval("select ads_minutes from cinemas")
    assert night.ends_at - night.starts_at == timedelta(minutes=200 + settings)


async def test_the_hour_that_is_left_out_in_spring_is_no_start(days: Days) -> None:
    """Both spellings of it are the moment behind the change."""
    spring = date(2027, 3, 28)
    await days.open(at(spring, 1, 59), at(spring, 3))
    assert at(spring, 3) - at(spring, 1, 59) == timedelta(minutes=1)
    assert await days.on(spring) == ["28 01:59 +0100", "28 03:00 +0200"]
