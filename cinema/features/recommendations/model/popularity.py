"""How popular films are: bookings count half after a week, a cinema's are shrunk to the chain's."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from cinema.features.recommendations.model.facts import DAY_S, ActKind, CustomerAct, Popularity

POPULARITY_HALF_LIFE_DAYS: Final = 7.0

CHAIN_STRENGTH: Final = 50.0
"""So many decayed bookings of a cinema count as much as what the chain says."""

LATELY_DAYS: Final = 28.0
"""Bookings of these days are what `popular_at` speaks of."""


def count_popularity(acts: Iterable[CustomerAct], now_s: float) -> Popularity:
    """Popularity at `now_s`; acts after it are not looked at."""
    chain: dict[UUID, float] = {}
    cinemas: dict[UUID, dict[UUID, float]] = {}
    bookings: dict[UUID, dict[UUID, int]] = {}
    for act in acts:
        if act.kind is not ActKind.BOOKED or act.at_s > now_s:
            continue
        age_days = (now_s - act.at_s) / DAY_S
        count = 0.5 ** (age_days / POPULARITY_HALF_LIFE_DAYS)
        chain[act.movie_id] = chain.get(act.movie_id, 0.0) + count
        if act.cinema_id is None:
            continue
        here = cinemas.setdefault(act.cinema_id, {})
        here[act.movie_id] = here.get(act.movie_id, 0.0) + count
        if age_days <= LATELY_DAYS:
            lately = bookings.setdefault(act.cinema_id, {})
            lately[act.movie_id] = lately.get(act.movie_id, 0) + 1
    return Popularity(chain=chain, cinemas=cinemas, bookings=bookings)


def shares(popularity: Popularity, cinemas: Collection[UUID]) -> dict[UUID, float]:
    """Each film's share of the bookings at some cinemas, shrunk to its share of the chain's."""
    whole = sum(popularity.chain.values())
    if not whole:
        return {}
    # In a stable order: sums of floats depend on it.
    own = [popularity.cinemas[one] for one in sorted(cinemas) if one in popularity.cinemas]
    strength = sum(sum(one.values()) for one in own) + CHAIN_STRENGTH
    return {
        movie_id: (sum(one.get(movie_id, 0.0) for one in own) + CHAIN_STRENGTH * count / whole)
        / strength
        for movie_id, count in popularity.chain.items()
    }
