"""Calendars of coming showtimes, for everybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found
from cinema.features.showtimes.calendar_store import CalendarRepository
from cinema.features.showtimes.icalendar import calendar

SHOWS_LIMIT: Final = 1000
"""Showtimes of a feed, the next first: two weeks of a house with 14 screens, half a megabyte."""


class CalendarsService:
    """Use cases of calendars."""

    def __init__(
        self,
        catalog: CatalogRepository,
        calendars: CalendarRepository,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._calendars = calendars
        self._now = now

    async def of_cinema(self, cinema_id: UUID, days: int) -> bytes:
        """The coming showtimes of a cinema. Refuses NOT_FOUND."""
        cinema = found(await self._catalog.find_cinema(cinema_id))
        now = self._now()
        until = now + timedelta(days=days)
        shows = await self._calendars.of_cinema(cinema.id, now, until, SHOWS_LIMIT)
        return calendar(cinema.name, cinema.time_zone, shows)

    async def of_movie(self, movie_id: UUID, days: int) -> bytes:
        """The coming showtimes of a film, in all cinemas. Refuses NOT_FOUND."""
        movie = found(await self._catalog.find_movie(movie_id))
        now = self._now()
        until = now + timedelta(days=days)
        shows = await self._calendars.of_movie(movie.id, now, until, SHOWS_LIMIT)
        return calendar(movie.title, None, shows)
