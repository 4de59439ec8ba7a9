"""A week that is over, for trying weights: who chose what, and what was known when it began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.building import build
from cinema.features.recommendations.model.facts import (
    DAY_S,
    Customer,
    Film,
    FilmCandidate,
    FilmHistory,
    Popularity,
    Slot,
    Weights,
)
from cinema.features.recommendations.model.scoring import Scorer


class TrialShowings(msgspec.Struct, frozen=True):
    """When a film, by its place in `films`, could be seen at a cinema."""

    film: int
    cinema_id: UUID
    slots: Sequence[Slot]


class TrialCustomer(msgspec.Struct, frozen=True):
    """Somebody who booked in the week: what was known before, and the films that were booked.

    Films stand by their place in `films`; those of `saw` had been booked before. `visits` are the
    times of the showtimes that had been booked.
    """

    came: Sequence[int]
    history: Mapping[int, float] = {}
    saw: Sequence[int] = ()
    genres: Sequence[str] = ()
    visits: Sequence[Slot] = ()
    cinemas: Sequence[UUID] = ()


class TrialWeek(msgspec.Struct, frozen=True, kw_only=True):
    """What a model of the week's first moment is made from, and who is asked.

    A history has the weights of films by their place in `films`; `first_at_s` is the first showtime
    of each film that was shown.
    """

    begins_at_s: float
    films: Sequence[Film]
    histories: Sequence[Mapping[int, float]]
    popularity: Popularity
    first_at_s: Mapping[int, float]
    showings: Sequence[TrialShowings]
    customers: Sequence[TrialCustomer]


class WeightsTask(msgspec.Struct, frozen=True, kw_only=True):
    """Refit the weights by these weeks, in the order of time; the last one is held out."""

    weights: Weights
    weeks: Sequence[TrialWeek]


class TrialChoice(msgspec.Struct, frozen=True):
    """A customer, the films to choose from, and those that were chosen."""

    customer: Customer
    candidates: Sequence[FilmCandidate]
    came: frozenset[UUID]


def scorer_of(week: TrialWeek) -> Scorer:
    """By a model that knows nothing of the week itself."""
    return Scorer(
        build(
            [{week.films[one].id: of for one, of in past.items()} for past in week.histories],
            {film.id: film for film in week.films},
            [week.films[place].id for place in sorted(week.first_at_s)],
            week.popularity,
            built_at_s=week.begins_at_s,
        )
    )


def choices_of(week: TrialWeek) -> Iterator[TrialChoice]:
    """Everybody who chose among the films that the customer could have been shown."""
    for one in week.customers:
        saw = set(one.saw)
        cinemas = frozenset(one.cinemas)
        candidates = _candidates(week, saw, cinemas) or _candidates(week, saw, frozenset())
        there = {candidate.film.id for candidate in candidates}
        came = frozenset(week.films[place].id for place in one.came) & there
        if came and len(there) > len(came):
            yield TrialChoice(_customer(week, one, saw, cinemas), candidates, came)


def _customer(
    week: TrialWeek, one: TrialCustomer, saw: set[int], cinemas: frozenset[UUID]
) -> Customer:
    return Customer(
        history={
            week.films[place].id: FilmHistory(
                film=week.films[place], weight=weight, saw=place in saw
            )
            for place, weight in one.history.items()
        },
        genres=frozenset(one.genres),
        slots=Counter(one.visits),
        cinemas=cinemas,
    )


def _candidates(week: TrialWeek, saw: set[int], cinemas: frozenset[UUID]) -> list[FilmCandidate]:
    slots: dict[int, set[Slot]] = {}
    for shown in week.showings:
        if shown.film not in saw and (not cinemas or shown.cinema_id in cinemas):
            slots.setdefault(shown.film, set()).update(shown.slots)
    return [
        FilmCandidate(
            film=week.films[place],
            days_shown=max(0.0, (week.begins_at_s - week.first_at_s[place]) / DAY_S),
            slots=sorted(slots[place]),
        )
        for place in sorted(slots)
    ]
