"""Recommendations, what customers say about them, and what they do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.recommendations.model.facts import Model
from cinema.features.recommendations.model.paging import PlacedFilm, make_page
from cinema.features.recommendations.model.reasons import Reason, reason_for
from cinema.features.recommendations.model.scoring import ARMS, Scorer
from cinema.features.recommendations.rules import (
    NEXT_SHOWTIMES,
    Choice,
    Experiment,
    KnownCustomer,
    OnShow,
    assigned,
    choice_for,
    coming,
    shown_reason,
)
from cinema.features.recommendations.shapes import (
    EventsAccepted,
    Feedback,
    FeedbackForgotten,
    FeedbackInput,
    PageEvent,
    Preferences,
    PreferencesInput,
    Recommendation,
    RecommendationQuery,
)
from cinema.features.recommendations.store import Exposure, RecommendationsRepository
from cinema.features.recommendations.visits import Visits
from cinema.features.refusals import found

BORN_FIRST: Final = date(1900, 1, 1)

PROGRAMME_AGE_S: Final = 10.0
"""For so long what can be booked is not asked for again."""


class Programme:
    """The films that can be booked, at most ten seconds old; asked for once at a time."""

    def __init__(self, store: RecommendationsRepository, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._lock = asyncio.Lock()
        self._read_at: datetime | None = None
        self._films: list[OnShow] = []

    async def films(self) -> Sequence[OnShow]:
        """All of them. Refuses RETRY."""
        async with self._lock:
            now = self._now()
            if self._read_at is None or now - self._read_at >= timedelta(seconds=PROGRAMME_AGE_S):
                self._films = await self._store.programme(now)
                self._read_at = now
        return self._films


class CurrentModel:
    """The model that this node serves; an empty one before the first is built."""

    def __init__(self) -> None:
        self.version = 0
        self.scorer = Scorer(Model(built_at_s=0.0))

    def use(self, version: int, model: Model) -> None:
        """Serve this one from now on."""
        self.version, self.scorer = version, Scorer(model)


class RecommendationsService:
    """Use cases of recommendations; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        store: RecommendationsRepository,
        programme: Programme,
        current: CurrentModel,
        visits: Visits,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
        random: Random,
        experiment: Experiment | None = None,
    ) -> None:
        self._store = store
        self._programme = programme
        self._current = current
        self._visits = visits
        self._new_id = new_id
        self._now = now
        self._random = random
        self._experiment = experiment

    async def recommend(
        self, by: Principal | None, query: RecommendationQuery
    ) -> list[Recommendation]:
        """Films that the caller may like, those liked most first. Refuses RETRY."""
        now, known = self._now(), KnownCustomer()
        if by is not None:
            known = await self._store.known(UUID(bytes=by.user_id), _ids(by), now)
        films = {one.movie.id: one for one in await self._programme.films()}
        choice = choice_for(known, films.values(), query.cinema_id, now)
        version, scorer = self._current.version, self._current.scorer
        counts = by is not None and not known.preferences.opt_out
        way = assigned(self._experiment, UUID(bytes=by.user_id) if by and counts else None)
        weights = ARMS[way.arm](scorer.weights)
        order = scorer.order(choice.candidates, choice.customer, weights)
        page = make_page(order, query.limit, self._random)
        reasons = [reason_for(one.scored, choice.customer, scorer) for one in page]
        ids: list[UUID | None] = [None] * len(page)
        if by is not None and counts and page:
            exposures = self._exposures(page, reasons)
            await self._store.show(UUID(bytes=by.user_id), exposures, version, way, now)
            ids = [one.id for one in exposures]
        return await self._shown(page, reasons, ids, films, choice, now)

    def _exposures(self, page: Sequence[PlacedFilm], reasons: Sequence[Reason]) -> list[Exposure]:
        return [
            Exposure(
                id=self._new_id(),
                movie_id=one.scored.candidate.film.id,
                place=place,
                propensity=one.propensity,
                explored=one.explored,
                reason=reason.code,
            )
            for place, (one, reason) in enumerate(zip(page, reasons, strict=True), start=1)
        ]

    async def _shown(
        self,
        page: Sequence[PlacedFilm],
        reasons: Sequence[Reason],
        ids: Sequence[UUID | None],
        films: dict[UUID, OnShow],
        choice: Choice,
        now: datetime,
    ) -> list[Recommendation]:
        named = {one.cinema_id for one in reasons if one.cinema_id is not None}
        cinemas = await self._store.cinema_names(sorted(named)) if named else {}
        own = {movie_id: past.film for movie_id, past in choice.customer.history.items()}
        shown = []
        for one, reason, exposure_id in zip(page, reasons, ids, strict=True):
            film = films[one.scored.candidate.film.id]
            showings = coming(film, choice.customer.cinemas, now)[:NEXT_SHOWTIMES]
            shown.append(
                Recommendation(
                    movie=film.movie,
                    reason=shown_reason(reason, own, cinemas),
                    score=round(one.scored.score, 4),
                    next_showtimes=[showing.showtime for showing in showings],
                    exposure_id=exposure_id,
                )
            )
        return shown

    async def say(self, by: Principal, said: FeedbackInput) -> Feedback:
        """Keep what the caller says about a film. Refuses NOT_FOUND."""
        return found(await self._store.say(UUID(bytes=by.user_id), said, self._now()))

    async def unsay(self, by: Principal, movie_id: UUID) -> FeedbackForgotten:
        """Forget what the caller said about a film. Refuses NOT_FOUND."""
        if not await self._store.unsay(UUID(bytes=by.user_id), movie_id):
            raise refuse("NOT_FOUND")
        return FeedbackForgotten(movie_id=movie_id)

    async def note(self, by: Principal | None, events: Sequence[PageEvent]) -> EventsAccepted:
        """Count visits of showtimes, and keep what the caller did, if it is known who that is."""
        self._visits.count(events)
        if by is None:
            return EventsAccepted(accepted=0)
        accepted = await self._store.note(UUID(bytes=by.user_id), events, self._now())
        return EventsAccepted(accepted=accepted)

    async def preferences(self, by: Principal) -> Preferences:
        """What the caller likes."""
        return await self._store.preferences(UUID(bytes=by.user_id))

    async def set_preferences(self, by: Principal, wanted: PreferencesInput) -> Preferences:
        """Keep what the caller likes.

        Refuses VALIDATION_ERROR for a date on which nobody was born, UNKNOWN_REFERENCE for cinemas
        that are not there.
        """
        born = wanted.date_of_birth
        if born is not None and not BORN_FIRST <= born <= self._now().date():
            text = "Nobody who is alive was born on this day."
            raise refuse("VALIDATION_ERROR", text, path="$.date_of_birth")
        user_id = UUID(bytes=by.user_id)
        unknown = await self._store.set_preferences(user_id, _ids(by), wanted, self._now())
        if unknown:
            raise refuse("UNKNOWN_REFERENCE", field="cinema_ids", id=str(unknown[0]))
        return await self._store.preferences(user_id)


def _ids(by: Principal) -> list[UUID]:
    """Whose bookings are the caller's."""
    return [UUID(bytes=one) for one in (by.user_id, *by.guest_ids)]
