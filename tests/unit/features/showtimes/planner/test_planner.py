"""Both planners keep all rules; the solver is no worse than greedy, nor better than its bound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from cinema.features.showtimes.planner.greedy import greedy
from cinema.features.showtimes.planner.problem import PlannedScreen, PlanRules, Problem, Show
from cinema.features.showtimes.planner.solver import solve
from cinema.features.showtimes.planner.starts import formats_of, starts
from cinema.features.showtimes.planner.task import PlanProgress
from cinema.features.showtimes.planner.worth import violations, worth
from tests.unit.features.showtimes.planner.problems import PLAIN, a_film, a_problem, problems

NEAR = 2e-3
"""The solver stops this near to a bound, as a share of it."""


SOLVED = 40
"""Problems that are solved: each takes as long as a hundred rules that are looked at."""


def solved(problem: Problem, seconds: float = 1000) -> tuple[PlanProgress, list[PlanProgress]]:
    """By a clock that stands still: the solver stops when it can do no better."""
    reports: list[PlanProgress] = []
    last = solve(problem, seconds=seconds, clock=lambda: 0.0, report=reports.append)
    return last, reports


@given(problems())
def test_greedy_keeps_all_rules(problem: Problem) -> None:
    assert violations(problem, greedy(problem)) == []


@settings(deadline=None, max_examples=SOLVED)
@given(problems())
def test_the_solver_keeps_all_rules_and_tells_the_truth(problem: Problem) -> None:
    last, reports = solved(problem)
    assert violations(problem, last.shows) == []
    assert last.value == pytest.approx(worth(problem, last.shows))
    assert last.bound is not None
    assert worth(problem, greedy(problem)) - 1e-6 <= last.value <= last.bound + 1e-6
    values = [one.value for one in reports]
    assert values == sorted(values)


@settings(deadline=None, max_examples=SOLVED)
@given(problems(tiny=True))
def test_the_solver_finds_the_best_of_all_schedules(problem: Problem) -> None:
    best = max(worth(problem, shows) for shows in every_schedule(problem))
    last, _ = solved(problem)
    assert last.bound is not None
    assert best <= last.bound + 1e-6
    assert last.value >= best - NEAR * abs(last.bound) - 1e-6


def every_schedule(problem: Problem) -> Iterator[list[Show]]:
    """All schedules that break no rule, by trying each show or leaving it out."""
    places = [
        Show(day, start, screen, film, version)
        for day, screen, film in itertools.product(
            range(len(problem.days)), range(len(problem.screens)), range(len(problem.films))
        )
        for start in starts(problem, day, screen, film)
        for version in formats_of(problem, screen, film)
    ]

    def longer(shows: list[Show], place: int) -> Iterator[list[Show]]:
        yield shows
        for further in range(place, len(places)):
            more = [*shows, places[further]]
            if not violations(problem, more):
                yield from longer(more, further + 1)

    return longer([], 0)


def test_screens_that_are_alike_do_not_start_one_film_together() -> None:
    screens = (PlannedScreen(seats=10, formats=PLAIN),) * 3
    problem = a_problem(screens=screens, rules=PlanRules(film_gap=20, show_cost=0))
    last, _ = solved(problem)
    assert len(last.shows) > 3
    assert violations(problem, last.shows) == []


def test_greedy_shows_every_film_once_before_any_twice() -> None:
    films = (a_film(weight=5.0), a_film(demand=((2.0,) * 5,)), a_film(demand=((3.0,) * 5,)))
    shows = greedy(a_problem(films=films, screens=(PlannedScreen(seats=100, formats=PLAIN),)))
    assert {show.film for show in shows} == {0, 1, 2}


def test_a_day_on_which_the_cinema_is_closed_has_no_shows() -> None:
    day = a_problem().days[0]
    closed = a_problem(
        days=(type(day)(opens=0, closes=0, parts=day.parts, prime=day.prime, children_until=0),)
    )
    last, _ = solved(closed)
    assert last.shows == ()
    assert last.bound == pytest.approx(0)
