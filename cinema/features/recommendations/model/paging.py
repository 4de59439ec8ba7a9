"""A page of recommendations: no genre fills it, and one place in ten tries something out.

The films come from the order of scores. In each block of ten places at most three are of the same
first genre, as long as there are others. With a chance of a tenth for each place of the block, one
of them goes to a film that the order would have left out, each with the same chance. `propensity`
is the chance that a film had of being in its block, given the blocks before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

from cinema.features.recommendations.model.scoring import Scored

BLOCK: Final = 10
GENRE_CAP: Final = 3


class PlacedFilm(msgspec.Struct, frozen=True, kw_only=True):
    """A film on a page."""

    scored: Scored
    propensity: float
    explored: bool


def make_page(order: Sequence[Scored], limit: int, random: Random) -> list[PlacedFilm]:
    """At most `limit` films; the same for the same order and the same state of `random`."""
    page: list[PlacedFilm] = []
    left = list(order)
    while left and len(page) < limit:
        block = _block(left, min(BLOCK, limit - len(page)), random)
        page += block
        taken = {one.scored.candidate.film.id for one in block}
        left = [one for one in left if one.candidate.film.id not in taken]
    return page


def _block(order: Sequence[Scored], places: int, random: Random) -> list[PlacedFilm]:
    # Both are drawn always, so that a page of the same seed differs in nothing else.
    explores, place = random.random() < places / BLOCK, random.randrange(places)
    by_score = _capped(order, places)
    kept, last = by_score[:-1], by_score[-1]
    others = _fitting(order, kept) if len(order) > len(by_score) else []
    if not others:
        return [PlacedFilm(scored=one, propensity=1.0, explored=False) for one in by_score]
    chance = places / BLOCK
    by_chance = chance / len(others)
    block = [PlacedFilm(scored=one, propensity=1.0, explored=False) for one in kept]
    if not explores:
        propensity = 1 - chance + (by_chance if last in others else 0.0)
        return [*block, PlacedFilm(scored=last, propensity=propensity, explored=False)]
    drawn = random.choice(others)
    propensity = by_chance + (1 - chance if drawn is last else 0.0)
    block.insert(place, PlacedFilm(scored=drawn, propensity=propensity, explored=True))
    return block


def _capped(order: Sequence[Scored], places: int) -> list[Scored]:
    counts: Counter[str] = Counter()
    chosen: list[Scored] = []
    passed: list[Scored] = []
    for one in order:
        if len(chosen) == places:
            break
        genre = _first_genre(one)
        if genre is not None and counts[genre] == GENRE_CAP:
            passed.append(one)
            continue
        if genre is not None:
            counts[genre] += 1
        chosen.append(one)
    # A page that is too short helps nobody.
    return [*chosen, *passed[: places - len(chosen)]]


def _fitting(order: Sequence[Scored], kept: Sequence[Scored]) -> list[Scored]:
    """Those that may take the last place."""
    counts = Counter(_first_genre(one) for one in kept)
    ids = {one.candidate.film.id for one in kept}
    return [
        one
        for one in order
        if one.candidate.film.id not in ids
        and (_first_genre(one) is None or counts[_first_genre(one)] < GENRE_CAP)
    ]


def _first_genre(one: Scored) -> str | None:
    return one.candidate.film.genres[0] if one.candidate.film.genres else None
