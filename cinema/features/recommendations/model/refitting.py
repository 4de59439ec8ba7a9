"""Weights that fit what customers chose in recent weeks, in plain Python.

A conditional logit (McFadden, 1974): the chance of a film among the candidates grows with e to the
power of its score. Its likelihood has one maximum; each weight by turns goes there by Newton's
method, and none below 0, since a signal speaks for a film. Only the proportions of weights make an
order, so their sum stays. Few choices say little: they are drawn towards the weights that are
there. What is found has to stand in a week that it has not seen, by the measure of
`bin/bench recommend`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import exp
from operator import mul
from statistics import fmean
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.facts import Weights
from cinema.features.recommendations.model.ranking import ndcg
from cinema.features.recommendations.model.scoring import Scorer
from cinema.features.recommendations.model.trials import TrialChoice

SIGNALS: Final = ("ease", "popularity", "content", "freshness", "usual")

FITTED_MIN: Final = 100
HELD_OUT_MIN: Final = 50
"""With fewer choices to learn from, or to try on, nothing changes."""

PRIOR_CHOICES: Final = 300
"""So many choices count as much as the weights that are there."""

SWEEPS_MAX: Final = 25
STEP_MAX: Final = 0.5
SETTLED: Final = 0.005
"""A sweep that moves no weight by more is the last."""

WEIGHT_MAX: Final = 5.0


class Observed(msgspec.Struct, frozen=True):
    """A choice in numbers: of each candidate its id and its signals; and what was chosen."""

    ids: Sequence[UUID]
    rows: Sequence[tuple[float, ...]]
    came: frozenset[UUID]


class Refitted(msgspec.Struct, frozen=True, kw_only=True):
    """The weights to serve, and how good they and those before were in the week held out."""

    weights: Weights
    is_new: bool = False
    choices: int = 0
    before: float = 0.0
    after: float = 0.0


def observed(scorer: Scorer, choices: Iterable[TrialChoice]) -> Iterator[Observed]:
    """Choices in numbers."""
    for one in choices:
        features = scorer.features(one.candidates, one.customer)
        rows = list(zip(*(features[name] for name in SIGNALS), strict=True))
        yield Observed([candidate.film.id for candidate in one.candidates], rows, one.came)


def refit(
    fitted: Sequence[Observed],
    held_out: Sequence[Observed],
    current: Weights,
    *,
    go_on: Callable[[], bool] = lambda: True,
) -> Refitted:
    """Weights that fit `fitted`, unless they do worse on `held_out` than `current`.

    Without time to finish, as `go_on` says before each sweep, they stay too.
    """
    if len(fitted) < FITTED_MIN or len(held_out) < HELD_OUT_MIN:
        return Refitted(weights=current, choices=len(fitted))
    best = _fit(fitted, current, go_on)
    if best is None:
        return Refitted(weights=current, choices=len(fitted))
    wanted = _drawn(best, current, len(fitted))
    before, after = quality(held_out, current), quality(held_out, wanted)
    return Refitted(
        weights=wanted if after >= before else current,
        is_new=after >= before,
        choices=len(fitted),
        before=before,
        after=after,
    )


def quality(choices: Sequence[Observed], weights: Weights) -> float:
    """NDCG@10 of the order that weights make, over all choices."""
    values = msgspec.structs.astuple(weights)
    return fmean(ndcg(_order(one, values), one.came) for one in choices)


def _order(one: Observed, values: Sequence[float]) -> list[UUID]:
    scores = [sum(map(mul, values, row)) for row in one.rows]
    places = sorted(range(len(scores)), key=lambda place: (-scores[place], one.ids[place]))
    return [one.ids[place] for place in places]


class _Likelihood:
    """Choices by signal, with the score of each candidate by the weights of the moment."""

    def __init__(self, choices: Sequence[Observed], values: Sequence[float]) -> None:
        self._columns = [[*zip(*one.rows, strict=True)] for one in choices]
        self._scores = [[sum(map(mul, values, row)) for row in one.rows] for one in choices]
        self._came = [
            [place for place, movie_id in enumerate(one.ids) if movie_id in one.came]
            for one in choices
        ]

    def slope(self, signal: int) -> tuple[float, float]:
        """How the likelihood changes with one weight: its slope, and how fast that becomes less."""
        slope = curvature = 0.0
        for columns, scores, came in zip(self._columns, self._scores, self._came, strict=True):
            said, most = columns[signal], max(scores)
            chances = [exp(score - most) for score in scores]
            whole, parts = sum(chances), [*map(mul, chances, said)]
            mean = sum(parts) / whole
            slope += sum(said[place] for place in came) / len(came) - mean
            curvature += sum(map(mul, parts, said)) / whole - mean * mean
        return slope, curvature

    def move(self, signal: int, by: float) -> None:
        """Give a signal more weight."""
        for columns, scores in zip(self._columns, self._scores, strict=True):
            scores[:] = [
                score + by * said for score, said in zip(scores, columns[signal], strict=True)
            ]


def _fit(
    choices: Sequence[Observed], start: Weights, go_on: Callable[[], bool]
) -> list[float] | None:
    """The most likely weights, or None without the time for it."""
    values = list(msgspec.structs.astuple(start))
    moving = _Likelihood(choices, values)
    for _ in range(SWEEPS_MAX):
        if not go_on():
            return None
        moved = 0.0
        for signal, value in enumerate(values):
            slope, curvature = moving.slope(signal)
            if curvature <= 0.0:
                # It says the same of all candidates, as EASE does where numpy is missing.
                continue
            step = max(-STEP_MAX, min(STEP_MAX, slope / curvature))
            values[signal] = max(0.0, min(WEIGHT_MAX, value + step))
            moving.move(signal, values[signal] - value)
            moved = max(moved, abs(values[signal] - value))
        if moved < SETTLED:
            break
    return values


def _drawn(best: Sequence[float], current: Weights, choices: int) -> Weights:
    """The proportions of `best`, with the sum of the current ones and drawn towards them."""
    before = msgspec.structs.astuple(current)
    scale = sum(before) / (sum(best) or 1.0)
    trust = choices / (choices + PRIOR_CHOICES)
    return Weights(
        **{
            name: round(trust * scale * found + (1 - trust) * was, 4)
            for name, found, was in zip(SIGNALS, best, before, strict=True)
        }
    )
