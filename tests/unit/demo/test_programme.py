from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from cinema.demo.catalog import FILMS, HOUSES, screen_id
from cinema.demo.programme import programme
from cinema.demo.store import DemoShowtime

ZONES = {
    screen_id(house, plan): ZoneInfo(house.cinema.time_zone)
    for house in HOUSES
    for plan in house.plans
}
# An ordinary week, and those in which the clocks of Berlin and of New York change.
STARTS = [
    datetime(2026, 6, 10, 9, 30, tzinfo=UTC),
    datetime(2026, 3, 4, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 25, 12, 0, tzinfo=UTC),
    datetime(2026, 10, 21, 12, 0, tzinfo=UTC),
    datetime(2026, 10, 28, 12, 0, tzinfo=UTC),
]


def by_screen(showtimes: list[DemoShowtime]) -> dict[str, list[DemoShowtime]]:
    screens: dict[str, list[DemoShowtime]] = {}
    for showtime in sorted(showtimes, key=lambda one: one.times.starts_at):
        screens.setdefault(showtime.screen_id, []).append(showtime)
    return screens


@pytest.mark.parametrize("now", STARTS)
def test_no_two_showtimes_share_a_screen(now: datetime) -> None:
    screens = by_screen(programme(now))
    assert set(screens) == set(ZONES)
    for showtimes in screens.values():
        for one, following in pairwise(showtimes):
            assert one.times.clear_at <= following.times.starts_at


@pytest.mark.parametrize("now", STARTS)
def test_doors_open_at_the_same_hours_of_the_cinemas_clock_all_year(now: datetime) -> None:
    for screen, showtimes in by_screen(programme(now)).items():
        for showtime in showtimes:
            local = showtime.times.starts_at.astimezone(ZONES[screen])
            assert 11 <= local.hour <= 22
            assert local.date() == showtime.times.local_date
            assert (local.minute % 15, local.second, local.microsecond) == (0, 0, 0)


def test_programme_of_a_day_is_the_same_when_asked_later() -> None:
    now = STARTS[0]
    first = {showtime.id: showtime for showtime in programme(now)}
    for later in (now + timedelta(hours=5), now + timedelta(days=3)):
        for showtime in programme(later):
            last_day = (now + timedelta(days=7)).astimezone(ZONES[showtime.screen_id]).date()
            if showtime.times.local_date <= last_day:
                assert first[showtime.id] == showtime


def test_ids_are_unique() -> None:
    showtimes = programme(STARTS[0])
    assert len({showtime.id for showtime in showtimes}) == len(showtimes)


def test_every_film_runs_within_the_week() -> None:
    assert len({showtime.movie_id for showtime in programme(STARTS[0])}) == len(FILMS) == 12
