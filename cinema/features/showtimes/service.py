"""Showtimes: find them, and schedule them on a screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.limits_catalog import (
    BASE_PRICE_MINOR_MAX,
    SCHEDULE_AHEAD_DAYS,
    YEAR_MAX,
    YEAR_MIN,
)
from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found, granted
from cinema.features.showtimes.rules import Timetable, timetable
from cinema.features.showtimes.shapes import Showtime, ShowtimeInput, ShowtimeQuery
from cinema.features.showtimes.store import ScreenFacts, ShowtimeFilter, ShowtimesRepository

_AHEAD: Final = timedelta(days=SCHEDULE_AHEAD_DAYS)


class ShowtimesService:
    """Use cases of showtimes as the catalogue knows them; the actors have the seats."""

    def __init__(
        self,
        showtimes: ShowtimesRepository,
        catalog: CatalogRepository,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._showtimes = showtimes
        self._catalog = catalog
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
            UUID(bytes=self._new_id()), request, lambda facts: _plan(request, facts, now), now, key
        )

    async def showtime(self, showtime_id: UUID) -> Showtime:
        """One showtime. Refuses NOT_FOUND."""
        return found(await self._showtimes.find(showtime_id))

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
        first_day, last_day = query.date_from, query.date_to
        if query.date is not None:
            if first_day is not None or last_day is not None:
                raise refuse("VALIDATION_ERROR", "Give `date`, or `date_from` and `date_to`.")
            first_day = last_day = query.date
        for name, day in (("date_from", first_day), ("date_to", last_day)):
            _check_year(day, f"$.{name if query.date is None else 'date'}")
        if first_day is not None and last_day is not None and first_day > last_day:
            raise refuse("VALIDATION_ERROR", "`date_to` lies before `date_from`.", path="$.date_to")
        return ShowtimeFilter(
            cinema_id=query.cinema_id,
            movie_id=query.movie_id,
            first_day=first_day,
            last_day=last_day,
            running_after=self._now() if first_day is None else None,
        )


def _plan(request: ShowtimeInput, facts: ScreenFacts, now: datetime) -> Timetable:
    """When the showtime ends and is on sale; refuses what does not fit its screen and film."""
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
        raise refuse("VALIDATION_ERROR", "This is too much.", path="$.base_price.amount")
    # Compared first and converted then: only moments near now convert without an overflow.
    if not now < request.starts_at <= now + _AHEAD:
        raise refuse(
            "VALIDATION_ERROR",
            f"A showtime starts in the future, within {SCHEDULE_AHEAD_DAYS} days.",
            path="$.starts_at",
        )
    for path, moment in (
        ("$.sales.opens_at", request.sales.opens_at),
        ("$.sales.closes_at", request.sales.closes_at),
    ):
        if moment is not None and not now - _AHEAD <= moment <= now + 2 * _AHEAD:
            raise refuse("VALIDATION_ERROR", "This is too far from now.", path=path)
    times = timetable(
        request.starts_at.astimezone(UTC),
        facts.runtime_minutes,
        ZoneInfo(facts.time_zone),
        sales_opens_at=request.sales.opens_at,
        sales_closes_at=request.sales.closes_at,
    )
    if not times.sales_opens_at < times.sales_closes_at <= times.ends_at:
        raise refuse(
            "VALIDATION_ERROR", "Sales open before they close, before the end.", path="$.sales"
        )
    for category in request.price_overrides:
        if category not in facts.categories:
            raise refuse("UNKNOWN_CATEGORY", category=category, categories=sorted(facts.categories))
    return times


def _check_year(day: date | None, path: str) -> None:
    if day is not None and not YEAR_MIN <= day.year <= YEAR_MAX:
        raise refuse("VALIDATION_ERROR", f"Years {YEAR_MIN} to {YEAR_MAX} only.", path=path)


def _moment(at_us: int) -> datetime:
    try:
        return from_us(at_us)
    except OverflowError as error:
        raise refuse(
            "VALIDATION_ERROR", "This cursor is not one of ours.", path="$.cursor"
        ) from error
