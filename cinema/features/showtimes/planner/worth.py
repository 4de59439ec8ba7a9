"""What a schedule is worth, and which rules it breaks: told without knowing how it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from cinema.features.showtimes.planner.problem import (
    Problem,
    Show,
    clear,
    ends,
    part_of,
    wanted,
)

Wish = Literal["shows_min", "prime_min"]


class Unmet(msgspec.Struct, frozen=True, kw_only=True):
    """A wish of a film on a day that lacks `missing` shows, and what that costs."""

    wish: Wish
    film: int
    day: int
    missing: int
    price: float


def attendance(wanted: Sequence[float], seats: Sequence[float], spill: float) -> float:
    """How many visitors of one version come in one day, in expectation.

    Who wants to come in a part of the day has its seats first; that is best as long as `spill` is
    at most a half, since a seat that is given to somebody else gains `spill` and loses 1. What is
    left is matched with neighbouring parts from left to right: a part's left neighbour has no
    later seats to go to, so it goes first (the greedy matching of a path).
    """
    left = list(wanted)
    free = list(seats)
    total = 0.0
    for part in range(len(left)):
        here = min(left[part], free[part])
        left[part] -= here
        free[part] -= here
        total += here
    spilled = 0.0
    for part in range(len(left)):
        for neighbour in (part - 1, part + 1):
            if 0 <= neighbour < len(left):
                there = min(left[neighbour], free[part])
                left[neighbour] -= there
                free[part] -= there
                spilled += there
    return total + spill * spilled


def visitors(problem: Problem, shows: Iterable[Show], day: int) -> float:
    """The value of all visitors of a day: those of the given shows and of the fixed ones."""
    seats: dict[tuple[int, int], list[float]] = {}
    parts = problem.days[day].parts
    held = [(one.film, one.version, one.starts, one.screen) for one in shows if one.day == day]
    held += [
        (one.film, one.version, one.starts, one.screen)
        for one in problem.fixed
        if one.day == day and one.film is not None and one.version is not None
    ]
    for film, version, starts, screen in held:
        of_version = seats.setdefault((film, version), [0.0] * len(parts))
        of_version[part_of(problem.days[day], starts)] += problem.screens[screen].seats
    total = 0.0
    for (film, version), there in seats.items():
        one = problem.films[film]
        share = one.versions[version].share
        demand = [share * visitors for visitors in one.demand[day]]
        total += one.weight * attendance(demand, there, problem.rules.spill)
    return total


def unmet(problem: Problem, shows: Sequence[Show]) -> list[Unmet]:
    """The wishes that a schedule leaves open, by day and film."""
    return [wish for day in range(len(problem.days)) for wish in _unmet_of_day(problem, shows, day)]


def _unmet_of_day(problem: Problem, shows: Iterable[Show], day: int) -> list[Unmet]:
    counts: Counter[int] = Counter()
    primes: Counter[int] = Counter()
    hours = problem.days[day]
    for starts, shown in _of_films(problem, shows, day):
        counts[shown] += 1
        primes[shown] += hours.prime[part_of(hours, starts)]
    found: list[Unmet] = []
    for place, film in enumerate(problem.films):
        if not wanted(problem, place, day):
            continue
        wishes: tuple[tuple[Wish, int], ...] = (
            ("shows_min", film.shows_min - counts[place]),
            ("prime_min", film.prime_min - primes[place]),
        )
        found += [
            Unmet(
                wish=wish,
                film=place,
                day=day,
                missing=missing,
                price=missing * problem.rules.missing_price,
            )
            for wish, missing in wishes
            if missing > 0
        ]
    return found


def worth(problem: Problem, shows: Sequence[Show]) -> float:
    """What a schedule is worth: its visitors, less what its shows and its unmet wishes cost."""
    return sum(worth_of_day(problem, shows, day) for day in range(len(problem.days)))


def worth_of_day(problem: Problem, shows: Sequence[Show], day: int) -> float:
    """The part of one day."""
    value = visitors(problem, shows, day)
    value -= problem.rules.show_cost * sum(show.day == day for show in shows)
    return value - sum(wish.price for wish in _unmet_of_day(problem, shows, day))


def violations(problem: Problem, shows: Sequence[Show]) -> list[str]:
    """The rules that a schedule breaks, in words; none if it may be shown."""
    broken = [text for show in shows for text in _alone(problem, show)]
    if broken:
        return broken
    return [*_overlaps(problem, shows), *_together(problem, shows), *_near(problem, shows)]


def _alone(problem: Problem, show: Show) -> Iterable[str]:
    """What is wrong with one show by itself."""
    named = (show.day, show.screen, show.film)
    if not all(
        0 <= place < len(things)
        for place, things in zip(named, (problem.days, problem.screens, problem.films), strict=True)
    ):
        yield f"{show}: there is no such day, screen or film"
        return
    day, screen, film = (
        problem.days[show.day],
        problem.screens[show.screen],
        problem.films[show.film],
    )
    if not 0 <= show.version < len(film.versions):
        yield f"{show}: there is no such version"
        return
    if show.starts % problem.rules.grid:
        yield f"{show}: starts off the grid"
    if show.starts < day.opens:
        yield f"{show}: starts before the cinema opens"
    if ends(problem, show) > day.closes:
        yield f"{show}: ends after the cinema closes"
    if film.versions[show.version].format not in screen.formats:
        yield f"{show}: the screen cannot show the format"
    if film.children and show.starts > day.children_until:
        yield f"{show}: too late for children"
    if not wanted(problem, show.film, show.day):
        yield f"{show}: nobody wants to see it"


def _overlaps(problem: Problem, shows: Sequence[Show]) -> Iterable[str]:
    taken = [(one.day, one.screen, one.starts, clear(problem, one)) for one in shows]
    taken += [(one.day, one.screen, one.starts, one.clear) for one in problem.fixed]
    for place, (day, screen, starts, until) in enumerate(taken[: len(shows)]):
        for other_day, other_screen, other_starts, other_until in taken[place + 1 :]:
            if (
                (day, screen) == (other_day, other_screen)
                and starts < other_until
                and other_starts < until
            ):
                yield f"day {day}, screen {screen}: {starts} and {other_starts} overlap"


def _together(problem: Problem, shows: Sequence[Show]) -> Iterable[str]:
    """Counts; what fixed showtimes alone break is not held against a schedule."""
    rules = problem.rules
    at_once = Counter((one.day, one.starts // rules.grid) for one in shows)
    for one in problem.fixed:
        if (one.day, one.starts // rules.grid) in at_once:
            at_once[one.day, one.starts // rules.grid] += 1
    for (day, step), count in at_once.items():
        if count > rules.starts_at_once:
            yield f"day {day}: {count} shows start at {step * rules.grid}"
    per_film = Counter((one.day, one.film) for one in shows)
    for one in problem.fixed:
        if one.film is not None and (one.day, one.film) in per_film:
            per_film[one.day, one.film] += 1
    for (day, film), count in per_film.items():
        if count > problem.films[film].shows_max:
            yield f"day {day}: {count} shows of film {film}"


def _near(problem: Problem, shows: Sequence[Show]) -> Iterable[str]:
    starts = [(one.day, one.film, one.starts) for one in shows]
    starts += [(one.day, one.film, one.starts) for one in problem.fixed if one.film is not None]
    for place, (day, film, begins) in enumerate(starts[: len(shows)]):
        for other_day, other_film, other_begins in starts[place + 1 :]:
            same = (day, film) == (other_day, other_film)
            if same and abs(begins - other_begins) < problem.rules.film_gap:
                yield f"day {day}: film {film} starts at {begins} and at {other_begins}"


def _of_films(problem: Problem, shows: Iterable[Show], day: int) -> Iterable[tuple[int, int]]:
    """Start and film of all shows of a day, the fixed ones included."""
    yield from ((one.starts, one.film) for one in shows if one.day == day)
    yield from (
        (one.starts, one.film) for one in problem.fixed if one.film is not None and one.day == day
    )
