"""The services of catalogue and showtimes over one database, at a moment the test sets."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cinema.domain.ids import RANDOM_BITS, new_id
from cinema.domain.money import Money
from cinema.domain.paging import Page
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.catalog.deletion_store import DeletionsRepository
from cinema.features.catalog.service import CatalogService
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    Grid,
    Movie,
    MovieInput,
    Screen,
    ScreenInput,
)
from cinema.features.catalog.store import CatalogRepository
from cinema.features.jobs.store import JobsRepository
from cinema.features.showtimes.service import ShowtimesService
from cinema.features.showtimes.shapes import Showtime, ShowtimeInput
from cinema.features.showtimes.store import ShowtimesRepository
from cinema.storage.cache.versioned import Cache
from cinema.storage.database.reads import Reads
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.terms import TermsSource
from tests.support.sale_rules import DEFAULTS

ADMIN = Principal(bytes(16), "admin", bytes(16), 0.0)
MANAGER = Principal(new_id(1, 7), "manager", bytes(16), 0.0)
START = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
FIRST = frozenset({1})
"""What somebody has seen who knows a layout's first version."""


nobody_asked: Any = None
"""The way to the actors: what is tested here does not go it."""


class House:
    """The services over one database, at a moment the test sets."""

    def __init__(self, pool: Pool, cache: Cache | None = None, reads: Reads | None = None) -> None:
        self.pool = pool
        self._milliseconds = itertools.count(1_780_000_000_000)
        self.now = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
        catalog = CatalogRepository(pool, reads, cache)
        self.jobs = JobsRepository(pool, new_id=self.new_id, now=lambda: self.now)
        self.deletions = DeletionsRepository(pool, self.jobs)
        self.catalog = CatalogService(
            catalog, self.deletions, new_id=self.new_id, now=lambda: self.now
        )
        self.showtimes = ShowtimesService(
            ShowtimesRepository(pool, reads, cache),
            catalog,
            nobody_asked,
            defaults=DEFAULTS,
            new_id=self.new_id,
            now=lambda: self.now,
        )
        self.terms = TermsSource(pool, DEFAULTS)

    def new_id(self) -> bytes:
        return new_id(next(self._milliseconds) * 1000, secrets.randbits(RANDOM_BITS))

    async def movie(self, title: str = "Stalker", minutes: int = 100, **fields: Any) -> Movie:
        request = MovieInput(title=title, runtime_minutes=minutes, **fields)
        return await self.catalog.create_movie(request)

    async def cinema(self, time_zone: str = "Europe/Berlin", currency: str = "EUR") -> Cinema:
        request = CinemaInput(
            name="Aurora", city="Berlin", country="DE", time_zone=time_zone, currency=currency
        )
        return await self.catalog.create_cinema(request)

    async def screen(self, cinema: Cinema, name: str = "One", **fields: Any) -> Screen:
        request = ScreenInput(
            cinema_id=cinema.id, name=name, grid=Grid(rows=2, columns=3), **fields
        )
        return await self.catalog.create_screen(ADMIN, request)

    async def show(
        self, movie: Movie, screen: Screen, starts_at: datetime = START, **fields: Any
    ) -> Showtime:
        return await self.showtimes.create_showtime(
            ADMIN, showing(movie, screen, starts_at, **fields)
        )


def showing(
    movie: Movie, screen: Screen, starts_at: datetime = START, **fields: Any
) -> ShowtimeInput:
    values: dict[str, Any] = {"base_price": Money(1200, "EUR"), "language": "ru"} | fields
    return ShowtimeInput(movie_id=movie.id, screen_id=screen.id, starts_at=starts_at, **values)


async def refusal(call: Awaitable[object]) -> tuple[str, str | None]:
    with pytest.raises(Refused) as caught:
        await call
    rejection = caught.value.rejection
    return rejection.code, (rejection.details or {}).get("path")


async def all_pages(
    ask: Callable[[str | None], Awaitable[Page[Any]]], pages_limit: int = 50
) -> list[Any]:
    items: list[Any] = []
    cursor: str | None = None
    for _ in range(pages_limit):
        page = await ask(cursor)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items
    raise AssertionError("the list does not end")
