"""Where a show may stand, other shows left aside."""

from __future__ import annotations

from cinema.features.showtimes.planner.problem import Problem, wanted


def length(problem: Problem, film: int) -> int:
    """How long a show occupies its screen, minutes: advertisements, the film, cleaning."""
    return problem.rules.ads + problem.films[film].minutes + problem.rules.cleaning


def steps(problem: Problem, film: int) -> int:
    """The same in steps of the grid, begun ones included: all shows start on the grid."""
    return -(-length(problem, film) // problem.rules.grid)


def formats_of(problem: Problem, screen: int, film: int) -> list[int]:
    """The versions of a film that a screen can show."""
    formats = problem.screens[screen].formats
    return [
        place
        for place, version in enumerate(problem.films[film].versions)
        if version.format in formats
    ]


def starts(problem: Problem, day: int, screen: int, film: int) -> list[int]:
    """The times at which a film may start on a screen of a day, next to the fixed showtimes."""
    if not wanted(problem, film, day):
        return []
    rules, one, hours = problem.rules, problem.films[film], problem.days[day]
    last = hours.closes - rules.ads - one.minutes
    if one.children:
        last = min(last, hours.children_until)
    occupied = length(problem, film)
    first = -(-hours.opens // rules.grid) * rules.grid
    there = [fixed for fixed in problem.fixed if fixed.day == day]
    return [
        start
        for start in range(first, last + 1, rules.grid)
        if not any(
            fixed.screen == screen and start < fixed.clear and fixed.starts < start + occupied
            for fixed in there
        )
        and not any(
            fixed.film == film and abs(fixed.starts - start) < rules.film_gap for fixed in there
        )
    ]
