"""One day as a mixed-integer program, in triplets that any solver takes.

A time-indexed formulation (Sousa and Wolsey, "A time indexed formulation of non-preemptive single
machine scheduling problems", Mathematical Programming 54, 1992): an integer variable says how many
screens of a kind start a version at a moment. Screens that are alike are one kind: shows that never
overlap more often than there are screens can always be shared out over them, since the overlaps of
intervals form an interval graph. How many screens are idle flows from step to step, so each show
stands in two rows instead of in one for each step that it lasts.

Visitors flow from the part of the day in which they want to come to those in which they find seats.
Beside the seats of all shows together, each flow is bounded show by show by what that show could
take of it at most, the smaller of its seats and of those who want to come. Without these rows a
third of a show in a large room would do for a film that few want to see.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from cinema.features.showtimes.planner.problem import Problem, Show, part_of, wanted
from cinema.features.showtimes.planner.starts import formats_of, starts, steps

INFINITE: Final = float("inf")

RANKED_MIN: Final = 0.1
"""A smaller part of a show does not hint that the schedule should have it."""


class ScreenKind(NamedTuple):
    """Screens that are alike on a day."""

    screens: tuple[int, ...]
    seats: int


class Column(NamedTuple):
    """A version that may start at a moment on screens of a kind."""

    kind: int
    film: int
    version: int
    starts: int


class DayModel:
    """The program of one day: minimise `cost`, rows between `low` and `high`, columns from 0.

    The first columns are the shows of `columns`, which are integers; the rest follow from them.
    """

    def __init__(self, problem: Problem, day: int) -> None:
        self.problem = problem
        self.day = day
        self.kinds = _kinds(problem, day)
        self.columns = list(_columns(problem, day, self.kinds))
        self._places = {one: place for place, one in enumerate(self.columns)}
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.row: list[int] = []
        self.column: list[int] = []
        self.value: list[float] = []
        # Two screens that are alike do not start one film together.
        apart = problem.rules.film_gap > 0
        for one in self.columns:
            most = 1 if apart else len(self.kinds[one.kind].screens)
            self._variable(problem.rules.show_cost, most)
        self._fixed = [one for one in problem.fixed if one.day == day]
        self._of_film: dict[int, list[int]] = defaultdict(list)
        self._of_step: dict[int, list[int]] = defaultdict(list)
        for place, one in enumerate(self.columns):
            self._of_film[one.film].append(place)
            self._of_step[one.starts // problem.rules.grid].append(place)
        self._occupy()
        self._stagger()
        self._wish()
        self._seat()

    def shows(self, counts: Sequence[float]) -> list[Show]:
        """The shows of a solution, shared out over the screens of each kind."""
        free = {
            kind: [[0, screen] for screen in one.screens] for kind, one in enumerate(self.kinds)
        }
        grid = self.problem.rules.grid
        found: list[Show] = []
        there = [(self.columns[place], round(count)) for place, count in enumerate(counts) if count]
        for one, count in sorted(there, key=lambda pair: pair[0].starts):
            for _ in range(count):
                screen = min(free[one.kind])
                if screen[0] > one.starts:
                    raise ValueError("the solution has more shows than screens")
                screen[0] = one.starts + grid * steps(self.problem, one.film)
                found.append(Show(self.day, one.starts, screen[1], one.film, one.version))
        return sorted(found)

    def ranked(self, values: Sequence[float]) -> Iterator[list[Show]]:
        """The shows that a relaxation would rather have, each as a choice among like screens."""
        for place in sorted(range(len(self.columns)), key=lambda place: -values[place]):
            one = self.columns[place]
            for _ in range(ceil(values[place] - RANKED_MIN)):
                yield [
                    Show(self.day, one.starts, screen, one.film, one.version)
                    for screen in self.kinds[one.kind].screens
                ]

    def counts(self, shows: Iterable[Show]) -> list[int]:
        """The reverse: how often a schedule of the day uses each column."""
        kind_of = {screen: kind for kind, one in enumerate(self.kinds) for screen in one.screens}
        counts = [0] * len(self.columns)
        for one in shows:
            column = Column(kind_of[one.screen], one.film, one.version, one.starts)
            counts[self._places[column]] += 1
        return counts

    def _variable(self, cost: float, upper: float) -> int:
        self.cost.append(cost)
        self.upper.append(upper)
        return len(self.cost) - 1

    def _row(self, entries: Iterable[tuple[int, float]], low: float, high: float) -> None:
        row = len(self.low)
        for column, value in entries:
            self.row.append(row)
            self.column.append(column)
            self.value.append(value)
        self.low.append(low)
        self.high.append(high)

    def _occupy(self) -> None:
        """Rows for the screens of a kind at each step: idle, beginning a show, or ending one."""
        grid = self.problem.rules.grid
        begins: dict[tuple[int, int], list[int]] = defaultdict(list)
        finishes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, one in enumerate(self.columns):
            step = one.starts // grid
            begins[one.kind, step].append(place)
            finishes[one.kind, step + steps(self.problem, one.film)].append(place)
        for kind, screens in enumerate(self.kinds):
            count = len(screens.screens)
            idle, last = -1, 0
            for step in sorted({step for of, step in begins if of == kind}):
                entries = [(place, -1.0) for place in begins[kind, step]]
                there = 0.0
                if idle < 0:
                    there = float(count)
                else:
                    # What has ended since the last start is idle again.
                    entries.append((idle, 1.0))
                    entries += [
                        (place, 1.0)
                        for ended in range(last + 1, step + 1)
                        for place in finishes.get((kind, ended), ())
                    ]
                idle, last = self._variable(0.0, count), step
                entries.append((idle, -1.0))
                self._row(entries, -there, -there)

    def _stagger(self) -> None:
        rules = self.problem.rules
        fixed = Counter(one.starts // rules.grid for one in self._fixed)
        for step, places in sorted(self._of_step.items()):
            left = max(0, rules.starts_at_once - fixed[step])
            self._row([(place, 1.0) for place in places], 0.0, left)
        window = -(-rules.film_gap // rules.grid)
        for places in self._of_film.values():
            by_step: dict[int, list[int]] = defaultdict(list)
            for place in places:
                by_step[self.columns[place].starts // rules.grid].append(place)
            for step in by_step if window else ():
                together = [
                    (place, 1.0)
                    for other in range(step, step + window)
                    for place in by_step.get(other, ())
                ]
                if len(together) > 1:
                    self._row(together, 0.0, 1.0)

    def _wish(self) -> None:
        """Bounds of each film's shows; each show below a lower bound has a price."""
        problem, day = self.problem, self.problem.days[self.day]
        price = problem.rules.missing_price
        for place, film in enumerate(problem.films):
            columns = self._of_film.get(place, [])
            there = [one.starts for one in self._fixed if one.film == place]
            entries = [(column, 1.0) for column in columns]
            if columns:
                self._row(entries, 0.0, max(0, film.shows_max - len(there)))
            if not wanted(problem, place, self.day):
                continue
            prime = [
                entry for entry in entries if day.prime[part_of(day, self.columns[entry[0]].starts)]
            ]
            primes = sum(day.prime[part_of(day, start)] for start in there)
            for chosen, wish in (
                (entries, film.shows_min - len(there)),
                (prime, film.prime_min - primes),
            ):
                if wish > 0:
                    missing = self._variable(price, wish)
                    self._row([*chosen, (missing, 1.0)], wish, INFINITE)

    def _seat(self) -> None:
        for film in range(len(self.problem.films)):
            if wanted(self.problem, film, self.day):
                for version in range(len(self.problem.films[film].versions)):
                    self._seat_version(film, version)

    def _seat_version(self, film: int, version: int) -> None:
        """Who comes to a version: flows between parts of the day, bounded by shows."""
        problem, day = self.problem, self.problem.days[self.day]
        one = problem.films[film]
        parts = range(len(day.parts))
        demand = [one.versions[version].share * people for people in one.demand[self.day]]
        shows = self._shows_of(film, version)
        fixed: dict[int, list[int]] = {part: [] for part in parts}
        for there in self._fixed:
            if (there.film, there.version) == (film, version):
                fixed[part_of(day, there.starts)].append(problem.screens[there.screen].seats)
        flows = self._flows(film, demand, [bool(shows[part] or fixed[part]) for part in parts])
        for part in parts:
            coming = {origin: flow for (origin, to), flow in flows.items() if to == part}
            people = [demand[origin] for origin in coming]
            self._bound(list(coming.values()), INFINITE, shows[part], fixed[part])
            largest = max((*shows[part], *fixed[part]), default=0)
            if len(coming) > 1 and sum(people) < largest:
                self._bound(list(coming.values()), sum(people), shows[part], fixed[part])
            for origin, flow in coming.items():
                if demand[origin] < largest:
                    self._bound([flow], demand[origin], shows[part], fixed[part])
        for part in parts:
            going = [flow for (origin, _), flow in flows.items() if origin == part]
            if len(going) > 1:
                self._row([(flow, 1.0) for flow in going], 0.0, demand[part])

    def _flows(
        self, film: int, demand: Sequence[float], shown: Sequence[bool]
    ) -> dict[tuple[int, int], int]:
        """A variable for each pair of parts: how many want to come in one and come in the other."""
        weight, spill = self.problem.films[film].weight, self.problem.rules.spill
        return {
            (origin, part): self._variable(
                -weight * (1.0 if origin == part else spill), demand[origin]
            )
            for part in range(len(demand))
            for origin in (part - 1, part, part + 1)
            if shown[part] and 0 <= origin < len(demand) and demand[origin] > 0
        }

    def _bound(
        self, flows: list[int], most: float, shows: dict[int, int], fixed: list[int]
    ) -> None:
        """At most so many come: to each show as many as it has seats, or all who want to come."""
        entries = [(flow, 1.0) for flow in flows]
        entries += [(count, -min(float(seats), most)) for seats, count in shows.items()]
        self._row(entries, -INFINITE, sum(min(float(seats), most) for seats in fixed))

    def _shows_of(self, film: int, version: int) -> list[dict[int, int]]:
        """For each part of the day: the variables that count a version's shows, by seats."""
        day = self.problem.days[self.day]
        places: list[dict[int, list[int]]] = [defaultdict(list) for _ in day.parts]
        for place in self._of_film.get(film, ()):
            one = self.columns[place]
            if one.version == version:
                seats = self.kinds[one.kind].seats
                places[part_of(day, one.starts)][seats].append(place)
        counts: list[dict[int, int]] = []
        for of_part in places:
            counted: dict[int, int] = {}
            for seats, chosen in of_part.items():
                count = counted[seats] = self._variable(0.0, INFINITE)
                self._row([*((place, 1.0) for place in chosen), (count, -1.0)], 0.0, 0.0)
            counts.append(counted)
        return counts


def _kinds(problem: Problem, day: int) -> list[ScreenKind]:
    """Screens with the same seats and formats, and nothing fixed on them, are alike."""
    busy = {one.screen for one in problem.fixed if one.day == day}
    alike: dict[object, list[int]] = defaultdict(list)
    for place, screen in enumerate(problem.screens):
        key = place if place in busy else (screen.seats, screen.formats)
        alike[key].append(place)
    return [
        ScreenKind(tuple(places), problem.screens[places[0]].seats) for places in alike.values()
    ]


def _columns(problem: Problem, day: int, kinds: Sequence[ScreenKind]) -> Iterable[Column]:
    for place, kind in enumerate(kinds):
        screen = kind.screens[0]
        for film in range(len(problem.films)):
            versions = formats_of(problem, screen, film)
            for start in starts(problem, day, screen, film) if versions else ():
                for version in versions:
                    yield Column(place, film, version, start)
