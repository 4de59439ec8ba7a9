"""From what is stored to what the model is asked, and from its reasons to words: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.features.catalog.shapes import Movie
from cinema.features.recommendations.age_rules import age_allowed
from cinema.features.recommendations.model.facts import (
    DAY_S,
    ActKind,
    Customer,
    CustomerAct,
    Film,
    FilmCandidate,
    Slot,
)
from cinema.features.recommendations.model.history import history
from cinema.features.recommendations.model.reasons import Reason
from cinema.features.recommendations.shapes import NextShowtime, Preferences, ReasonShown

AHEAD_DAYS: Final = 14
"""Films are recommended that can be booked for these days."""

NEXT_SHOWTIMES: Final = 3

WEEKDAYS: Final = (*("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),)

DEFAULT_ARM: Final = "full"
"""How films are ordered for whoever is in no experiment."""

OFF_THE_LIST: Final = frozenset({"hide", "seen"})

ACT_OF_FEEDBACK: Final = {"more": ActKind.LIKED, "less": ActKind.DISLIKED}


class Showing(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that can be booked, and when it is on its cinema's clock."""

    showtime: NextShowtime
    slot: Slot


class OnShow(msgspec.Struct, frozen=True, kw_only=True):
    """A film with its showtimes that can be booked, the earliest first; `first_at` is its first
    showtime of all.
    """

    movie: Movie
    first_at: datetime
    showings: Sequence[Showing]


class Said(msgspec.Struct, frozen=True):
    """Feedback about a film."""

    movie_id: UUID
    kind: str
    at_s: float


class Visit(msgspec.Struct, frozen=True):
    """A booking that was not given back: where and when."""

    cinema_id: UUID
    slot: Slot


class KnownCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """All that is stored of whoever asks, and the films that it is about."""

    preferences: Preferences = Preferences()
    feedback: Sequence[Said] = ()
    acts: Sequence[CustomerAct] = ()
    visits: Sequence[Visit] = ()
    films: Mapping[UUID, Film] = {}


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """Ways to order films that are compared: each arm with its percent, control first."""

    name: str
    arms: Sequence[tuple[str, int]]


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """The arm of an experiment that a customer is in."""

    experiment: str = ""
    arm: str = DEFAULT_ARM
    is_control: bool = False


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is asked."""

    customer: Customer
    candidates: Sequence[FilmCandidate]


def film_of(movie: Movie) -> Film:
    """A film as the model knows it."""
    return Film(id=movie.id, title=movie.title, genres=tuple(movie.genres))


def slot_of(moment: datetime, time_zone: str) -> Slot:
    """The weekday and the hour of a moment at a cinema."""
    local = moment.astimezone(ZoneInfo(time_zone))
    return Slot(local.weekday(), local.hour)


def choice_for(
    known: KnownCustomer, programme: Iterable[OnShow], cinema_id: UUID | None, now: datetime
) -> Choice:
    """Films that can be booked where the customer goes, but for those seen or hidden.

    With a date of birth those that are rated for older people are left out too.
    Without a cinema these are the chosen ones, or those of past visits; if none of them shows
    anything, all.
    """
    now_s = now.timestamp()
    acts = [
        *known.acts,
        *(
            CustomerAct(UUID(int=0), said.movie_id, ACT_OF_FEEDBACK[said.kind], said.at_s)
            for said in known.feedback
            if said.kind in ACT_OF_FEEDBACK
        ),
    ]
    past = history(acts, known.films, now_s)
    gone = {one.movie_id for one in known.feedback if one.kind in OFF_THE_LIST}
    gone |= {movie_id for movie_id, one in past.items() if one.saw}
    slots: dict[Slot, int] = {}
    for visit in known.visits:
        slots[visit.slot] = slots.get(visit.slot, 0) + 1
    cinemas = {cinema_id} if cinema_id is not None else _cinemas_of(known)
    born, today = known.preferences.date_of_birth, now.date()
    shown = [
        one
        for one in programme
        if one.movie.id not in gone and age_allowed(one.movie.age_rating, born, today)
    ]
    candidates = _candidates(shown, cinemas, now)
    if not candidates and cinema_id is None:
        cinemas = set()
        candidates = _candidates(shown, cinemas, now)
    customer = Customer(
        history=past,
        genres=frozenset(known.preferences.genres),
        slots=slots,
        cinemas=frozenset(cinemas),
    )
    return Choice(customer=customer, candidates=candidates)


def _cinemas_of(known: KnownCustomer) -> set[UUID]:
    return set(known.preferences.cinema_ids) or {one.cinema_id for one in known.visits}


def _candidates(
    shown: Iterable[OnShow], cinemas: Collection[UUID], now: datetime
) -> list[FilmCandidate]:
    found = []
    for one in shown:
        showings = coming(one, cinemas, now)
        if showings:
            days_shown = max(0.0, (now - one.first_at).total_seconds() / DAY_S)
            slots = sorted({showing.slot for showing in showings})
            found.append(FilmCandidate(film=film_of(one.movie), days_shown=days_shown, slots=slots))
    return found


def coming(one: OnShow, cinemas: Collection[UUID], now: datetime) -> list[Showing]:
    """The showtimes of a film that are still to come; at any cinema if none is named."""
    return [
        showing
        for showing in one.showings
        if showing.showtime.starts_at > now
        and (not cinemas or showing.showtime.cinema_id in cinemas)
    ]


def assigned(experiment: Experiment | None, customer_id: UUID | None) -> Assigned:
    """The arm of a customer: always the same one in an experiment, and another one in the next.

    It follows from a hash of both, so nothing is stored, and all nodes agree.
    """
    if experiment is None or customer_id is None:
        return Assigned()
    digest = hashlib.sha256(experiment.name.encode() + b"\0" + customer_id.bytes).digest()
    place, reached = int.from_bytes(digest[:8]) * 100 >> 64, 0
    for arm, percent in experiment.arms:
        reached += percent
        if place < reached:
            is_control = arm == experiment.arms[0][0]
            return Assigned(experiment=experiment.name, arm=arm, is_control=is_control)
    raise AssertionError("the percents of the arms make 100")


def shown_reason(
    reason: Reason, films: Mapping[UUID, Film], cinemas: Mapping[UUID, str]
) -> ReasonShown:
    """A reason in words. One that names what nobody can read any more says only `showing_soon`."""
    match reason.code:
        case "because_you_saw" if reason.movie_id is not None and reason.movie_id in films:
            title = films[reason.movie_id].title
            args = {"movie_id": str(reason.movie_id), "title": title}
            return ReasonShown(code="because_you_saw", args=args, text=f"Because you saw {title}.")
        case "popular_at" if reason.cinema_id is not None and reason.cinema_id in cinemas:
            name = cinemas[reason.cinema_id]
            args = {"cinema_id": str(reason.cinema_id), "cinema": name}
            return ReasonShown(code="popular_at", args=args, text=f"Popular at {name}.")
        case "new_this_week":
            return ReasonShown(code="new_this_week", args={}, text="New this week.")
        case "more_of" if reason.genre is not None:
            text = f"More of what you like: {reason.genre}."
            return ReasonShown(code="more_of", args={"genre": reason.genre}, text=text)
        case "your_usual_evening" if reason.weekday is not None:
            day = WEEKDAYS[reason.weekday]
            text = f"On {day} at your usual time."
            return ReasonShown(code="your_usual_evening", args={"weekday": day}, text=text)
    return ReasonShown(code="showing_soon", args={}, text="Showing soon.")
