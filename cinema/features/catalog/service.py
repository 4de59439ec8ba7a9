"""The catalogue: movies, cinemas and screens. Everybody may read it, some roles may change it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import CURRENCY_DIGITS
from cinema.domain.paging import BY_NUMBER, BY_TEXT, Page, PageQuery, after, page
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import refuse
from cinema.domain.seatmap import Layout, LayoutError, SeatPlan, grid_layout, parse_layout
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.catalog.deletion_store import (
    CINEMA,
    MOVIE,
    SCREEN,
    DeletionsRepository,
)
from cinema.features.catalog.movie_store import MovieFilter, Position
from cinema.features.catalog.rules import OF_THE_CHAIN, asked_days, check_settings
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    CinemaSettings,
    Deleted,
    Grid,
    LayoutInput,
    Movie,
    MovieInput,
    MovieQuery,
    Screen,
    ScreenChange,
    ScreenInput,
    ScreenLayout,
    SettingsOfCinema,
)
from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found, granted

Seen = frozenset[int] | None
"""The versions of a row that a caller names as those it has seen; None without any."""


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


class CatalogService:
    """Use cases of movies, cinemas and screens; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        catalog: CatalogRepository,
        deletions: DeletionsRepository,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._deletions = deletions
        self._new_id = new_id
        self._now = now

    async def create_movie(
        self,
        request: MovieInput,
        key: IdempotencyKey | None = None,
        *,
        by: Principal | None = None,
    ) -> Movie:
        """A new movie."""
        return await self._catalog.add_movie(
            self._next_id(), request, self._now(), key, by=_who(by)
        )

    async def change_movie(
        self, by: Principal, movie_id: UUID, request: MovieInput, seen: Seen
    ) -> Movie:
        """A movie described anew. Showtimes that are scheduled keep their length.

        Refuses NOT_FOUND, PRECONDITION_REQUIRED (without `seen`), PRECONDITION_FAILED.
        """
        movie = await self.movie(movie_id)
        return await self._catalog.change_movie(
            movie.id, _versions(seen), request, self._now(), UUID(bytes=by.user_id)
        )

    async def delete_movie(
        self, by: Principal, movie_id: UUID, seen: Seen, key: IdempotencyKey | None = None
    ) -> Deleted:
        """Delete a movie with its coming showtimes, unless these have bookings.

        Refuses NOT_FOUND, PRECONDITION_REQUIRED, PRECONDITION_FAILED, MOVIE_IN_USE.
        """
        if seen is None:
            await self.movie(movie_id)
        return await self._deletions.delete(
            MOVIE, movie_id, _versions(seen), self._now(), UUID(bytes=by.user_id), key
        )

    async def movie(self, movie_id: UUID) -> Movie:
        """One movie. Refuses NOT_FOUND."""
        return found(await self._catalog.find_movie(movie_id))

    async def movies(self, query: MovieQuery) -> Page[Movie]:
        """Films that answer a query, in its order. Refuses VALIDATION_ERROR (days, sort)."""
        sort = query.sort or ("title" if query.q is None else "relevance")
        if sort == "relevance" and query.q is None:
            raise refuse("VALIDATION_ERROR", "Only a search has a relevance.", path="$.sort")
        position: Position | None = (
            granted(after(query.cursor, BY_TEXT))
            if sort == "title"
            else granted(after(query.cursor, BY_NUMBER))
        )
        rows = await self._catalog.movie_lists.list(
            self._movie_filter(query), sort, after=position, limit=query.limit + 1
        )
        placed = page(rows, query.limit, lambda row: (row[0], row[1].id))
        return Page(items=[movie for _, movie in placed.items], next_cursor=placed.next_cursor)

    def _movie_filter(self, query: MovieQuery) -> MovieFilter:
        first_day, last_day = asked_days(query.date, query.date_from, query.date_to)
        return MovieFilter(
            genre=query.genre,
            q=query.q,
            first_day=first_day,
            last_day=last_day,
            cinema_id=query.cinema_id,
            language=query.language,
            format=query.format,
            running_after=self._now() if first_day is None else None,
        )

    async def create_cinema(
        self,
        request: CinemaInput,
        key: IdempotencyKey | None = None,
        *,
        by: Principal | None = None,
    ) -> Cinema:
        """A new cinema. Refuses VALIDATION_ERROR (zone, currency)."""
        _check_cinema(request)
        return await self._catalog.add_cinema(
            self._next_id(), request, self._now(), key, by=_who(by)
        )

    async def change_cinema(
        self, by: Principal, cinema_id: UUID, request: CinemaInput, seen: Seen
    ) -> Cinema:
        """A cinema described anew; zone and currency stay while showtimes lie ahead.

        Refuses NOT_FOUND, VALIDATION_ERROR, PRECONDITION_REQUIRED, PRECONDITION_FAILED,
        CINEMA_IN_USE.
        """
        cinema = await self.cinema(cinema_id)
        _check_cinema(request)
        return await self._catalog.change_cinema(
            cinema.id, _versions(seen), request, self._now(), UUID(bytes=by.user_id)
        )

    async def delete_cinema(
        self, by: Principal, cinema_id: UUID, seen: Seen, key: IdempotencyKey | None = None
    ) -> Deleted:
        """Delete a cinema, its screens and coming showtimes, unless these have bookings.

        Refuses NOT_FOUND, PRECONDITION_REQUIRED, PRECONDITION_FAILED, CINEMA_IN_USE.
        """
        if seen is None:
            await self.cinema(cinema_id)
        return await self._deletions.delete(
            CINEMA, cinema_id, _versions(seen), self._now(), UUID(bytes=by.user_id), key
        )

    async def cinema(self, cinema_id: UUID) -> Cinema:
        """One cinema. Refuses NOT_FOUND."""
        return found(await self._catalog.find_cinema(cinema_id))

    async def settings(self, by: Principal, cinema_id: UUID) -> SettingsOfCinema:
        """How a cinema is run, for admins and its managers. Refuses NOT_FOUND, FORBIDDEN."""
        settings = found(await self._catalog.find_settings(cinema_id))
        require_own_cinema(by, cinema_id)
        return settings

    async def change_settings(
        self, by: Principal, cinema_id: UUID, request: CinemaSettings, seen: Seen
    ) -> SettingsOfCinema:
        """How a cinema is run from now on; its managers may not change what is the chain's.

        Showtimes that are there keep their times. Refuses NOT_FOUND, FORBIDDEN, VALIDATION_ERROR,
        PRECONDITION_REQUIRED, PRECONDITION_FAILED.
        """
        found(await self._catalog.find_settings(cinema_id))
        require_own_cinema(by, cinema_id)
        check_settings(request)

        def allow(before: CinemaSettings) -> None:
            of_chain = [
                name for name in OF_THE_CHAIN if getattr(request, name) != getattr(before, name)
            ]
            if of_chain and by.role != ADMIN:
                raise refuse("FORBIDDEN", "Only admins change this.", fields=of_chain)

        return await self._catalog.change_settings(
            cinema_id,
            _versions(seen),
            request,
            self._now(),
            UUID(bytes=by.user_id),
            allow=allow,
        )

    async def cinemas(self, query: PageQuery) -> Page[Cinema]:
        """Cinemas, the oldest first."""
        rows = await self._catalog.list_cinemas(after_id=_last_id(query), limit=query.limit + 1)
        return page(rows, query.limit, _by_id)

    async def create_screen(
        self, principal: Principal, request: ScreenInput, key: IdempotencyKey | None = None
    ) -> Screen:
        """A new screen, by an admin or the cinema's own manager.

        Refuses VALIDATION_ERROR, FORBIDDEN, UNKNOWN_REFERENCE, NAME_TAKEN.
        """
        require_own_cinema(principal, request.cinema_id)
        plan, layout = _plan_of(request.layout, request.grid)
        if await self._catalog.find_cinema(request.cinema_id) is None:
            raise refuse("UNKNOWN_REFERENCE", "There is no such cinema.", path="$.cinema_id")
        return await self._catalog.add_screen(
            self._next_id(),
            cinema_id=request.cinema_id,
            name=request.name,
            layout=layout,
            seat_count=plan.seat_count,
            rules=request.rules,
            now=self._now(),
            key=key,
            by=_who(principal),
        )

    async def rename_screen(
        self, by: Principal, screen_id: UUID, request: ScreenChange, seen: Seen
    ) -> Screen:
        """A screen under another name, given by an admin or the cinema's own manager.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED, NAME_TAKEN.
        """
        screen = await self.screen(screen_id)
        require_own_cinema(by, screen.cinema_id)
        return await self._catalog.rename_screen(
            screen_id, _versions(seen), request, self._now(), UUID(bytes=by.user_id)
        )

    async def delete_screen(
        self, by: Principal, screen_id: UUID, seen: Seen, key: IdempotencyKey | None = None
    ) -> Deleted:
        """Delete a screen with its coming showtimes, unless these have bookings.

        Refuses NOT_FOUND, FORBIDDEN, PRECONDITION_REQUIRED, PRECONDITION_FAILED, SCREEN_IN_USE.
        """
        if seen is None:
            require_own_cinema(by, (await self.screen(screen_id)).cinema_id)
        return await self._deletions.delete(
            SCREEN,
            screen_id,
            _versions(seen),
            self._now(),
            UUID(bytes=by.user_id),
            key,
            allow=lambda cinema_id: require_own_cinema(by, cinema_id),
        )

    async def replace_layout(
        self,
        principal: Principal,
        screen_id: UUID,
        request: LayoutInput,
        seen: Seen,
    ) -> Screen:
        """The next version of a screen's seats; existing showtimes keep theirs.

        `seen` are the versions that the caller may have seen. Refuses NOT_FOUND, FORBIDDEN,
        VALIDATION_ERROR, PRECONDITION_REQUIRED (without `seen`), PRECONDITION_FAILED.
        """
        screen = await self.screen(screen_id)
        require_own_cinema(principal, screen.cinema_id)
        plan, layout = _plan_of(request.layout, request.grid)
        return await self._catalog.replace_layout(
            screen.id,
            _versions(seen),
            layout=layout,
            seat_count=plan.seat_count,
            now=self._now(),
            by=_who(principal),
        )

    async def screen(self, screen_id: UUID) -> Screen:
        """One screen. Refuses NOT_FOUND."""
        return found(await self._catalog.find_screen(screen_id))

    async def screens(self, cinema_id: UUID, query: PageQuery) -> Page[Screen]:
        """A cinema's screens, the oldest first. Refuses NOT_FOUND."""
        cinema = await self.cinema(cinema_id)
        rows = await self._catalog.list_screens(
            cinema.id, after_id=_last_id(query), limit=query.limit + 1
        )
        return page(rows, query.limit, _by_id)

    async def layout(self, screen_id: UUID, version: int | None = None) -> ScreenLayout:
        """A version of a screen's layout, the current one by default. Refuses NOT_FOUND."""
        return found(await self._catalog.find_layout(screen_id, version))

    def _next_id(self) -> UUID:
        return UUID(bytes=self._new_id())


def _by_id(item: _Identified) -> tuple[object, UUID]:
    return "", item.id


def _last_id(query: PageQuery) -> UUID | None:
    position = granted(after(query.cursor, BY_TEXT))
    return None if position is None else position[1]


def _who(principal: Principal | None) -> UUID | None:
    return None if principal is None else UUID(bytes=principal.user_id)


def _versions(seen: Seen) -> frozenset[int]:
    """What was seen of what is to be changed. Refuses PRECONDITION_REQUIRED without any."""
    if seen is None:
        raise refuse("PRECONDITION_REQUIRED")
    return seen


def _check_cinema(request: CinemaInput) -> None:
    if not _is_time_zone(request.time_zone):
        raise refuse("VALIDATION_ERROR", "This is not an IANA time zone.", path="$.time_zone")
    if request.currency not in CURRENCY_DIGITS:
        raise refuse("VALIDATION_ERROR", "This is not an ISO 4217 currency.", path="$.currency")


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _plan_of(layout: Layout | None, grid: Grid | None) -> tuple[SeatPlan, Layout]:
    """The plan and layout of a request, which must have either `layout` or `grid`."""
    if (layout is None) == (grid is None):
        raise refuse("VALIDATION_ERROR", "Give either `layout` or `grid`.")
    field = "layout" if grid is None else "grid"
    try:
        wanted = layout or grid_layout(*((grid.rows, grid.columns) if grid else (0, 0)))
        return parse_layout(wanted, 1), wanted
    except LayoutError as error:
        path = error.path.replace("$", f"$.{field}", 1)
        raise refuse("VALIDATION_ERROR", error.message, path=path) from error
