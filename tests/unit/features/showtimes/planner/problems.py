"""Small problems of scheduling: one to build by hand from, and Hypothesis' own."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from cinema.features.showtimes.planner.problem import (
    Day,
    FilmDemand,
    Fixed,
    PlannedScreen,
    PlanRules,
    Problem,
    Version,
)

PLAIN = frozenset({"2D"})
BOTH = frozenset({"2D", "3D"})


def a_day(**changes: Any) -> Day:
    """A day from 10:00 to 02:00 with five parts, the third and fourth of them prime time."""
    day = Day(
        opens=600,
        closes=1560,
        parts=(0, 840, 1020, 1170, 1320),
        prime=(False, False, True, True, False),
        children_until=1110,
    )
    return msgspec.structs.replace(day, **changes)


def a_film(**changes: Any) -> FilmDemand:
    """A film of two hours that 40 people want to see in each part of one day."""
    film = FilmDemand(
        minutes=120,
        demand=((40.0,) * 5,),
        versions=(Version(format="2D", language="de"),),
    )
    return msgspec.structs.replace(film, **changes)


def a_problem(**changes: Any) -> Problem:
    """One film on one screen of 100 seats for a day."""
    problem = Problem(
        rules=PlanRules(),
        days=(a_day(),),
        screens=(PlannedScreen(seats=100, formats=PLAIN),),
        films=(a_film(),),
    )
    return msgspec.structs.replace(problem, **changes)


@st.composite
def problems(draw: st.DrawFn, *, tiny: bool = False) -> Problem:
    """Any problem, small; a `tiny` one has few enough schedules to look at all of them."""
    parts = 2 if tiny else draw(st.integers(1, 4))
    length = draw(st.integers(3, 6 if tiny else 14))
    grid = 20
    days = tuple(
        Day(
            opens=draw(st.sampled_from((0, 7, 20))),
            closes=length * grid,
            parts=tuple(sorted(draw(st.integers(0, length)) * grid for _ in range(parts))),
            prime=tuple(draw(st.booleans()) for _ in range(parts)),
            children_until=draw(st.integers(0, length)) * grid,
        )
        for _ in range(1 if tiny else draw(st.integers(1, 2)))
    )
    screens = tuple(
        PlannedScreen(
            seats=draw(st.sampled_from((10, 10, 25, 40))),
            formats=draw(st.sampled_from((PLAIN, BOTH))),
        )
        for _ in range(draw(st.integers(1, 2 if tiny else 4)))
    )
    films = tuple(
        draw(_films(len(days), parts)) for _ in range(draw(st.integers(1, 2 if tiny else 4)))
    )
    return Problem(
        rules=PlanRules(
            grid=grid,
            ads=draw(st.sampled_from((0, 10))),
            cleaning=draw(st.sampled_from((0, 15))),
            starts_at_once=draw(st.integers(1, 3)),
            film_gap=draw(st.sampled_from((0, 20, 30))),
            spill=draw(st.sampled_from((0.0, 0.4, 0.5))),
            show_cost=draw(st.sampled_from((0.0, 1.0))),
            missing_price=draw(st.sampled_from((0.0, 20.0))),
        ),
        days=days,
        screens=screens,
        films=films,
        fixed=tuple(draw(_fixed(days, screens, films))),
    )


@st.composite
def _films(draw: st.DrawFn, days: int, parts: int) -> FilmDemand:
    versions = draw(
        st.sampled_from(
            (
                (Version(format="2D", language="de"),),
                (Version(format="3D", language="de"),),
                (
                    Version(format="2D", language="de", share=0.6),
                    Version(format="3D", language="de", share=0.4),
                ),
            )
        )
    )
    return FilmDemand(
        minutes=draw(st.sampled_from((25, 40, 55, 70))),
        demand=tuple(
            tuple(float(draw(st.integers(0, 50))) for _ in range(parts)) for _ in range(days)
        ),
        versions=versions,
        weight=draw(st.sampled_from((0.5, 1.0, 2.0))),
        children=draw(st.booleans()),
        shows_min=draw(st.integers(0, 2)),
        shows_max=draw(st.integers(1, 4)),
        prime_min=draw(st.integers(0, 1)),
    )


@st.composite
def _fixed(
    draw: st.DrawFn,
    days: tuple[Day, ...],
    screens: tuple[PlannedScreen, ...],
    films: tuple[FilmDemand, ...],
) -> list[Fixed]:
    """No two on one screen: what is there already does not overlap."""
    found = []
    for screen in draw(st.lists(st.sampled_from(range(len(screens))), max_size=2, unique=True)):
        film = draw(st.one_of(st.none(), st.sampled_from(range(len(films)))))
        version = None
        if film is not None:
            version = draw(st.one_of(st.none(), st.sampled_from(range(len(films[film].versions)))))
        starts = draw(st.integers(-30, 100))
        found.append(
            Fixed(
                day=draw(st.sampled_from(range(len(days)))),
                screen=screen,
                starts=starts,
                clear=starts + draw(st.integers(10, 90)),
                film=film,
                version=version,
            )
        )
    return found
