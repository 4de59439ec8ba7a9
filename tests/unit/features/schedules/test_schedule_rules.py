"""From a request to the planner's problem and back, on the clock of the cinema."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cinema.domain.money import Money
from cinema.features.catalog.shapes import DayHours, Hours, WeekHours
from cinema.features.schedules.rules import (
    CONFLICTS_LIMIT,
    Calendar,
    HouseFilm,
    HouseScreen,
    PlannedCinema,
    ScreenVersion,
    TakenSlot,
    conflicts_of,
    planned,
    problem_of,
    unmet_wishes,
)
from cinema.features.schedules.shapes import (
    FilmInput,
    PlanInput,
    PlannedShow,
    PrimeTime,
    ScreenFormats,
    VersionInput,
)
from cinema.features.showtimes.planner.problem import Day, Show
from cinema.features.showtimes.planner.worth import Unmet

BERLIN = ZoneInfo("Europe/Berlin")
CINEMA, MOVIE, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
LARGE, SMALL = UUID(int=4), UUID(int=5)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EUR = Money(amount=1000, currency="EUR")
PRIME = Money(amount=1300, currency="EUR")


def a_request(day: date, days: int = 1, **changes: Any) -> PlanInput:
    request = PlanInput(
        cinema_id=CINEMA,
        date_from=day,
        date_to=day + timedelta(days=days - 1),
        films=[FilmInput(movie_id=MOVIE, visitors=100)],
        base_price=EUR,
    )
    return msgspec.structs.replace(request, **changes)


def a_house(taken: list[TakenSlot] | None = None, zone: ZoneInfo = BERLIN) -> PlannedCinema:
    return PlannedCinema(
        zone=zone,
        ads_minutes=20,
        cleaning_minutes=15,
        screens=[HouseScreen(id=LARGE, seats=200), HouseScreen(id=SMALL, seats=50)],
        films={MOVIE: HouseFilm(runtime_minutes=100, languages=["fr", "de"])},
        taken=taken or [],
    )


def taken(start: datetime, minutes: int = 135, **changes: Any) -> TakenSlot:
    one = TakenSlot(
        id=UUID(int=9),
        screen_id=LARGE,
        movie_id=MOVIE,
        starts_at=start,
        clear_at=start + timedelta(minutes=minutes),
        format="2D",
        language="fr",
    )
    return msgspec.structs.replace(one, **changes)


def a_day_of(request: PlanInput, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> Day:
    return problem_of(request, a_house(zone=zone), now).days[0]


def test_a_day_has_the_hours_of_its_weekday_and_goes_on_after_midnight() -> None:
    day = a_day_of(a_request(date(2026, 6, 3)))
    assert (day.opens, day.closes) == (10 * 60, 25 * 60)
    assert day.parts == (0, 14 * 60, 17 * 60, 19 * 60 + 30, 22 * 60)
    assert day.prime == (False, False, True, True, False)
    assert day.children_until == 18 * 60 + 30


def test_hours_of_a_weekday_and_of_a_date_go_before() -> None:
    hours = WeekHours(wednesday=Hours(opens="14:00", closes="23:00"))
    request = a_request(date(2026, 6, 3), opening_hours=hours)
    assert (a_day_of(request).opens, a_day_of(request).closes) == (14 * 60, 23 * 60)
    exception = DayHours(date=date(2026, 6, 3), hours=Hours(opens="09:00", closes="12:00"))
    request = msgspec.structs.replace(request, opening_exceptions=[exception])
    assert (a_day_of(request).opens, a_day_of(request).closes) == (9 * 60, 12 * 60)


def test_the_settings_of_the_cinema_say_when_it_is_open() -> None:
    settings = {
        "opening_hours": WeekHours(wednesday=Hours(opens="11:00", closes="23:00")),
        "opening_exceptions": [
            DayHours(date=date(2026, 6, 4), hours=Hours(opens="16:00", closes="22:00"))
        ],
    }
    house = msgspec.structs.replace(a_house(), **settings)
    problem = problem_of(a_request(date(2026, 6, 3), days=3), house, NOW)
    assert [(day.opens, day.closes) for day in problem.days] == [
        (11 * 60, 23 * 60),
        (16 * 60, 22 * 60),
        (0, 0),
    ]
    # What the request says goes before.
    own = WeekHours(wednesday=Hours(opens="09:00", closes="12:00"))
    problem = problem_of(a_request(date(2026, 6, 3), opening_hours=own), house, NOW)
    assert (problem.days[0].opens, problem.days[0].closes) == (9 * 60, 12 * 60)


def test_a_closed_day_is_empty_and_nobody_is_missed() -> None:
    exception = DayHours(date=date(2026, 6, 3))
    problem = problem_of(
        a_request(date(2026, 6, 3), opening_exceptions=[exception]), a_house(), NOW
    )
    assert problem.days[0].opens >= problem.days[0].closes
    assert problem.films[0].demand == ((0.0,) * 5,)


def test_a_cinema_that_hardly_closes_is_clean_when_the_next_day_begins() -> None:
    open_all = Hours(opens="06:00", closes="06:00")
    hours = WeekHours(wednesday=open_all, thursday=open_all)
    day = a_day_of(a_request(date(2026, 6, 3), opening_hours=hours))
    assert (day.opens, day.closes) == (6 * 60, 30 * 60 - 15)


@pytest.mark.parametrize(
    ("day", "closes"),
    [(date(2026, 3, 28), 27 * 60), (date(2026, 10, 24), 29 * 60), (date(2026, 6, 6), 28 * 60)],
)
def test_a_night_in_which_clocks_change_is_as_long_as_it_is(day: date, closes: int) -> None:
    hours = WeekHours(saturday=Hours(opens="18:00", closes="04:00"))
    assert a_day_of(a_request(day, opening_hours=hours)).closes == closes


@pytest.mark.parametrize(
    ("day", "utc_hour"), [(date(2026, 3, 28), 9), (date(2026, 3, 29), 8), (date(2026, 10, 25), 9)]
)
def test_shows_start_when_clocks_of_the_cinema_say_so(day: date, utc_hour: int) -> None:
    request = a_request(day)
    problem = problem_of(request, a_house(), NOW)
    shows = [Show(0, problem.days[0].opens, 0, 0, 0)]
    (show,) = planned(request, a_house(), problem, shows)
    assert show.starts_at == datetime(day.year, day.month, day.day, utc_hour, tzinfo=UTC)
    assert show.starts_at.astimezone(BERLIN).hour == 10
    assert show.ends_at - show.starts_at == timedelta(minutes=120)


def test_a_show_through_the_change_of_clocks_is_as_long_as_any() -> None:
    request = a_request(
        date(2026, 3, 28), opening_hours=WeekHours(saturday=Hours(opens="18:00", closes="05:00"))
    )
    problem = problem_of(request, a_house(), NOW)
    (show,) = planned(request, a_house(), problem, [Show(0, 25 * 60, 0, 0, 0)])
    assert show.starts_at.astimezone(BERLIN).isoformat() == "2026-03-29T01:00:00+01:00"
    assert show.ends_at.astimezone(BERLIN).isoformat() == "2026-03-29T04:00:00+02:00"


def test_what_has_passed_of_today_is_not_planned() -> None:
    now = datetime(2026, 6, 3, 13, 30, 20, tzinfo=UTC)
    assert a_day_of(a_request(date(2026, 6, 3)), now).opens == 15 * 60 + 31


def test_shows_in_prime_time_have_their_price() -> None:
    request = a_request(date(2026, 6, 3), prime_price=PRIME)
    problem = problem_of(request, a_house(), NOW)
    shows = [Show(0, 16 * 60, 0, 0, 0), Show(0, 19 * 60, 0, 0, 0), Show(0, 22 * 60, 0, 0, 0)]
    found = planned(request, a_house(), problem, shows)
    assert [show.base_price for show in found] == [EUR, PRIME, EUR]
    assert {
        show.base_price for show in planned(a_request(date(2026, 6, 3)), a_house(), problem, shows)
    } == {EUR}


def test_prime_time_can_be_another() -> None:
    early = PrimeTime(begins="14:00", ends="17:00")
    day = a_day_of(a_request(date(2026, 6, 3), prime_time=early))
    assert day.prime == (False, True, False, False, False)


def test_a_film_without_versions_is_shown_in_its_first_language() -> None:
    film = problem_of(a_request(date(2026, 6, 3)), a_house(), NOW).films[0]
    assert [(one.format, one.language) for one in film.versions] == [("2D", "fr")]
    house = msgspec.structs.replace(
        a_house(), films={MOVIE: HouseFilm(runtime_minutes=100, languages=[])}
    )
    film = problem_of(a_request(date(2026, 6, 3)), house, NOW).films[0]
    assert film.versions[0].language == "und"


def test_visitors_are_shared_out_over_the_week_and_the_day() -> None:
    problem = problem_of(a_request(date(2026, 6, 1), days=7), a_house(), NOW)
    totals = [sum(day) for day in problem.films[0].demand]
    assert sum(totals) == pytest.approx(700)
    assert max(totals) == totals[5]
    children = [FilmInput(movie_id=MOVIE, visitors=100, children=True)]
    family = problem_of(a_request(date(2026, 6, 1), films=children), a_house(), NOW).films[0]
    assert family.children
    assert family.demand[0][0] > problem.films[0].demand[0][0]


def test_screens_show_what_the_request_says() -> None:
    formats = [ScreenFormats(screen_id=SMALL, formats=["3D"])]
    screens = problem_of(a_request(date(2026, 6, 3), screens=formats), a_house(), NOW).screens
    assert [screen.formats for screen in screens] == [frozenset({"2D"}), frozenset({"3D"})]
    assert [screen.seats for screen in screens] == [200, 50]


def test_a_showtime_that_is_there_takes_its_screen_and_counts_for_its_film() -> None:
    there = taken(datetime(2026, 6, 3, 16, 0, 30, tzinfo=UTC))
    (fixed,) = problem_of(a_request(date(2026, 6, 3)), a_house([there]), NOW).fixed
    # A begun minute counts: nothing starts in it.
    assert (fixed.screen, fixed.starts, fixed.clear) == (0, 18 * 60, 18 * 60 + 136)
    assert (fixed.film, fixed.version) == (0, 0)


def test_a_showtime_of_another_film_or_version_takes_only_its_screen() -> None:
    other = taken(datetime(2026, 6, 3, 16, tzinfo=UTC), movie_id=OTHER)
    dubbed = taken(datetime(2026, 6, 3, 19, tzinfo=UTC), language="de")
    found = problem_of(a_request(date(2026, 6, 3)), a_house([other, dubbed]), NOW).fixed
    assert [(fixed.film, fixed.version) for fixed in found] == [(None, None), (0, None)]


def test_a_showtime_after_midnight_belongs_to_the_evening_before() -> None:
    late = taken(datetime(2026, 6, 3, 22, 30, tzinfo=UTC))  # 00:30 on the 4th.
    found = problem_of(a_request(date(2026, 6, 3), days=2), a_house([late]), NOW).fixed
    assert [(fixed.day, fixed.starts, fixed.film) for fixed in found] == [(0, 24 * 60 + 30, 0)]


def test_a_showtime_that_two_days_touch_has_its_visitors_once() -> None:
    open_all = Hours(opens="06:00", closes="05:59")
    hours = WeekHours(wednesday=open_all, thursday=open_all)
    long = taken(datetime(2026, 6, 4, 3, 0, tzinfo=UTC), minutes=180)  # 05:00 to 08:00.
    request = a_request(date(2026, 6, 3), days=2, opening_hours=hours)
    found = problem_of(request, a_house([long]), NOW).fixed
    assert [(fixed.day, fixed.starts, fixed.film) for fixed in found] == [
        (0, 29 * 60, 0),
        (1, 5 * 60, None),
    ]


def test_a_showtime_outside_of_all_days_is_left_out() -> None:
    there = taken(datetime(2026, 6, 3, 1, 0, tzinfo=UTC))
    assert problem_of(a_request(date(2026, 6, 3)), a_house([there]), NOW).fixed == ()


def test_open_wishes_are_told_in_the_words_of_the_request() -> None:
    request = a_request(date(2026, 6, 3), days=2)
    (wish,) = unmet_wishes(request, [Unmet(wish="prime_min", film=0, day=1, missing=2, price=80.0)])
    assert (wish.wish, wish.movie_id, wish.date) == ("prime_min", MOVIE, date(2026, 6, 4))
    assert (wish.missing, wish.price) == (2, 80.0)


START = datetime(2026, 6, 3, 18, tzinfo=UTC)
SHOW = PlannedShow(
    movie_id=MOVIE,
    screen_id=LARGE,
    starts_at=START,
    ends_at=START + timedelta(minutes=120),
    format="2D",
    language="fr",
    base_price=EUR,
)


def a_calendar(**changes: Any) -> Calendar:
    calendar = Calendar(
        time_zone="Europe/Berlin",
        planned_zone="Europe/Berlin",
        currency="EUR",
        ads_minutes=20,
        cleaning_minutes=15,
        screens={LARGE: ScreenVersion(screen_no=1, layout_version=1)},
        runtimes={MOVIE: 100},
        taken=[],
    )
    return msgspec.structs.replace(calendar, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"screens": {}}, "screen_gone"),
        ({"runtimes": {}}, "movie_gone"),
        ({"runtimes": {MOVIE: 101}}, "movie_changed"),
        ({"ads_minutes": 25}, "movie_changed"),
        ({"currency": "USD"}, "cinema_changed"),
        ({"time_zone": "Europe/London"}, "cinema_changed"),
        ({"taken": [taken(START + timedelta(minutes=134))]}, "screen_occupied"),
        ({"taken": [taken(START - timedelta(minutes=134))]}, "screen_occupied"),
    ],
)
def test_each_change_of_the_calendar_that_is_in_the_way_is_told(
    changes: dict[str, Any], reason: str
) -> None:
    (conflict,) = conflicts_of([SHOW], a_calendar(**changes), NOW)
    assert (conflict.reason, conflict.movie_id, conflict.starts_at) == (reason, MOVIE, START)
    assert (conflict.showtime_id is not None) == (reason == "screen_occupied")


def test_a_plan_that_did_not_note_its_time_zone_is_applied() -> None:
    assert conflicts_of([SHOW], a_calendar(planned_zone=None), NOW) == []


@pytest.mark.parametrize(("minutes", "fits"), [(15, True), (16, False)])
def test_a_show_begins_when_the_one_before_it_has_left_a_clean_screen(
    minutes: int, fits: bool
) -> None:
    later = {"starts_at": START + timedelta(minutes=135), "ends_at": START + timedelta(minutes=255)}
    shows = [msgspec.structs.replace(SHOW, **later), SHOW]
    conflicts = conflicts_of(shows, a_calendar(cleaning_minutes=minutes), NOW)
    told = [(one.reason, one.starts_at) for one in conflicts]
    assert told == ([] if fits else [("cinema_changed", later["starts_at"])])


def test_a_show_that_should_have_started_is_in_the_way_of_itself() -> None:
    (conflict,) = conflicts_of([SHOW], a_calendar(), START)
    assert conflict.reason == "started"


def test_neighbours_on_the_screen_are_no_conflict() -> None:
    near = [taken(START + timedelta(minutes=135)), taken(START - timedelta(minutes=135))]
    elsewhere = taken(START, screen_id=SMALL)
    assert conflicts_of([SHOW], a_calendar(taken=[*near, elsewhere]), NOW) == []


def test_conflicts_are_told_up_to_a_limit() -> None:
    shows = [SHOW] * (CONFLICTS_LIMIT + 1)
    assert len(conflicts_of(shows, a_calendar(screens={}), NOW)) == CONFLICTS_LIMIT


def test_versions_of_the_request_are_those_of_the_problem() -> None:
    versions = [VersionInput(format="3D", language="en", share=0.5)]
    films = [FilmInput(movie_id=MOVIE, visitors=100, versions=versions)]
    film = problem_of(a_request(date(2026, 6, 3), films=films), a_house(), NOW).films[0]
    assert [(one.format, one.language, one.share) for one in film.versions] == [("3D", "en", 0.5)]
