"""Showtimes: find them, and schedule them on a screen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unicodedata import normalize
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.actors.asking import command_key, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Outcome
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.limits_catalog import BASE_PRICE_MINOR_MAX, SCHEDULE_AHEAD_DAYS
from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.sale_rules import SaleRules, effective_rules
from cinema.domain.showtime.commands import CancelShowtime, ChangeLayout, ChangeTerms
from cinema.domain.showtime.events import (
    PlanChanged,
    ShowConditions,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.text import hidden_character
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.catalog.rules import asked_days
from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found, granted
from cinema.features.showtimes.rules import Timetable, early_access_at, timetable
from cinema.features.showtimes.screening_event import screening_event
from cinema.features.showtimes.shapes import (
    Cancellation,
    LayoutChanged,
    Sales,
    Showtime,
    ShowtimeInput,
    ShowtimeQuery,
)
from cinema.features.showtimes.store import (
    ChangeFacts,
    ScreenFacts,
    ShowtimeFilter,
    ShowtimesRepository,
)

_AHEAD: Final = timedelta(days=SCHEDULE_AHEAD_DAYS)


class ShowtimesService:
    """Use cases of showtimes as the catalogue knows them; the actors have the seats."""

    def __init__(
        self,
        showtimes: ShowtimesRepository,
        catalog: CatalogRepository,
        dispatch: Dispatch,
        *,
        defaults: SaleRules,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._showtimes = showtimes
        self._catalog = catalog
        self._dispatch = dispatch
        self._defaults = defaults
        self._new_id = new_id
        self._now = now

    async def create_showtime(
        self, principal: Principal, request: ShowtimeInput, key: IdempotencyKey | None = None
    ) -> Showtime:
        """A new showtime on the screen's current layout, by an admin or the cinema's manager.

        Refuses VALIDATION_ERROR, UNKNOWN_REFERENCE, UNKNOWN_CATEGORY, FORBIDDEN, SCREEN_OCCUPIED.
        """
        screen = await self._catalog.find_screen(request.screen_id)
        if screen is None:
            raise refuse("UNKNOWN_REFERENCE", "There is no such screen.", path="$.screen_id")
        require_own_cinema(principal, screen.cinema_id)
        now = self._now()
        return await self._showtimes.schedule(
            UUID(bytes=self._new_id()),
            request,
            lambda facts: _plan(request, facts, now),
            now,
            key,
            UUID(bytes=principal.user_id),
        )

    async def change_showtime(
        self,
        principal: Principal,
        showtime_id: UUID,
        request: ShowtimeInput,
        seen: frozenset[int] | None,
    ) -> Showtime:
        """A showtime as `request` has it, by an admin or the cinema's manager.

        Its actor decides, and every node sells by the new terms once it has. `seen` are the
        versions that the caller may have had before it. Refuses as `create_showtime`, and
        NOT_FOUND, PRECONDITION_REQUIRED, PRECONDITION_FAILED, SHOWTIME_CANCELLED, SHOWTIME_STARTED,
        SHOWTIME_IN_USE (the film, or a screen without seats that are taken).
        """
        facts = found(await self._showtimes.change_facts(showtime_id, request))
        require_own_cinema(principal, facts.screen.cinema_id)
        if seen is None:
            raise refuse("PRECONDITION_REQUIRED")
        if facts.version not in seen:
            raise refuse("PRECONDITION_FAILED", version=facts.version)
        layout_version = 0
        if request.screen_id != facts.screen_id:
            there = await self._showtimes.onto(facts, request, self._now())
            if there is None:
                message = "This cinema has no such screen."
                raise refuse("UNKNOWN_REFERENCE", message, path="$.screen_id")
            facts, layout_version = there, there.screen.layout_version
        times = _plan(request, facts.screen, self._now(), was=facts.starts_at)
        if await self._showtimes.is_occupied(showtime_id, facts.screen.screen_no, times):
            raise refuse("SCREEN_OCCUPIED")
        command_id, fingerprint = command_key(None)
        outcome = await self._dispatch.ask(
            showtime_id.bytes,
            ChangeTerms(
                command_id=command_id,
                fingerprint=fingerprint,
                # What was read above is of this version, and so is what is answered below.
                seen=(facts.version,),
                conditions=_conditions(request, times),
                rules=effective_rules(self._defaults, facts.screen_rules, request.rules),
                layout_version=layout_version,
                job_id=self._new_id(),
                by=principal.user_id,
            ),
        )
        return granted(_changed(showtime_id, request, facts, outcome))

    async def change_layout(
        self,
        principal: Principal,
        showtime_id: UUID,
        layout_version: int,
        seen: frozenset[int] | None,
    ) -> LayoutChanged:
        """Let a showtime sell its screen's current layout, unless seats are taken that differ.

        By an admin or the cinema's manager. Refuses NOT_FOUND, FORBIDDEN, UNKNOWN_REFERENCE
        (another version than the current one), PRECONDITION_REQUIRED, PRECONDITION_FAILED,
        UNKNOWN_CATEGORY (the showtime has a price of its own for it), SHOWTIME_CANCELLED,
        PLAN_IN_USE.
        """
        facts = found(await self._showtimes.layout_facts(showtime_id))
        require_own_cinema(principal, facts.cinema_id)
        if seen is None:
            raise refuse("PRECONDITION_REQUIRED")
        if layout_version != facts.current_version:
            message = f"The screen's current layout is version {facts.current_version}."
            raise refuse("UNKNOWN_REFERENCE", message, path="$.layout_version")
        if facts.version not in seen:
            raise refuse("PRECONDITION_FAILED", version=facts.version)
        _check_overrides(facts.overridden, facts.categories)
        command_id, fingerprint = command_key(None)
        outcome = await self._dispatch.ask(
            showtime_id.bytes,
            ChangeLayout(
                command_id=command_id,
                fingerprint=fingerprint,
                # That layout is current on the screen that this version of the showtime has.
                seen=(facts.version,),
                layout_version=layout_version,
                by=principal.user_id,
            ),
        )
        return granted(_on_layout(showtime_id, layout_version, outcome))

    async def cancel_showtime(
        self,
        principal: Principal,
        showtime_id: UUID,
        reason: str,
        seen: frozenset[int] | None,
        key: IdempotencyKey | None,
    ) -> Cancellation:
        """Sell nothing any more and end all holds, by an admin or the cinema's manager.

        Bookings are cancelled by a job, which is written with the event. A showtime that is
        cancelled stays as it is. Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED,
        PRECONDITION_FAILED, SHOWTIME_STARTED (it is over).
        """
        facts = found(await self._showtimes.cancel_facts(showtime_id))
        require_own_cinema(principal, facts.cinema_id)
        if seen is None:
            raise refuse("PRECONDITION_REQUIRED")
        if facts.done is not None:
            return facts.done
        reason = normalize("NFC", reason)
        if hidden_character(reason):
            raise refuse("VALIDATION_ERROR", "This has an invisible character.", path="reason")
        command_id, fingerprint = command_key(key)
        outcome = await self._dispatch.ask(
            showtime_id.bytes,
            CancelShowtime(
                command_id=command_id,
                fingerprint=fingerprint,
                seen=tuple(sorted(seen)),
                reason=reason,
                job_id=self._new_id(),
                by=principal.user_id,
            ),
        )
        if isinstance(outcome, Accepted) and outcome.event is None:
            # Somebody else has just cancelled it.
            facts = found(await self._showtimes.cancel_facts(showtime_id))
            return found(facts.done)
        return granted(_cancelled(showtime_id, outcome))

    async def showtime(self, showtime_id: UUID) -> Showtime:
        """One showtime. Refuses NOT_FOUND."""
        return found(await self._showtimes.find(showtime_id))

    async def screening_event(self, showtime_id: UUID) -> dict[str, Any]:
        """One showtime as search engines read it. Refuses NOT_FOUND."""
        showtime = await self.showtime(showtime_id)
        return screening_event(showtime, found(await self._showtimes.place(showtime_id)))

    async def showtimes(self, query: ShowtimeQuery) -> Page[Showtime]:
        """Showtimes by start; without a day, those that are over are left out."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._showtimes.list(
            self._filter(query),
            after=None if position is None else (_moment(position[0]), position[1]),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.starts_at), one.id))

    async def showtimes_of_movie(self, movie_id: UUID, query: ShowtimeQuery) -> Page[Showtime]:
        """A movie's showtimes by start. Refuses NOT_FOUND."""
        movie = found(await self._catalog.find_movie(movie_id))
        return await self.showtimes(msgspec.structs.replace(query, movie_id=movie.id))

    def _filter(self, query: ShowtimeQuery) -> ShowtimeFilter:
        first_day, last_day = asked_days(query.date, query.date_from, query.date_to)
        return ShowtimeFilter(
            cinema_id=query.cinema_id,
            movie_id=query.movie_id,
            first_day=first_day,
            last_day=last_day,
            running_after=self._now() if first_day is None else None,
        )


def _changed(
    showtime_id: UUID, request: ShowtimeInput, facts: ChangeFacts, outcome: Outcome
) -> Showtime | Rejection:
    """A showtime behind its change: from the event, for the database may be away by now."""
    event = outcome.event if isinstance(outcome, Accepted) else None
    if isinstance(event, PlanChanged):
        event = event.moved
    if not isinstance(event, TermsChanged):
        return refusal_of(outcome)
    now = event.conditions
    refund_until_us = event.free_refund_until_us
    return Showtime(
        id=showtime_id,
        movie_id=request.movie_id,
        cinema_id=facts.screen.cinema_id,
        screen_id=request.screen_id,
        layout_version=facts.screen.layout_version,
        starts_at=from_us(now.starts_at_us),
        ends_at=from_us(now.ends_at_us),
        base_price=request.base_price,
        format=now.format,
        language=now.language,
        status="rescheduled" if refund_until_us else "scheduled",
        sales=Sales(
            opens_at=from_us(now.sales_opens_at_us),
            closes_at=from_us(now.sales_closes_at_us),
            paused=facts.paused,
            early_access_at=early_access_at(from_us(now.sales_opens_at_us), request.rules),
        ),
        price_overrides=request.price_overrides,
        rules=request.rules,
        free_refund_until=from_us(refund_until_us) if refund_until_us else None,
        version=event.version,
    )


def _on_layout(
    showtime_id: UUID, layout_version: int, outcome: Outcome
) -> LayoutChanged | Rejection:
    """A showtime behind a change of layout, which it may have had already."""
    if not isinstance(outcome, Accepted):
        return refusal_of(outcome)
    event, version = outcome.event, outcome.terms.version
    if isinstance(event, PlanChanged):
        version = event.terms_version
    return LayoutChanged(id=showtime_id, layout_version=layout_version, version=version)


def _cancelled(showtime_id: UUID, outcome: Outcome) -> Cancellation | Rejection:
    event = outcome.event if isinstance(outcome, Accepted) else None
    if not isinstance(event, ShowtimeCancelled):
        return refusal_of(outcome)
    return Cancellation(
        id=showtime_id,
        reason=event.reason,
        bookings=event.bookings,
        job_id=UUID(bytes=event.job_id) if event.job_id else None,
    )


def _conditions(request: ShowtimeInput, times: Timetable) -> ShowConditions:
    """What the row of a showtime says that is as `request` has it."""
    return ShowConditions(
        movie_id=request.movie_id.bytes,
        screen_id=request.screen_id.bytes,
        starts_at_us=to_us(times.starts_at),
        ends_at_us=to_us(times.ends_at),
        clear_at_us=to_us(times.clear_at),
        local_date=times.local_date.isoformat(),
        base_price_minor=request.base_price.amount,
        price_overrides=tuple(sorted(request.price_overrides.items())),
        format=request.format,
        language=request.language,
        sales_opens_at_us=to_us(times.sales_opens_at),
        sales_closes_at_us=to_us(times.sales_closes_at),
        rules=msgspec.json.encode(request.rules).decode(),
    )


def _plan(
    request: ShowtimeInput, facts: ScreenFacts, now: datetime, was: datetime | None = None
) -> Timetable:
    """When the showtime ends and is on sale; refuses what does not fit its screen and film.

    A showtime that starts when it `was` to start may have started.
    """
    if facts.runtime_minutes is None:
        raise refuse("UNKNOWN_REFERENCE", "There is no such movie.", path="$.movie_id")
    if request.cinema_id is not None and request.cinema_id != facts.cinema_id:
        raise refuse("UNKNOWN_REFERENCE", "The screen is not in that cinema.", path="$.cinema_id")
    if request.base_price.currency != facts.currency:
        raise refuse(
            "VALIDATION_ERROR",
            f"This cinema sells in {facts.currency}.",
            path="$.base_price.currency",
        )
    if request.base_price.amount > BASE_PRICE_MINOR_MAX:
        raise refuse("VALIDATION_ERROR", "This price is too high.", path="$.base_price.amount")
    # Compared first and converted then: only moments near now convert without an overflow.
    if request.starts_at != was and not now < request.starts_at <= now + _AHEAD:
        raise refuse(
            "VALIDATION_ERROR",
            f"A showtime has to start in the future, within {SCHEDULE_AHEAD_DAYS} days.",
            path="$.starts_at",
        )
    for path, moment in (
        ("$.sales.opens_at", request.sales.opens_at),
        ("$.sales.closes_at", request.sales.closes_at),
    ):
        if moment is not None and not now - _AHEAD <= moment <= now + 2 * _AHEAD:
            raise refuse("VALIDATION_ERROR", "This time is too far from now.", path=path)
    times = timetable(
        request.starts_at.astimezone(UTC),
        facts.runtime_minutes,
        ZoneInfo(facts.time_zone),
        ads_minutes=facts.ads_minutes,
        cleaning_minutes=facts.cleaning_minutes,
        sales_opens_at=request.sales.opens_at,
        sales_closes_at=request.sales.closes_at,
    )
    if not times.sales_opens_at < times.sales_closes_at <= times.ends_at:
        raise refuse(
            "VALIDATION_ERROR",
            "Sales have to open before they close, and before the end.",
            path="$.sales",
        )
    _check_overrides(request.price_overrides, facts.categories)
    return times


def _check_overrides(overridden: Iterable[str], categories: Collection[str]) -> None:
    """Refuses UNKNOWN_CATEGORY for a price of a category that the layout lacks."""
    for category in overridden:
        if category not in categories:
            raise refuse("UNKNOWN_CATEGORY", category=category, categories=sorted(categories))


def _moment(at_us: int) -> datetime:
    try:
        return from_us(at_us)
    except OverflowError as error:
        raise refuse("VALIDATION_ERROR", "This cursor is not valid.", path="$.cursor") from error
