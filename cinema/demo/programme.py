"""The demo's programme: which film runs when; the same on every call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cinema.demo.catalog import FILMS, HOUSES, Film, House, demo_id, screen_id
from cinema.demo.store import DemoShowtime
from cinema.domain.times import to_us
from cinema.features.showtimes.rules import Timetable, timetable

DAYS_AHEAD: Final = 7
"""The programme is for today and this many days after it."""

# In the cinema's local time, outside the hours in which clocks change.
_WEEKDAY_OPENING: Final = time(14, 0)
_WEEKEND_OPENING: Final = time(11, 0)
_LAST_START: Final = time(22, 45)
_EVENING: Final = time(17, 0)
_STEP: Final = timedelta(minutes=15)

_MATINEE_PRICE_MINOR: Final = 950
_EVENING_PRICE_MINOR: Final = 1250
_LOUNGE_SURCHARGE_MINOR: Final = 600
_IMAX_SURCHARGE_MINOR: Final = 400
_IMAX_FILMS: Final = frozenset({"Dune: Part Two", "Inception", "Oppenheimer"})


def programme(now: datetime) -> list[DemoShowtime]:
    """The coming showtimes of today and the next days, of all screens."""
    return [
        showtime
        for house in HOUSES
        for showtime in _of_house(house, now)
        if showtime.times.starts_at > now
    ]


def _of_house(house: House, now: datetime) -> Iterator[DemoShowtime]:
    zone = ZoneInfo(house.cinema.time_zone)
    today = now.astimezone(zone).date()
    for ahead in range(DAYS_AHEAD + 1):
        for position, plan in enumerate(house.plans):
            yield from _of_screen(house, plan, position, today + timedelta(days=ahead), zone)


def _of_screen(
    house: House, plan: str, position: int, day: date, zone: ZoneInfo
) -> Iterator[DemoShowtime]:
    """One screen's day: each film starts as soon as the screen is clean."""
    opening = _WEEKEND_OPENING if day.weekday() >= 5 else _WEEKDAY_OPENING
    starts_at = datetime.combine(day, opening, zone).astimezone(UTC) + position * _STEP
    last_start = datetime.combine(day, _LAST_START, zone).astimezone(UTC)
    slot = 0
    while starts_at <= last_start:
        film = FILMS[(day.toordinal() * 5 + position * 4 + slot) % len(FILMS)]
        times = timetable(starts_at, film.runtime_minutes, zone)
        yield _showtime(house, plan, film, times, zone)
        starts_at = _next_step(times.clear_at)
        slot += 1


def _showtime(
    house: House, plan: str, film: Film, times: Timetable, zone: ZoneInfo
) -> DemoShowtime:
    screen = screen_id(house, plan)
    imax = plan == "grand" and film.title in _IMAX_FILMS
    evening = times.starts_at.astimezone(zone).time() >= _EVENING
    price_minor = _EVENING_PRICE_MINOR if evening else _MATINEE_PRICE_MINOR
    price_minor += _LOUNGE_SURCHARGE_MINOR if plan == "lounge" else 0
    price_minor += _IMAX_SURCHARGE_MINOR if imax else 0
    return DemoShowtime(
        id=demo_id("showtime", f"{screen}/{times.starts_at:%Y%m%dT%H%M}", to_us(times.starts_at)),
        movie_id=demo_id("movie", film.title),
        screen_id=screen,
        times=times,
        base_price_minor=price_minor,
        format="IMAX" if imax else "2D",
        language=film.language,
    )


def _next_step(moment: datetime) -> datetime:
    """The time itself if it is a quarter of an hour, otherwise the next one."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + -((midnight - moment) // _STEP) * _STEP
