"""What the acts of a customer say about films."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp2
from typing import Final
from uuid import UUID

from cinema.features.recommendations.model.facts import (
    DAY_S,
    ActKind,
    CustomerAct,
    Film,
    FilmHistory,
)

ACT_WEIGHTS: Final = {
    ActKind.BOOKED: 3.0,
    ActKind.ATTENDED: 1.0,
    ActKind.LIKED: 2.0,
    ActKind.DISLIKED: -2.0,
    ActKind.SEAT_MAP: 0.3,
    ActKind.CANCELLED: -1.0,
}

LIKED_RATING: Final = 4
"""Who gives a film so many stars of five likes it."""

HISTORY_HALF_LIFE_DAYS: Final = 180.0


def act_weight(act: CustomerAct, now_s: float) -> float:
    """What an act counts today. One that clocks say is in the future counts as if it were now."""
    age_days = max(0.0, now_s - act.at_s) / DAY_S
    return ACT_WEIGHTS[act.kind] * exp2(-age_days / HISTORY_HALF_LIFE_DAYS)


def film_weights(acts: Iterable[CustomerAct], now_s: float) -> dict[UUID, float]:
    """The weight of each film in the acts of one customer."""
    weights: dict[UUID, float] = {}
    for act in acts:
        weights[act.movie_id] = weights.get(act.movie_id, 0.0) + act_weight(act, now_s)
    return weights


def history(
    acts: Iterable[CustomerAct], films: Mapping[UUID, Film], now_s: float
) -> dict[UUID, FilmHistory]:
    """The films of one customer. Those that are not in `films` any more are left out."""
    acts = list(acts)
    booked: dict[UUID, int] = {}
    for act in acts:
        step = {ActKind.BOOKED: 1, ActKind.CANCELLED: -1}.get(act.kind, 0)
        booked[act.movie_id] = booked.get(act.movie_id, 0) + step
    return {
        movie_id: FilmHistory(film=films[movie_id], weight=weight, saw=booked[movie_id] > 0)
        for movie_id, weight in film_weights(acts, now_s).items()
        if movie_id in films
    }
