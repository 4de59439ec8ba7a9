"""A made-up chain of cinemas, the same for the same seed: what `schedule` is measured on."""

import random

from cinema.features.showtimes.planner.problem import (
    Day,
    FilmDemand,
    PlannedScreen,
    PlanRules,
    Problem,
    Version,
)

SCREENS = (386, 294, 294, 212, 212, 168, 168, 168, 124, 124, 88, 88)
"""Seats of a house; four sizes are there more than once, as in houses that were built in one go."""

PARTS = (0, 14 * 60, 17 * 60, 19 * 60 + 30, 22 * 60)
PRIME = (False, False, True, True, False)
EVENING = (0.08, 0.17, 0.27, 0.36, 0.12)
FAMILY = (0.32, 0.42, 0.20, 0.06, 0.0)
WEEK = (0.62, 0.66, 0.74, 0.78, 1.30, 1.66, 1.24)
"""Monday to Sunday, of the average day."""

OCCUPANCY = (0.45, 0.85)
"""How many want to come in a week, as a share of all seats of 5.3 shows a screen and day."""


def chain(cinemas: int, days: int = 7, films: int = 20, seed: int = 11) -> list[Problem]:
    """Problems of some cinemas, each with its own popularity of the same kind of films."""
    return [cinema(random.Random(f"{seed}/{place}"), days, films) for place in range(cinemas)]


def cinema(draw: random.Random, days: int, films: int) -> Problem:
    """One cinema-week."""
    seats = [round(size * draw.uniform(0.9, 1.1)) for size in sorted(set(SCREENS))]
    sizes = dict(zip(sorted(set(SCREENS)), seats, strict=True))
    large = sorted(SCREENS, reverse=True)[:5]
    screens = tuple(
        PlannedScreen(
            seats=sizes[size], formats=frozenset({"2D", "3D"} if size in large else {"2D"})
        )
        for size in SCREENS
    )
    hours = [
        Day(
            opens=10 * 60 if day >= 4 else 12 * 60,
            closes=26 * 60 if day in {4, 5} else 25 * 60,
            parts=PARTS,
            prime=PRIME,
            children_until=18 * 60 + 30,
        )
        for day in range(days)
    ]
    visitors = draw.uniform(*OCCUPANCY) * sum(screen.seats for screen in screens) * 5.3
    # Popularity falls about as a power of the rank, as box offices do.
    pulls = [draw.uniform(0.7, 1.3) / (rank + 1.5) ** 0.9 for rank in range(films)]
    return Problem(
        rules=PlanRules(),
        days=tuple(hours),
        screens=screens,
        films=tuple(
            film(draw, rank, visitors * pull / sum(pulls), days) for rank, pull in enumerate(pulls)
        ),
    )


def film(draw: random.Random, rank: int, visitors: float, days: int) -> FilmDemand:
    """A film that so many want to see on an average day."""
    children = rank % 5 == 2
    profile = [share * draw.uniform(0.8, 1.2) for share in (FAMILY if children else EVENING)]
    in_3d = rank % 4 == 1
    return FilmDemand(
        minutes=draw.randrange(82, 112) if children else draw.randrange(94, 172),
        demand=tuple(
            tuple(visitors * WEEK[day] * share / sum(profile) for share in profile)
            for day in range(days)
        ),
        versions=(
            Version(format="2D", language="de", share=0.65 if in_3d else 1.0),
            *([Version(format="3D", language="de", share=0.35)] if in_3d else []),
        ),
        weight=draw.uniform(0.9, 1.1),
        children=children,
        shows_min=1,
        shows_max=14,
        prime_min=1 if rank < 3 and not children else 0,
    )
