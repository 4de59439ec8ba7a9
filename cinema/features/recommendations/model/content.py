"""How much a customer likes the genres of a film."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log, sqrt
from typing import Final

from cinema.features.recommendations.model.facts import Customer, Film

CHOSEN_GENRE_WEIGHT: Final = 6.0
"""A genre that the customer has named counts as two bookings of films that have no other."""


NEW_GENRE_WEIGHT: Final = 1.0
"""Of a genre that the model does not know, as before the first is built."""


def genre_weights(films: Iterable[Film]) -> dict[str, float]:
    """What each genre says about a film: the rarer, the more (inverse document frequency)."""
    counts: dict[str, int] = {}
    number = 0
    for film in films:
        number += 1
        for genre in set(film.genres):
            counts[genre] = counts.get(genre, 0) + 1
    return {genre: log(1 + number / count) for genre, count in counts.items()}


def profile(customer: Customer, weights: Mapping[str, float]) -> dict[str, float]:
    """How much each genre weighs for a customer, below 0 for those that were disliked."""
    found: dict[str, float] = {}
    for past in customer.history.values():
        for genre in past.film.genres:
            part = past.weight * weights.get(genre, NEW_GENRE_WEIGHT) / sqrt(len(past.film.genres))
            found[genre] = found.get(genre, 0.0) + part
    for genre in customer.genres:
        part = CHOSEN_GENRE_WEIGHT * weights.get(genre, NEW_GENRE_WEIGHT)
        found[genre] = found.get(genre, 0.0) + part
    return found


def likeness(film: Film, liked: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """How well a film fits a profile."""
    if not film.genres:
        return 0.0
    parts = (liked.get(genre, 0.0) * weights.get(genre, NEW_GENRE_WEIGHT) for genre in film.genres)
    return sum(parts) / sqrt(len(film.genres))
