"""The demo's programme: made by the greedy planner, the same on every call.

Each day of each cinema is planned by itself, whatever time it is, so that a later start finds the
days that are there already. The first screen opens with a matinee that is fixed: the planner leaves
it where it is, and lets nothing else start at that time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from cinema.demo.catalog import FILMS, HOUSES, DemoFilm, demo_id, screen_id
from cinema.demo.catalog import DemoCinema as DemoHouse
from cinema.demo.plans import demo_plans
from cinema.demo.store import DemoShowtime
from cinema.domain.money import Money
from cinema.domain.times import to_us
from cinema.features.catalog.shapes import Hours
from cinema.features.schedules.rules import (
    WEEKDAYS,
    HouseFilm,
    HouseScreen,
    PlannedCinema,
    TakenSlot,
    planned,
    problem_of,
)
from cinema.features.schedules.shapes import (
    FilmInput,
    PlanInput,
    PlannedShow,
    ScreenFormats,
    VersionInput,
)
from cinema.features.showtimes.planner.greedy import greedy
from cinema.features.showtimes.rules import Timetable, timetable

DAYS_AHEAD: Final = 7
"""The programme is for today and this many days after it."""

GRID_MINUTES: Final = 15
FILMS_A_DAY: Final = 7

_BASE_PRICE_MINOR: Final = 950
_PRIME_PRICE_MINOR: Final = 1250
_LOUNGE_SURCHARGE_MINOR: Final = 600
_IMAX_SURCHARGE_MINOR: Final = 400
_IMAX: Final = "IMAX"
_IMAX_FILMS: Final = frozenset({"Dune: Part Two", "Inception", "Oppenheimer"})
_CHILDREN: Final = frozenset({"Spirited Away"})
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


def programme(now: datetime) -> list[DemoShowtime]:
    """The coming showtimes of today and the next days, of all screens."""
    return [
        showtime
        for house in HOUSES
        for ahead in range(DAYS_AHEAD + 1)
        for showtime in _of_day(house, _today(house, now) + timedelta(days=ahead))
        if showtime.times.starts_at > now
    ]


def of_days_before(now: datetime, days: int) -> list[DemoShowtime]:
    """The showtimes of today and the days before it, of all screens, as they would have been."""
    return [
        showtime
        for house in HOUSES
        for before in range(days, -1, -1)
        for showtime in _of_day(house, _today(house, now) - timedelta(days=before))
    ]


def _today(house: DemoHouse, now: datetime) -> date:
    return now.astimezone(ZoneInfo(house.cinema.time_zone)).date()


def _of_day(house: DemoHouse, day: date) -> Iterator[DemoShowtime]:
    """A day of a cinema: the matinee, and what the planner adds to it."""
    films = films_of(day)
    plan = house.plans[0]
    matinee = _times(house, films[0], _opening(house, day))
    taken = TakenSlot(
        id=UUID(int=0),
        screen_id=screen_id(house, plan),
        movie_id=demo_id("movie", films[0].title),
        starts_at=matinee.starts_at,
        clear_at=matinee.clear_at,
        format="2D",
        language=films[0].language,
    )
    yield _showtime(house, plan, films[0], matinee, "2D", _BASE_PRICE_MINOR)
    request = _request(house, day, films)
    facts = _facts(house, films, taken)
    problem = problem_of(request, facts, _LONG_AGO)
    by_id = {demo_id("movie", film.title): film for film in films}
    plans = {screen_id(house, plan): plan for plan in house.plans}
    for show in planned(request, facts, problem, greedy(problem)):
        yield _planned(house, plans[show.screen_id], by_id[show.movie_id], show)


def films_of(day: date) -> list[DemoFilm]:
    """The films of a day, that of the matinee first; within a week each has its turn."""
    return [FILMS[(5 * day.toordinal() + at) % len(FILMS)] for at in range(FILMS_A_DAY)]


def _opening(house: DemoHouse, day: date) -> datetime:
    week, exceptions = house.settings.opening_hours, house.settings.opening_exceptions
    usual: Hours | None = getattr(week, WEEKDAYS[day.weekday()])
    hours = next((one.hours for one in exceptions if one.date == day), usual)
    if hours is None:
        raise LookupError(f"{house.cinema.name} is closed on {day}")
    zone = ZoneInfo(house.cinema.time_zone)
    return datetime.combine(day, time.fromisoformat(hours.opens), zone).astimezone(UTC)


def _times(house: DemoHouse, film: DemoFilm, starts_at: datetime) -> Timetable:
    return timetable(
        starts_at,
        film.runtime_minutes,
        ZoneInfo(house.cinema.time_zone),
        ads_minutes=house.settings.ads_minutes,
        cleaning_minutes=house.settings.cleaning_minutes,
    )


def _request(house: DemoHouse, day: date, films: list[DemoFilm]) -> PlanInput:
    """What a manager would ask for; a film is the more in demand the later it came out."""
    currency = house.cinema.currency
    return PlanInput(
        cinema_id=house.cinema.id,
        date_from=day,
        date_to=day,
        films=[
            FilmInput(
                movie_id=demo_id("movie", film.title),
                visitors=60 + 25 * FILMS.index(film),
                children=film.title in _CHILDREN,
                versions=_versions(film),
            )
            for film in films
        ],
        base_price=Money(_BASE_PRICE_MINOR, currency),
        prime_price=Money(_PRIME_PRICE_MINOR, currency),
        screens=[
            ScreenFormats(screen_id=screen_id(house, plan), formats=["2D", _IMAX])
            for plan in house.plans
            if plan == "grand"
        ],
        grid_minutes=GRID_MINUTES,
        starts_at_once=1,
        film_gap_minutes=45,
    )


def _versions(film: DemoFilm) -> list[VersionInput]:
    if film.title not in _IMAX_FILMS:
        return [VersionInput(language=film.language)]
    return [
        VersionInput(language=film.language, share=0.4),
        VersionInput(format=_IMAX, language=film.language, share=0.6),
    ]


def _facts(house: DemoHouse, films: list[DemoFilm], taken: TakenSlot) -> PlannedCinema:
    return PlannedCinema(
        zone=ZoneInfo(house.cinema.time_zone),
        ads_minutes=house.settings.ads_minutes,
        cleaning_minutes=house.settings.cleaning_minutes,
        opening_hours=house.settings.opening_hours,
        opening_exceptions=house.settings.opening_exceptions,
        screens=[
            HouseScreen(id=screen_id(house, plan), seats=_seats()[plan]) for plan in house.plans
        ],
        films={
            demo_id("movie", film.title): HouseFilm(
                runtime_minutes=film.runtime_minutes, languages=[film.language]
            )
            for film in films
        },
        taken=[taken],
    )


@cache
def _seats() -> dict[str, int]:
    return {
        name: sum(len(row.seats) for row in plan.layout.rows) for name, plan in demo_plans().items()
    }


def _planned(house: DemoHouse, plan: str, film: DemoFilm, show: PlannedShow) -> DemoShowtime:
    times = _times(house, film, show.starts_at)
    return _showtime(house, plan, film, times, show.format, show.base_price.amount)


def _showtime(
    house: DemoHouse, plan: str, film: DemoFilm, times: Timetable, shown_in: str, price_minor: int
) -> DemoShowtime:
    screen = screen_id(house, plan)
    price_minor += _LOUNGE_SURCHARGE_MINOR if plan == "lounge" else 0
    price_minor += _IMAX_SURCHARGE_MINOR if shown_in == _IMAX else 0
    return DemoShowtime(
        id=demo_id("showtime", f"{screen}/{times.starts_at:%Y%m%dT%H%M}", to_us(times.starts_at)),
        movie_id=demo_id("movie", film.title),
        screen_id=screen,
        times=times,
        base_price_minor=price_minor,
        format=shown_in,
        language=film.language,
    )
