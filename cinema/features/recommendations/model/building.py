"""Makes a model from facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from cinema.features.recommendations.model.content import genre_weights
from cinema.features.recommendations.model.facts import Film, Model, Popularity

ROW_FILMS: Final = 2_000
"""Most films of histories that the model knows, those that weigh most."""

COLUMN_FILMS: Final = 500
"""Most candidates."""


def build(
    histories: Sequence[Mapping[UUID, float]],
    films: Mapping[UUID, Film],
    candidates: Sequence[UUID],
    popularity: Popularity,
    *,
    built_at_s: float,
    column_limit: int = COLUMN_FILMS,
) -> Model:
    """The model of all histories; without numpy one that knows no EASE."""
    rows = [films[one] for one in _heaviest(histories, films)]
    columns = [films[one] for one in candidates[:column_limit] if one in films]
    try:
        from cinema.features.recommendations.model.ease import fit
    except ModuleNotFoundError:
        rows, columns, matrix = [], [], b""
    else:
        matrix = fit(histories, rows, columns)
    return Model(
        built_at_s=built_at_s,
        rows=[film.id for film in rows],
        columns=[film.id for film in columns],
        matrix=matrix,
        popularity=popularity,
        genre_weights=genre_weights(films.values()),
    )


def _heaviest(histories: Iterable[Mapping[UUID, float]], films: Mapping[UUID, Film]) -> list[UUID]:
    weights: dict[UUID, float] = {}
    for one in histories:
        for movie_id, weight in one.items():
            if weight > 0 and movie_id in films:
                weights[movie_id] = weights.get(movie_id, 0.0) + weight
    return sorted(weights, key=lambda one: (-weights[one], one))[:ROW_FILMS]
