"""Why a film is recommended: the signal that says most for it, and may be spoken of.

A reason names only the customer's own films, genres and evenings, or numbers of so many bookings
that they tell of nobody (`POPULAR_BOOKINGS`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.content import profile
from cinema.features.recommendations.model.facts import Customer, Model
from cinema.features.recommendations.model.scoring import Scored, Scorer, near

POPULAR_BOOKINGS: Final = 20
"""Fewest bookings at one cinema that make a film popular there."""

NEW_DAYS: Final = 7.0

USUAL_VISITS: Final = 3
"""Fewest visits at a time that make it usual."""

BECAUSE_YOU_SAW: Final = "because_you_saw"
POPULAR_AT: Final = "popular_at"
NEW_THIS_WEEK: Final = "new_this_week"
MORE_OF: Final = "more_of"
YOUR_USUAL_EVENING: Final = "your_usual_evening"
SHOWING_SOON: Final = "showing_soon"
"""When nothing else can be said."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """A code, and what its text names: a film, a cinema, a genre or a weekday."""

    code: str
    movie_id: UUID | None = None
    cinema_id: UUID | None = None
    genre: str | None = None
    weekday: int | None = None


def reason_for(scored: Scored, customer: Customer, scorer: Scorer) -> Reason:
    """The reason that says most."""
    said: list[tuple[float, Reason]] = []
    parts = scored.parts
    for name, reason in (
        ("ease", _because(scored, customer, scorer)),
        ("popularity", _popular(scored, customer, scorer.model)),
        ("content", _more_of(scored, customer, scorer.model)),
        ("freshness", _new(scored)),
        ("usual", _usual(scored, customer)),
    ):
        if reason is not None and parts.get(name, 0.0) > 0:
            said.append((parts[name], reason))
    if not said:
        return _new(scored) or Reason(code=SHOWING_SOON)
    return max(said, key=lambda one: one[0])[1]


def _because(scored: Scored, customer: Customer, scorer: Scorer) -> Reason | None:
    movie_id = scorer.speaks_most(scored.candidate.film.id, customer)
    return None if movie_id is None else Reason(code=BECAUSE_YOU_SAW, movie_id=movie_id)


def _popular(scored: Scored, customer: Customer, model: Model) -> Reason | None:
    movie_id, counted = scored.candidate.film.id, model.popularity.bookings
    lately = {one: counted.get(one, {}).get(movie_id, 0) for one in customer.cinemas}
    best = max(sorted(lately), key=lambda one: lately[one], default=None)
    if best is None or lately[best] < POPULAR_BOOKINGS:
        return None
    return Reason(code=POPULAR_AT, cinema_id=best)


def _new(scored: Scored) -> Reason | None:
    return Reason(code=NEW_THIS_WEEK) if scored.candidate.days_shown < NEW_DAYS else None


def _more_of(scored: Scored, customer: Customer, model: Model) -> Reason | None:
    liked = profile(customer, model.genre_weights)
    genre = max(scored.candidate.film.genres, key=lambda one: liked.get(one, 0.0), default=None)
    if genre is None or liked.get(genre, 0.0) <= 0:
        return None
    return Reason(code=MORE_OF, genre=genre)


def _usual(scored: Scored, customer: Customer) -> Reason | None:
    slots = scored.candidate.slots
    best = max(slots, key=lambda one: near(one, customer.slots), default=None)
    if best is None or near(best, customer.slots) < USUAL_VISITS:
        return None
    return Reason(code=YOUR_USUAL_EVENING, weekday=best.weekday)
