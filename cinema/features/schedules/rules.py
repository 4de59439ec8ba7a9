"""From a request to the planner's problem, and from its schedule back to showtimes.

The planner counts minutes after the local midnight of each day. A day of the programme goes on
after midnight, until the cinema closes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.features.catalog.shapes import DayHours, Hours, WeekHours
from cinema.features.schedules.shapes import (
    PlanInput,
    PlannedShow,
    UnmetWish,
)
from cinema.features.showtimes.planner.problem import (
    Day,
    FilmDemand,
    Fixed,
    PlannedScreen,
    PlanRules,
    Problem,
    Show,
    Version,
    ends,
    part_of,
)
from cinema.features.showtimes.planner.worth import Unmet
from cinema.features.showtimes.rules import Timetable, timetable

_MINUTE: Final = timedelta(minutes=1)

PARTS: Final = (time(0), time(14), time(17), time(19, 30), time(22))
"""Where the parts of a day begin."""

EVENING_SHARES: Final = (0.08, 0.17, 0.27, 0.36, 0.12)
FAMILY_SHARES: Final = (0.32, 0.42, 0.20, 0.06, 0.0)
"""In which parts visitors want to come: those of most films, and those of children's films."""

WEEK_SHARES: Final = (0.62, 0.66, 0.74, 0.78, 1.30, 1.66, 1.24)
"""Visitors from Monday to Sunday, of those of an average day."""

WEEKDAYS: Final = WeekHours.__struct_fields__
"""From Monday on, as `date.weekday` counts them."""

DEFAULT_HOURS: Final = Hours(opens="10:00", closes="01:00")
SPILL: Final = 0.4
"""Who finds no seat when they want to come: this share comes in a neighbouring part of the day."""


CONFLICTS_LIMIT: Final = 100
"""Conflicts that are told; whoever has so many makes a new plan."""

Reason = Literal[
    "started", "cinema_changed", "movie_gone", "movie_changed", "screen_gone", "screen_occupied"
]


class HouseScreen(msgspec.Struct, frozen=True, kw_only=True):
    """A screen of the cinema."""

    id: UUID
    seats: int


class HouseFilm(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan needs to know of a film."""

    runtime_minutes: int
    languages: Sequence[str]


class TakenSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that is there already."""

    id: UUID
    screen_id: UUID
    movie_id: UUID
    starts_at: datetime
    clear_at: datetime
    format: str
    language: str


class PlannedCinema(msgspec.Struct, frozen=True, kw_only=True):
    """The cinema for which a plan is made, as it is now."""

    zone: ZoneInfo
    ads_minutes: int
    cleaning_minutes: int
    opening_hours: WeekHours | None = None
    opening_exceptions: Sequence[DayHours] = ()
    screens: Sequence[HouseScreen]
    films: Mapping[UUID, HouseFilm]
    taken: Sequence[TakenSlot]


class ScreenVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a showtime takes from its screen."""

    screen_no: int
    layout_version: int


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan meets when it is applied.

    `planned_zone` is the time zone in which it was made; null in plans that did not note it.
    """

    time_zone: str
    planned_zone: str | None
    currency: str
    ads_minutes: int
    cleaning_minutes: int
    screens: Mapping[UUID, ScreenVersion]
    runtimes: Mapping[UUID, int]
    taken: Sequence[TakenSlot]


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime to be made."""

    id: UUID
    show: PlannedShow
    screen: ScreenVersion
    times: Timetable


class Conflict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A show of a plan that cannot be made any more, and the showtime that is in its way."""

    reason: Reason
    movie_id: UUID
    screen_id: UUID
    starts_at: datetime
    showtime_id: UUID | None = None


def conflicts_of(shows: Sequence[PlannedShow], calendar: Calendar, now: datetime) -> list[Conflict]:
    """The shows that cannot be made any more, by start; the first `CONFLICTS_LIMIT`."""
    on_screen: dict[UUID, list[TakenSlot]] = defaultdict(list)
    for one in calendar.taken:
        on_screen[one.screen_id].append(one)
    found: list[Conflict] = []
    clear: dict[UUID, datetime] = {}
    for show in sorted(shows, key=lambda one: one.starts_at):
        before = clear.get(show.screen_id, show.starts_at)
        conflict = _conflict(show, calendar, on_screen[show.screen_id], before, now)
        if conflict is None:
            clear[show.screen_id] = times_of(show, calendar).clear_at
        else:
            found.append(conflict)
    return found[:CONFLICTS_LIMIT]


def times_of(show: PlannedShow, calendar: Calendar) -> Timetable:
    """The moments of a show whose film is in the calendar."""
    return timetable(
        show.starts_at,
        calendar.runtimes[show.movie_id],
        ZoneInfo(calendar.time_zone),
        ads_minutes=calendar.ads_minutes,
        cleaning_minutes=calendar.cleaning_minutes,
    )


def _conflict(
    show: PlannedShow,
    calendar: Calendar,
    taken: Sequence[TakenSlot],
    clear_at: datetime,
    now: datetime,
) -> Conflict | None:
    """What is in the way of a show; the one before it leaves its screen at `clear_at`."""

    def because(reason: Reason, showtime_id: UUID | None = None) -> Conflict:
        return Conflict(
            reason=reason,
            movie_id=show.movie_id,
            screen_id=show.screen_id,
            starts_at=show.starts_at,
            showtime_id=showtime_id,
        )

    if show.starts_at <= now:
        return because("started")
    is_elsewhere = calendar.planned_zone not in {None, calendar.time_zone}
    if is_elsewhere or show.base_price.currency != calendar.currency:
        return because("cinema_changed")
    if show.screen_id not in calendar.screens:
        return because("screen_gone")
    if show.movie_id not in calendar.runtimes:
        return because("movie_gone")
    times = times_of(show, calendar)
    if times.ends_at != show.ends_at:
        return because("movie_changed")
    for one in taken:
        if one.starts_at < times.clear_at and times.starts_at < one.clear_at:
            return because("screen_occupied", one.id)
    # Shows of one plan are in each other's way only if cleaning takes longer than it did.
    return because("cinema_changed") if show.starts_at < clear_at else None


def days_of(request: PlanInput) -> list[date]:
    """The dates of a plan."""
    count = (request.date_to - request.date_from).days + 1
    return [request.date_from + timedelta(days=ahead) for ahead in range(count)]


def problem_of(request: PlanInput, house: PlannedCinema, now: datetime) -> Problem:
    """What the planner is asked. Nothing is planned to start at `now` or before."""
    dates = days_of(request)
    days = [_day(request, house, day, now) for day in dates]
    films = tuple(_film(request, house, place, dates, days) for place in range(len(request.films)))
    screens = {one.screen_id: frozenset(one.formats) for one in request.screens}
    problem = Problem(
        rules=PlanRules(
            grid=request.grid_minutes,
            ads=house.ads_minutes,
            cleaning=house.cleaning_minutes,
            starts_at_once=request.starts_at_once,
            film_gap=request.film_gap_minutes,
            spill=SPILL,
            show_cost=request.show_cost,
            missing_price=request.wish_price,
        ),
        days=tuple(days),
        screens=tuple(
            PlannedScreen(seats=one.seats, formats=screens.get(one.id, frozenset({"2D"})))
            for one in house.screens
        ),
        films=films,
    )
    return msgspec.structs.replace(problem, fixed=tuple(_fixed(request, house, problem)))


def planned(
    request: PlanInput, house: PlannedCinema, problem: Problem, shows: Sequence[Show]
) -> list[PlannedShow]:
    """The showtimes that a schedule means, by start."""
    dates = days_of(request)
    found: list[PlannedShow] = []
    for show in sorted(shows):
        midnight = _midnight(dates[show.day], house.zone)
        day, version = problem.days[show.day], problem.films[show.film].versions[show.version]
        prime = day.prime[part_of(day, show.starts)]
        found.append(
            PlannedShow(
                movie_id=request.films[show.film].movie_id,
                screen_id=house.screens[show.screen].id,
                starts_at=midnight + show.starts * _MINUTE,
                ends_at=midnight + ends(problem, show) * _MINUTE,
                format=version.format,
                language=version.language,
                base_price=(prime and request.prime_price) or request.base_price,
            )
        )
    return sorted(found, key=lambda one: (one.starts_at, one.screen_id))


def unmet_wishes(request: PlanInput, unmet: Sequence[Unmet]) -> list[UnmetWish]:
    """Open wishes in the words of the request."""
    dates = days_of(request)
    return [
        UnmetWish(
            wish=one.wish,
            movie_id=request.films[one.film].movie_id,
            date=dates[one.day],
            missing=one.missing,
            price=one.price,
        )
        for one in unmet
    ]


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def _minutes(moment: datetime, midnight: datetime) -> int:
    """Minutes after midnight as time passes, a begun one not counted."""
    return (moment - midnight) // _MINUTE


def _at(day: date, clock: str | time, zone: tzinfo) -> datetime:
    """The instant at which clocks of the cinema show a time of a day."""
    shown = time.fromisoformat(clock) if isinstance(clock, str) else clock
    return datetime.combine(day, shown, zone).astimezone(UTC)


def _hours(request: PlanInput, house: PlannedCinema, day: date) -> Hours | None:
    """When the cinema is open: as the request says, or else its settings, or else as most are."""
    for exceptions, week in (
        (request.opening_exceptions, request.opening_hours),
        (house.opening_exceptions, house.opening_hours),
    ):
        for one in exceptions:
            if one.date == day:
                return one.hours
        if week is not None:
            hours: Hours | None = getattr(week, WEEKDAYS[day.weekday()])
            return hours
    return DEFAULT_HOURS


def _span(request: PlanInput, house: PlannedCinema, day: date) -> tuple[datetime, datetime] | None:
    """When the cinema opens and closes on a day of its programme."""
    hours, zone = _hours(request, house, day), house.zone
    if hours is None:
        return None
    later = timedelta(days=1 if hours.closes <= hours.opens else 0)
    return _at(day, hours.opens, zone), _at(day + later, hours.closes, zone)


def _day(request: PlanInput, house: PlannedCinema, day: date, now: datetime) -> Day:
    zone, midnight = house.zone, _midnight(day, house.zone)
    span, following = _span(request, house, day), _span(request, house, day + timedelta(days=1))
    opens = closes = 0
    if span is not None:
        # The screens are clean when the next day begins, also of a cinema that hardly closes.
        cleaning = house.cleaning_minutes * _MINUTE
        until = span[1] if following is None else min(span[1], following[0] - cleaning)
        opens = max(_minutes(span[0], midnight), _minutes(now, midnight) + 1)
        closes = _minutes(until, midnight)
    prime = request.prime_time
    return Day(
        opens=opens,
        closes=closes,
        parts=tuple(_minutes(_at(day, part, zone), midnight) for part in PARTS),
        prime=tuple(
            time.fromisoformat(prime.begins) <= part < time.fromisoformat(prime.ends)
            for part in PARTS
        ),
        children_until=_minutes(_at(day, request.children_until, zone), midnight),
    )


def _film(
    request: PlanInput, house: PlannedCinema, place: int, dates: Sequence[date], days: Sequence[Day]
) -> FilmDemand:
    one = request.films[place]
    facts = house.films[one.movie_id]
    profile = FAMILY_SHARES if one.children else EVENING_SHARES
    versions = tuple(
        Version(format=version.format, language=version.language, share=version.share)
        for version in one.versions
    ) or (Version(format="2D", language=facts.languages[0] if facts.languages else "und"),)
    return FilmDemand(
        minutes=facts.runtime_minutes,
        demand=tuple(
            tuple(
                one.visitors * WEEK_SHARES[day.weekday()] * share
                if hours.opens < hours.closes
                else 0.0
                for share in profile
            )
            for day, hours in zip(dates, days, strict=True)
        ),
        versions=versions,
        weight=one.weight,
        children=one.children,
        shows_min=one.shows_min,
        shows_max=one.shows_max,
        prime_min=one.prime_min,
    )


def _fixed(request: PlanInput, house: PlannedCinema, problem: Problem) -> list[Fixed]:
    """Showtimes that are there, in the days that they touch; they count in one of them."""
    screens = {one.id: place for place, one in enumerate(house.screens)}
    films = {one.movie_id: place for place, one in enumerate(request.films)}
    found: list[Fixed] = []
    for one in house.taken:
        film = films.get(one.movie_id)
        own = True
        for place, day in enumerate(days_of(request)):
            midnight = _midnight(day, house.zone)
            hours = problem.days[place]
            starts = _minutes(one.starts_at, midnight)
            clear = -_minutes(midnight, one.clear_at)  # A begun minute counts.
            if clear <= hours.opens or hours.closes + problem.rules.cleaning <= starts:
                continue
            version = None
            if own and film is not None:
                version = _version(problem.films[film], one)
            found.append(
                Fixed(
                    day=place,
                    screen=screens[one.screen_id],
                    starts=starts,
                    clear=clear,
                    film=film if own else None,
                    version=version,
                )
            )
            own = False
    return found


def _version(film: FilmDemand, taken: TakenSlot) -> int | None:
    for place, version in enumerate(film.versions):
        if (version.format, version.language) == (taken.format, taken.language):
            return place
    return None
