from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cinema.demo.catalog import AURORA, FILMS, HOUSES, DemoCinema, screen_id
from cinema.demo.programme import programme
from cinema.demo.store import DemoShowtime

ZONES = {
    screen_id(house, plan): ZoneInfo(house.cinema.time_zone)
    for house in HOUSES
    for plan in house.plans
}
HOUSE_OF = {screen_id(house, plan): house for house in HOUSES for plan in house.plans}
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


def hours_of(house: DemoCinema, day: date) -> tuple[datetime, datetime]:
    """When a cinema opens and closes on a day of its programme."""
    settings, zone = house.settings, ZoneInfo(house.cinema.time_zone)
    week = msgspec.structs.astuple(settings.opening_hours)
    exceptions = {one.date: one.hours for one in settings.opening_exceptions}
    hours = exceptions.get(day, week[day.weekday()])
    later = timedelta(days=hours.closes < hours.opens)
    opens, closes = (time.fromisoformat(one) for one in (hours.opens, hours.closes))
    return datetime.combine(day, opens, zone), datetime.combine(day + later, closes, zone)


@pytest.mark.parametrize("now", STARTS)
def test_shows_are_within_the_opening_hours_of_the_cinemas_clock_all_year(now: datetime) -> None:
    for screen, showtimes in by_screen(programme(now)).items():
        for showtime in showtimes:
            local = showtime.times.starts_at.astimezone(ZONES[screen])
            opens, closes = hours_of(HOUSE_OF[screen], showtime.times.local_date)
            assert opens <= local
            assert showtime.times.ends_at <= closes
            assert local.date() == showtime.times.local_date
            assert (local.minute % 15, local.second, local.microsecond) == (0, 0, 0)


def test_a_day_with_other_hours_has_another_programme() -> None:
    now = datetime(2026, 12, 22, 9, 0, tzinfo=UTC)
    berlin = {demo_screen for demo_screen, house in HOUSE_OF.items() if house is AURORA}
    ends = {
        day: max(
            one.times.ends_at.astimezone(ZoneInfo("Europe/Berlin"))
            for one in programme(now)
            if one.screen_id in berlin and one.times.local_date == day
        )
        for day in (date(2026, 12, 23), date(2026, 12, 24))
    }
    assert ends[date(2026, 12, 23)].hour in {23, 0}
    assert ends[date(2026, 12, 24)].hour <= 18


@pytest.mark.parametrize("now", STARTS)
def test_each_day_begins_with_a_matinee_on_the_first_screen(now: datetime) -> None:
    """The tour of the README begins with it."""
    for house in HOUSES:
        by_day: dict[date, list[DemoShowtime]] = {}
        for one in programme(now):
            if HOUSE_OF[one.screen_id] is house:
                by_day.setdefault(one.times.local_date, []).append(one)
        days = sorted(by_day)[1:]
        assert len(days) == 7
        for day in days:
            first, second = sorted(by_day[day], key=lambda one: one.times.starts_at)[:2]
            assert first.screen_id == screen_id(house, house.plans[0])
            assert first.times.starts_at == hours_of(house, day)[0]
            assert first.times.starts_at < second.times.starts_at
            assert (first.base_price_minor, first.format) == (950, "2D")


def test_large_formats_and_evenings_cost_more() -> None:
    shown = programme(STARTS[0])
    assert {one.format for one in shown} == {"2D", "IMAX"}
    assert {one.screen_id for one in shown if one.format == "IMAX"} == {screen_id(AURORA, "grand")}
    assert {one.base_price_minor for one in shown} >= {950, 1250, 1550, 1650, 1850}


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
