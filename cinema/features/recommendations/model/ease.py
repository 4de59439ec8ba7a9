"""EASE: how much each film that somebody saw speaks for another one (Steck 2019, arXiv:1905.03375).

A ridge regression of each film on all others, with a closed form: with P the inverse of XᵀX + λI,
film i weighs −P[i, j] / P[j, j] for film j. X has a row for each customer. The columns of films
that few have seen are drawn towards what their genres let one expect. Needs numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from cinema.features.recommendations.model.facts import Film

RIDGE: Final = 100.0
CONTENT_RIDGE: Final = 10.0

KNOWN_CUSTOMERS: Final = 30.0
"""With so many customers a film's own column counts as much as the one that its genres predict."""

WHOLE_WEIGHT: Final = 3.0
"""The weight in a history that is 1 in X: one booking."""

CUSTOMERS_AT_ONCE: Final = 2_048

Matrix = NDArray[np.float64]


def fit(
    histories: Iterable[Mapping[UUID, float]], rows: Sequence[Film], columns: Sequence[Film]
) -> bytes:
    """The matrix of a `Model`: what each film of `rows` weighs for each of `columns`.

    `histories` are the films of each customer with their weights; it is read once.
    """
    places = {film.id: place for place, film in enumerate(rows)}
    gram, counts = _gram(histories, places)
    own = _own_weights(gram)
    predicted = _predicted(own, counts, rows, columns)
    matrix = np.zeros((len(rows), len(columns)))
    for number, film in enumerate(columns):
        place = places.get(film.id)
        if place is None:
            matrix[:, number] = predicted[number]
            continue
        trust = counts[place] / (counts[place] + KNOWN_CUSTOMERS)
        matrix[:, number] = trust * own[:, place] + (1 - trust) * predicted[number]
        matrix[place, number] = 0.0
    return matrix.astype("<f4").tobytes()


def _gram(
    histories: Iterable[Mapping[UUID, float]], places: Mapping[UUID, int]
) -> tuple[Matrix, Matrix]:
    """XᵀX, and how many customers each film has, some thousand customers at a time."""
    gram, counts = np.zeros((len(places), len(places))), np.zeros(len(places))
    block = np.zeros((CUSTOMERS_AT_ONCE, len(places)))
    filled = 0
    for one in histories:
        for movie_id, weight in one.items():
            place = places.get(movie_id)
            if place is not None and weight > 0:
                block[filled, place] = weight / WHOLE_WEIGHT
        filled += 1
        if filled == CUSTOMERS_AT_ONCE:
            gram += block.T @ block
            counts += np.count_nonzero(block, axis=0)
            block[:] = 0.0
            filled = 0
    gram += block.T @ block
    counts += np.count_nonzero(block, axis=0)
    return gram, counts


def _own_weights(gram: Matrix) -> Matrix:
    if not len(gram):
        return gram
    inverse = np.linalg.inv(gram + RIDGE * np.eye(len(gram)))
    weights = np.asarray(-inverse / np.diag(inverse), dtype=np.float64)
    np.fill_diagonal(weights, 0.0)
    return weights


def _predicted(
    own: Matrix, counts: Matrix, rows: Sequence[Film], columns: Sequence[Film]
) -> Matrix:
    """A row of weights for each of `columns`, by a ridge regression of `own` on genres.

    Films count by their customers. The last feature is 1 for every film.
    """
    genres = sorted({genre for film in rows for genre in film.genres})
    places = {genre: place for place, genre in enumerate(genres)}
    known, wanted = _features(rows, places), _features(columns, places)
    weighted = known * counts[:, None]
    normal = known.T @ weighted + CONTENT_RIDGE * np.eye(known.shape[1])
    solution = np.linalg.solve(normal, weighted.T @ own.T)
    return np.asarray(wanted @ solution, dtype=np.float64)


def _features(films: Sequence[Film], genres: Mapping[str, int]) -> Matrix:
    features = np.zeros((len(films), len(genres) + 1))
    features[:, -1] = 1.0
    for number, film in enumerate(films):
        for genre in film.genres:
            if genre in genres:
                features[number, genres[genre]] = 1.0 / len(film.genres) ** 0.5
    return features
