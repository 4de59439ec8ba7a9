"""What a schedule is made from, in plain numbers: films, screens, days and rules.

Moments are whole minutes after the day's local midnight *as an instant*, so a change of the clocks
changes no length. Films, versions, screens and days are named by their place in the problem.

The model of demand is that of Eliashberg et al., "Demand-driven scheduling of movies in a
multiplex" (International Journal of Research in Marketing 26, 2009), made coarser: so many people
want to see a film in a part of a day. Who finds no seat then, comes in a neighbouring part with the
probability `spill`, and occupies a seat there.
"""

from __future__ import annotations

from typing import Final

import msgspec

SPILL_MAX: Final = 0.5
"""Up to this value it is best to seat first those who want to come at that time
(`worth.attendance`)."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A film as it is shown; `share` of its visitors want this one."""

    format: str
    language: str
    share: float = 1.0


class FilmDemand(msgspec.Struct, frozen=True, kw_only=True):
    """A film: `demand[day][part]` visitors who want it, each worth `weight`.

    `shows_min` and `shows_max` bound its shows on each day on which anybody wants to see it,
    `prime_min` those in prime time. The lower bounds are wishes, the upper one is a rule.
    """

    minutes: int
    demand: tuple[tuple[float, ...], ...]
    versions: tuple[Version, ...]
    weight: float = 1.0
    children: bool = False
    shows_min: int = 0
    shows_max: int = 99
    prime_min: int = 0


class PlannedScreen(msgspec.Struct, frozen=True, kw_only=True):
    """A room: how many it seats, and what formats it can show."""

    seats: int
    formats: frozenset[str]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """When shows may start and must have ended, and where the parts of the day begin.

    `parts` are ascending; what starts before the second one belongs to the first. `prime` says
    which parts are prime time. A children's film starts at `children_until` at the latest.
    """

    opens: int
    closes: int
    parts: tuple[int, ...]
    prime: tuple[bool, ...]
    children_until: int


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that is there already: its screen is taken from `starts` to `clear`.

    `film` and `version` are those of the problem; None for a film that is not part of it.
    """

    day: int
    screen: int
    starts: int
    clear: int
    film: int | None = None
    version: int | None = None


class PlanRules(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the whole house; minutes unless named otherwise.

    At most `starts_at_once` shows start within one step of the grid, and shows of one film start
    `film_gap` apart. A show costs `show_cost`, and each show that is missing from a wish
    `missing_price`, both in the unit of value: a visitor of weight 1.
    """

    grid: int = 20
    ads: int = 20
    cleaning: int = 15
    starts_at_once: int = 3
    film_gap: int = 20
    spill: float = 0.4
    show_cost: float = 1.0
    missing_price: float = 100.0


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One cinema and some days."""

    rules: PlanRules
    days: tuple[Day, ...]
    screens: tuple[PlannedScreen, ...]
    films: tuple[FilmDemand, ...]
    fixed: tuple[Fixed, ...] = ()


class Show(msgspec.Struct, frozen=True, order=True):
    """One show of a schedule."""

    day: int
    starts: int
    screen: int
    film: int
    version: int


def part_of(day: Day, minute: int) -> int:
    """The part of the day in which a show starts."""
    part = 0
    for place, begins in enumerate(day.parts):
        if begins <= minute:
            part = place
    return part


def ends(problem: Problem, show: Show) -> int:
    """When the film is over, advertisements included."""
    return show.starts + problem.rules.ads + problem.films[show.film].minutes


def clear(problem: Problem, show: Show) -> int:
    """When the screen is clean again."""
    return ends(problem, show) + problem.rules.cleaning


def wanted(problem: Problem, film: int, day: int) -> bool:
    """Whether anybody wants to see a film on a day; else it is not shown."""
    return any(visitors > 0 for visitors in problem.films[film].demand[day])
