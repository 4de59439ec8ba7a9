"""What the model is made from, and what it is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final
from uuid import UUID

import msgspec

DAY_S: Final = 86_400.0


class ActKind(Enum):
    """Something that a customer did about a film."""

    BOOKED = "booked"
    ATTENDED = "attended"
    LIKED = "liked"
    """Rated 4 or 5, or asked for more of it."""
    DISLIKED = "disliked"
    """Asked for less of it."""
    SEAT_MAP = "seat_map"
    CANCELLED = "cancelled"


class CustomerAct(msgspec.Struct, frozen=True, gc=False):
    """An act of a customer; `cinema_id` where it was booked."""

    customer_id: UUID
    movie_id: UUID
    kind: ActKind
    at_s: float
    cinema_id: UUID | None = None


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """A film as the model knows it; the first of its genres is the one that a page counts."""

    id: UUID
    title: str
    genres: tuple[str, ...]


class Slot(msgspec.Struct, frozen=True, gc=False, order=True):
    """A weekday (Monday is 0) and an hour, on the cinema's clock."""

    weekday: int
    hour: int


class FilmCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A film that could be shown to a customer, the days since it began, when it runs next."""

    film: Film
    days_shown: float
    slots: Sequence[Slot] = ()


class FilmHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer has had to do with a film.

    `weight` is decayed; `saw` says that the customer booked it and did not give that back.
    """

    film: Film
    weight: float
    saw: bool


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of whoever asks, and of nobody else; a new customer has nothing."""

    history: Mapping[UUID, FilmHistory] = {}
    genres: frozenset[str] = frozenset()
    slots: Mapping[Slot, int] = {}
    cinemas: frozenset[UUID] = frozenset()


class Popularity(msgspec.Struct, frozen=True, kw_only=True):
    """Decayed bookings by film, of the chain and of each cinema, and how many were there lately."""

    chain: Mapping[UUID, float] = {}
    cinemas: Mapping[UUID, Mapping[UUID, float]] = {}
    bookings: Mapping[UUID, Mapping[UUID, int]] = {}


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What a standard deviation of each signal is worth."""

    ease: float
    popularity: float
    content: float
    freshness: float
    usual: float


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """All that is learned: popularity, and how much each film of a history speaks for a candidate.

    `matrix` has a row for each film of `rows`, with a little-endian 32-bit float for each film of
    `columns`. Both are empty where numpy is missing. `weights` are those that were refitted last;
    `refitted_at_s` is when that was tried.
    """

    built_at_s: float
    rows: Sequence[UUID] = ()
    columns: Sequence[UUID] = ()
    matrix: bytes = b""
    popularity: Popularity = Popularity()
    genre_weights: Mapping[str, float] = {}
    weights: Weights | None = None
    refitted_at_s: float = 0.0
