"""A schedule made in one go: first every film once, then always the show that brings most.

"Most" is relative to the time that a show takes on its screen. The schedule keeps all rules and
needs no solver. The solver is compared with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cinema.features.showtimes.planner.problem import Problem, Show, part_of
from cinema.features.showtimes.planner.starts import formats_of, starts, steps
from cinema.features.showtimes.planner.worth import attendance

GAIN_MIN = 1e-9
"""A gain below this counts as none, because sums of fractions are not exact."""


class _Like(NamedTuple):
    """The gain of a show depends only on these."""

    film: int
    version: int
    part: int
    seats: int


def greedy(problem: Problem) -> list[Show]:
    """A schedule of all days."""
    return sorted(show for day in range(len(problem.days)) for show in _Board(problem, day).fill())


def completed(problem: Problem, day: int, wanted: Iterable[Sequence[Show]]) -> list[Show]:
    """A schedule of one day: first one of each of the `wanted` that fits, and then more."""
    return sorted(_Board(problem, day).fill(wanted))


class _Board:
    """One day that fills up."""

    def __init__(self, problem: Problem, day: int) -> None:
        self._problem = problem
        self._day = day
        rules, parts = problem.rules, len(problem.days[day].parts)
        self._taken = [0] * len(problem.screens)
        self._at_once: Counter[int] = Counter()
        self._of_film: Counter[int] = Counter()
        self._primes: Counter[int] = Counter()
        self._starts: dict[int, list[int]] = defaultdict(list)
        self._seats = {
            (film, version): [0.0] * parts
            for film, one in enumerate(problem.films)
            for version in range(len(one.versions))
        }
        self._visitors: dict[_Like, float] = {}
        for fixed in problem.fixed:
            if fixed.day == day:
                self._at_once[fixed.starts // rules.grid] += 1
                if fixed.film is not None:
                    self._count(fixed.film, fixed.version, fixed.screen, fixed.starts)
        self._places: dict[_Like, list[Show]] = defaultdict(list)
        # The last one is looked at first: that is the earliest.
        for show in sorted(self._all(), reverse=True):
            seats = problem.screens[show.screen].seats
            part = part_of(problem.days[day], show.starts)
            self._places[_Like(show.film, show.version, part, seats)].append(show)

    def fill(self, wanted: Iterable[Sequence[Show]] = ()) -> Iterator[Show]:
        """The shows in the order in which they are chosen: first one of each of the `wanted`."""
        for choice in wanted:
            for show in choice:
                if self._fits(show):
                    self._put(show)
                    yield show
                    break
        films = range(len(self._problem.films))
        for film in sorted(films, key=self._pull, reverse=True):
            if not self._of_film[film]:
                yield from self._add_best([like for like in self._places if like.film == film])
        while found := list(self._add_best(list(self._places))):
            yield from found

    def _pull(self, film: int) -> float:
        one = self._problem.films[film]
        return one.weight * sum(one.demand[self._day])

    def _all(self) -> Iterator[Show]:
        problem, day = self._problem, self._day
        for screen in range(len(problem.screens)):
            for film in range(len(problem.films)):
                versions = formats_of(problem, screen, film)
                for start in starts(problem, day, screen, film) if versions else ():
                    for version in versions:
                        yield Show(day, start, screen, film, version)

    def _add_best(self, likes: list[_Like]) -> Iterator[Show]:
        """Add the show that gains most; nothing if none gains."""
        gains = {like: self._gain(like) / steps(self._problem, like.film) for like in likes}
        for like in sorted(likes, key=gains.__getitem__, reverse=True):
            if gains[like] <= GAIN_MIN:
                return
            places = self._places[like]
            # What does not fit now never will: the day only fills up.
            while places and not self._fits(places[-1]):
                places.pop()
            if places:
                show = places.pop()
                self._put(show)
                yield show
                return
            del self._places[like]

    def _fits(self, show: Show) -> bool:
        rules = self._problem.rules
        step = show.starts // rules.grid
        return (
            not self._taken[show.screen] & self._mask(show)
            and self._at_once[step] < rules.starts_at_once
            and self._of_film[show.film] < self._problem.films[show.film].shows_max
            and all(abs(show.starts - other) >= rules.film_gap for other in self._starts[show.film])
        )

    def _mask(self, show: Show) -> int:
        """The steps of the grid in which a show takes its screen, as bits."""
        taken = (1 << steps(self._problem, show.film)) - 1
        return taken << (show.starts // self._problem.rules.grid)

    def _gain(self, like: _Like) -> float:
        """The gain of one more show of this kind."""
        problem, film = self._problem, self._problem.films[like.film]
        if like not in self._visitors:
            there = self._seats[like.film, like.version]
            share = film.versions[like.version].share
            demand = [share * visitors for visitors in film.demand[self._day]]
            more = [count + like.seats * (place == like.part) for place, count in enumerate(there)]
            spill = problem.rules.spill
            come = attendance(demand, more, spill) - attendance(demand, there, spill)
            self._visitors[like] = film.weight * come
        prime = problem.days[self._day].prime[like.part]
        met = self._of_film[like.film] < film.shows_min
        met_prime = prime and self._primes[like.film] < film.prime_min
        wishes = problem.rules.missing_price * (met + met_prime)
        return self._visitors[like] + wishes - problem.rules.show_cost

    def _put(self, show: Show) -> None:
        self._taken[show.screen] |= self._mask(show)
        self._at_once[show.starts // self._problem.rules.grid] += 1
        self._count(show.film, show.version, show.screen, show.starts)

    def _count(self, film: int, version: int | None, screen: int, start: int) -> None:
        """Note a new show, and what it changes about gains."""
        day = self._problem.days[self._day]
        part = part_of(day, start)
        self._of_film[film] += 1
        self._primes[film] += day.prime[part]
        self._starts[film].append(start)
        if version is not None:
            self._seats[film, version][part] += self._problem.screens[screen].seats
            for like in [one for one in self._visitors if one[:2] == (film, version)]:
                del self._visitors[like]
