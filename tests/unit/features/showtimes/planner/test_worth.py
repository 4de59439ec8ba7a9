"""What a schedule is worth and which rules it breaks, told by examples and by a linear program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from cinema.features.showtimes.planner.problem import (
    Fixed,
    PlannedScreen,
    PlanRules,
    Problem,
    Show,
    Version,
)
from cinema.features.showtimes.planner.worth import Unmet, attendance, unmet, violations, worth
from tests.unit.features.showtimes.planner.problems import BOTH, PLAIN, a_day, a_film, a_problem

AT_SIX = Show(0, 1080, 0, 0, 0)


def test_visitors_of_a_part_fill_its_seats_and_the_rest_spills_to_its_neighbours() -> None:
    assert attendance([50, 0, 0], [30, 0, 0], 0.4) == 30
    assert attendance([50, 0, 0], [30, 15, 0], 0.4) == 30 + 0.4 * 15
    assert attendance([50, 0, 0], [30, 0, 15], 0.4) == 30
    assert attendance([0, 20, 0], [10, 0, 30], 0.5) == 0.5 * 20


@given(
    st.integers(1, 6).flatmap(
        lambda parts: st.tuples(
            st.lists(st.integers(0, 60), min_size=parts, max_size=parts),
            st.lists(st.integers(0, 60), min_size=parts, max_size=parts),
        )
    ),
    st.sampled_from((0.0, 0.2, 0.5)),
)
def test_attendance_is_the_best_that_any_seating_reaches(
    parts: tuple[list[int], list[int]], spill: float
) -> None:
    wanted, seats = parts
    assert attendance(wanted, seats, spill) == pytest.approx(best_seating(wanted, seats, spill))


def best_seating(wanted: list[int], seats: list[int], spill: float) -> float:
    """The same as a transportation problem."""
    size = len(wanted)
    pairs = [(one, other) for one in range(size) for other in range(size) if abs(one - other) <= 1]
    rows = np.zeros((2 * size, len(pairs)))
    for place, (origin, part) in enumerate(pairs):
        rows[origin, place] = rows[size + part, place] = 1
    gains = [1.0 if origin == part else spill for origin, part in pairs]
    found = linprog([-gain for gain in gains], A_ub=rows, b_ub=[*wanted, *seats])
    return float(-found.fun)


def test_a_schedule_is_worth_its_visitors_less_its_costs() -> None:
    problem = a_problem(rules=PlanRules(show_cost=3, missing_price=50, spill=0.5))
    # 40 at their time, 40 from each neighbour in the other 60 seats.
    assert worth(problem, [AT_SIX]) == 40 + 0.5 * 60 - 3
    assert worth(problem, []) == 0


def test_weights_and_shares_count() -> None:
    film = a_film(weight=2.0, versions=(Version(format="2D", language="de", share=0.25),))
    problem = a_problem(films=(film,), rules=PlanRules(show_cost=0, spill=0))
    assert worth(problem, [AT_SIX]) == 2.0 * 10


def test_wishes_that_are_not_met_have_a_price() -> None:
    problem = a_problem(films=(a_film(shows_min=2, prime_min=1),))
    assert unmet(problem, [Show(0, 600, 0, 0, 0)]) == [
        Unmet(wish="shows_min", film=0, day=0, missing=1, price=100),
        Unmet(wish="prime_min", film=0, day=0, missing=1, price=100),
    ]
    assert unmet(problem, [AT_SIX, Show(0, 600, 0, 0, 0)]) == []
    assert worth(problem, []) == -300


def test_fixed_showtimes_meet_wishes_and_seat_visitors() -> None:
    fixed = Fixed(day=0, screen=0, starts=1080, clear=1235, film=0, version=0)
    problem = a_problem(
        films=(a_film(shows_min=1, prime_min=1),), fixed=(fixed,), rules=PlanRules(spill=0)
    )
    assert unmet(problem, []) == []
    assert worth(problem, []) == 40


def test_nobody_is_missed_who_does_not_want_to_come() -> None:
    problem = a_problem(films=(a_film(demand=((0.0,) * 5,), shows_min=3),))
    assert unmet(problem, []) == []
    assert violations(problem, [AT_SIX])


@dataclass
class Broken:
    """Shows that break one rule, and the words that say so."""

    problem: Problem
    shows: list[Show]
    words: str


TWO = a_problem(
    screens=(PlannedScreen(seats=100, formats=PLAIN), PlannedScreen(seats=50, formats=PLAIN))
)
BROKEN = {
    "day": Broken(a_problem(), [Show(1, 1080, 0, 0, 0)], "no such day"),
    "screen": Broken(a_problem(), [Show(0, 1080, -1, 0, 0)], "no such day"),
    "version": Broken(a_problem(), [Show(0, 1080, 0, 0, 1)], "no such version"),
    "grid": Broken(a_problem(), [Show(0, 1085, 0, 0, 0)], "off the grid"),
    "opens": Broken(a_problem(), [Show(0, 580, 0, 0, 0)], "before the cinema opens"),
    "closes": Broken(a_problem(), [Show(0, 1440, 0, 0, 0)], "after the cinema closes"),
    "format": Broken(
        a_problem(films=(a_film(versions=(Version(format="3D", language="de"),)),)),
        [AT_SIX],
        "cannot show the format",
    ),
    "children": Broken(
        a_problem(films=(a_film(children=True),)), [Show(0, 1120, 0, 0, 0)], "too late"
    ),
    "overlap": Broken(a_problem(), [AT_SIX, Show(0, 1220, 0, 0, 0)], "overlap"),
    "fixed": Broken(
        a_problem(fixed=(Fixed(day=0, screen=0, starts=1234, clear=1300),)), [AT_SIX], "overlap"
    ),
    "at once": Broken(
        a_problem(
            screens=(PlannedScreen(seats=9, formats=PLAIN),) * 2,
            films=(a_film(), a_film()),
            rules=PlanRules(starts_at_once=1),
        ),
        [AT_SIX, Show(0, 1080, 1, 1, 0)],
        "2 shows start at 1080",
    ),
    "at once with a fixed one": Broken(
        a_problem(
            screens=(PlannedScreen(seats=9, formats=PLAIN),) * 2,
            fixed=(Fixed(day=0, screen=1, starts=1095, clear=1200),),
            rules=PlanRules(starts_at_once=1),
        ),
        [AT_SIX],
        "2 shows start at 1080",
    ),
    "gap": Broken(TWO, [AT_SIX, Show(0, 1080, 1, 0, 0)], "starts at 1080 and at 1080"),
    "gap to a fixed one": Broken(
        a_problem(
            screens=(PlannedScreen(seats=9, formats=PLAIN),) * 2,
            fixed=(Fixed(day=0, screen=1, starts=1061, clear=1200, film=0),),
        ),
        [AT_SIX],
        "starts at 1080 and at 1061",
    ),
    "most": Broken(
        a_problem(films=(a_film(shows_max=1),)), [AT_SIX, Show(0, 600, 0, 0, 0)], "2 shows of film"
    ),
    "most with a fixed one": Broken(
        a_problem(
            films=(a_film(shows_max=1),),
            fixed=(Fixed(day=0, screen=0, starts=600, clear=755, film=0),),
        ),
        [AT_SIX],
        "2 shows of film",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_rule_is_told(name: str) -> None:
    broken = BROKEN[name]
    found = violations(broken.problem, broken.shows)
    assert found
    assert all(broken.words in text for text in found)


def test_what_keeps_every_rule_is_not_complained_of() -> None:
    film = a_film(versions=(Version(format="3D", language="de"),), children=True)
    problem = a_problem(
        films=(film,),
        screens=(PlannedScreen(seats=100, formats=BOTH), PlannedScreen(seats=50, formats=BOTH)),
        days=(a_day(closes=1220), a_day()),
    )
    shows = [Show(0, 1080, 0, 0, 0), Show(0, 1060, 1, 0, 0)]
    assert violations(problem, shows) == []
    # Cleaned until 1235, and the next may start at 1240.
    assert violations(a_problem(), [AT_SIX, Show(0, 1240, 0, 0, 0)]) == []
