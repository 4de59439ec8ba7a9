"""The order of candidates for one customer, in plain Python.

Each signal is made comparable first: how many standard deviations a candidate lies above the mean
of all candidates. The score is their weighted sum. `WEIGHTS` were tuned once for the two gates of
`bin/bench recommend` together; they serve until `refitting` has found better ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from math import exp, log, sqrt
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.content import likeness, profile
from cinema.features.recommendations.model.facts import (
    Customer,
    FilmCandidate,
    FilmHistory,
    Model,
    Slot,
    Weights,
)
from cinema.features.recommendations.model.popularity import (
    POPULARITY_HALF_LIFE_DAYS,
    shares,
)

FRESH_DAYS: Final = 14.0

HISTORY_FILMS: Final = 100
"""So many films of a history count for EASE, those that weigh most."""

USUAL_HOURS: Final = 1
"""Showtimes that start at most so long before or after a usual hour are at that hour."""

WHOLE_HISTORY: Final = 10.0
"""With a history that weighs so much, EASE and content count half of what they can."""

DEMAND_PRIOR: Final = 0.1
"""A film whose time counts so much is as popular as its bookings say, and half as usual."""


SPREAD_MIN: Final = 1e-6
"""Candidates that differ less are alike: to compare them would make much of nothing."""


WEIGHTS: Final = Weights(ease=1.0, popularity=0.7, content=0.7, freshness=0.5, usual=0.2)


_POPULAR: Final = Weights(ease=0.0, popularity=1.0, content=0.0, freshness=0.0, usual=0.0)

ARMS: Final[Mapping[str, Callable[[Weights], Weights]]] = {
    "full": lambda served: served,
    "fixed": lambda _: WEIGHTS,
    "popular": lambda _: _POPULAR,
    "no_history": lambda served: msgspec.structs.replace(served, ease=0.0),
}
"""Ways to order films that experiments compare: weights, from those that are served."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with its score, and how much of it comes from each signal."""

    candidate: FilmCandidate
    score: float
    parts: Mapping[str, float]


class Scorer:
    """Scores candidates by one model; made once for each model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.weights = model.weights or WEIGHTS
        self._columns = {movie_id: place for place, movie_id in enumerate(model.columns)}
        width, matrix = len(model.columns), memoryview(model.matrix).cast("f")
        self._rows = {
            movie_id: matrix[number * width : (number + 1) * width]
            for number, movie_id in enumerate(model.rows)
        }

    def order(
        self, candidates: Sequence[FilmCandidate], customer: Customer, weights: Weights = WEIGHTS
    ) -> list[Scored]:
        """All candidates, the best first; ties in the order of ids."""
        parts = {
            name: [getattr(weights, name) * one for one in values]
            for name, values in self.features(candidates, customer).items()
        }
        scored = [
            Scored(
                candidate=candidate,
                score=sum(values[number] for values in parts.values()),
                parts={name: values[number] for name, values in parts.items()},
            )
            for number, candidate in enumerate(candidates)
        ]
        return sorted(scored, key=lambda one: (-one.score, one.candidate.film.id))

    def features(
        self, candidates: Sequence[FilmCandidate], customer: Customer
    ) -> dict[str, list[float]]:
        """Each signal for each candidate in standard deviations; less of a short history."""
        trust = _trust(customer)
        trusted = {"ease": trust, "content": 1.0 if customer.genres else trust}
        return {
            name: [trusted.get(name, 1.0) * one for one in z_scores(values)]
            for name, values in self.signals(candidates, customer).items()
        }

    def signals(
        self, candidates: Sequence[FilmCandidate], customer: Customer
    ) -> dict[str, list[float]]:
        """Each signal for each candidate."""
        popular = demand(candidates, shares(self.model.popularity, customer.cinemas))
        genre_weights = self.model.genre_weights
        liked = profile(customer, genre_weights)
        ease = self._ease(customer)
        places = [self._columns.get(one.film.id) for one in candidates]
        return {
            "ease": [0.0 if place is None else ease[place] for place in places],
            "popularity": popular,
            "content": [likeness(one.film, liked, genre_weights) for one in candidates],
            "freshness": [exp(-max(0.0, one.days_shown) / FRESH_DAYS) for one in candidates],
            "usual": [usual_share(one.slots, customer.slots) for one in candidates],
        }

    def speaks_most(self, movie_id: UUID, customer: Customer) -> UUID | None:
        """The film that the customer saw which speaks most for another one, if any does."""
        place = self._columns.get(movie_id)
        if place is None:
            return None
        parts = [
            (past.weight * self._rows[past.film.id][place], past.film.id)
            for past in self._known(customer)
            if past.saw
        ]
        part, because = max(parts, default=(0.0, None))
        return because if part > 0 else None

    def _ease(self, customer: Customer) -> list[float]:
        """What the history says for each film of the model's columns."""
        total = [0.0] * len(self._columns)
        for past in self._known(customer):
            weight, row = past.weight, self._rows[past.film.id]
            total = [one + weight * part for one, part in zip(total, row, strict=True)]
        return total

    def _known(self, customer: Customer) -> list[FilmHistory]:
        known = [one for one in customer.history.values() if one.film.id in self._rows]
        return nlargest(HISTORY_FILMS, known, key=lambda one: (abs(one.weight), one.film.id))


def demand(candidates: Sequence[FilmCandidate], share: Mapping[UUID, float]) -> list[float]:
    """The logarithm of how popular each candidate is for the time that it had for it.

    Bookings decay, so a film that has just begun cannot have many. It is compared with what it
    could have had since, and drawn towards the mean while that is little.
    """
    times = [
        1 - 0.5 ** (max(0.0, one.days_shown) / POPULARITY_HALF_LIFE_DAYS) for one in candidates
    ]
    counts = [share.get(one.film.id, 0.0) for one in candidates]
    usual = (sum(counts) or 1.0) / (sum(times) or 1.0)
    return [
        log((count + DEMAND_PRIOR * usual) / (time + DEMAND_PRIOR))
        for count, time in zip(counts, times, strict=True)
    ]


def _trust(customer: Customer) -> float:
    weight = sum(abs(past.weight) for past in customer.history.values())
    return weight / (weight + WHOLE_HISTORY)


def z_scores(values: Sequence[float]) -> list[float]:
    """How many standard deviations each value lies above the mean; all 0 if they are alike."""
    if not values:
        return []
    mean = sum(values) / len(values)
    spread = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    if spread <= SPREAD_MIN * max(1.0, abs(mean)):
        return [0.0] * len(values)
    return [(value - mean) / spread for value in values]


def usual_share(slots: Sequence[Slot], usual: Mapping[Slot, int]) -> float:
    """The share of a customer's visits at about the time of a showtime; of the best one."""
    visits = sum(usual.values())
    if not visits:
        return 0.0
    return max((near(slot, usual) / visits for slot in slots), default=0.0)


def near(slot: Slot, usual: Mapping[Slot, int]) -> int:
    """How many visits there were on that weekday at about that hour."""
    return sum(
        count
        for one, count in usual.items()
        if one.weekday == slot.weekday and abs(one.hour - slot.hour) <= USUAL_HOURS
    )
