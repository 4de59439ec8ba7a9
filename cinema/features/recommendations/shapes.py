"""Recommendations as clients send and see them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.features.catalog.shapes import Movie, Tag

FeedbackKind = Literal["more", "less", "hide", "seen"]
EventKind = Literal["impression", "click", "seat_map", "checkout_start"]
ReasonCode = Literal[
    "because_you_saw",
    "popular_at",
    "new_this_week",
    "more_of",
    "your_usual_evening",
    "showing_soon",
]

FILMS_MAX: Final = 20
EVENTS_AT_ONCE: Final = 50
GENRES_MAX: Final = 16
CINEMAS_MAX: Final = 20


class RecommendationQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many films, and of which cinema; without one of those of the caller, or of all."""

    limit: Annotated[int, Meta(ge=1, le=FILMS_MAX)] = 10
    cinema_id: UUID | None = None


class ReasonShown(msgspec.Struct, frozen=True, kw_only=True):
    """Why a film is recommended: a code, what it names (ids and names), and a sentence in English.

    It says nothing of any other customer.
    """

    code: ReasonCode
    args: dict[str, str]
    text: str


class NextShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A coming showtime whose seats are sold now."""

    id: UUID
    cinema_id: UUID
    starts_at: datetime
    format: str
    language: str


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A film that the caller may like.

    Scores compare films of one answer only. `exposure_id` names this film of this answer in
    feedback and events; without a token it is null.
    """

    movie: Movie
    reason: ReasonShown
    score: float
    next_showtimes: list[NextShowtime]
    exposure_id: UUID | None


class FeedbackInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller says about a film; `hide` and `seen` take it off the list."""

    movie_id: UUID
    kind: FeedbackKind
    exposure_id: UUID | None = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller has last said about a film."""

    movie_id: UUID
    kind: FeedbackKind
    at: datetime


class FeedbackQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which film."""

    movie_id: UUID


class FeedbackForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The film about which the caller says nothing any more."""

    movie_id: UUID


class PageEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller did about a film: saw it on a page, opened it, its seats, its checkout.

    With `showtime_id`, `seat_map` and `checkout_start` count in the funnel of that showtime.
    """

    kind: EventKind
    movie_id: UUID
    exposure_id: UUID | None = None
    showtime_id: UUID | None = None


class EventsInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events since the last call."""

    events: Annotated[list[PageEvent], Meta(min_length=1, max_length=EVENTS_AT_ONCE)]


class EventsAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were kept: none of films that are unknown, or of callers who opted out.

    Without a token none is kept; those of showtimes are only counted.
    """

    accepted: int


class PreferencesInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller likes, and where.

    With `opt_out` neither bookings nor anything else that the caller does is looked at. With
    `date_of_birth` films that are rated for older people are left out; nobody else sees it.
    """

    genres: Annotated[list[Tag], Meta(max_length=GENRES_MAX)] = []
    cinema_ids: Annotated[list[UUID], Meta(max_length=CINEMAS_MAX)] = []
    opt_out: bool = False
    date_of_birth: date | None = None


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller likes, as it was last said."""

    genres: list[str] = []
    cinema_ids: list[UUID] = []
    opt_out: bool = False
    date_of_birth: date | None = None
