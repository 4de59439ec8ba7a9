"""Movies, cinemas and screens in Postgres."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.domain.sale_rules import Rules
from cinema.domain.seatmap import Layout
from cinema.domain.text import fold
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    Movie,
    MovieInput,
    Screen,
    ScreenLayout,
)
from cinema.storage.database.driver import InvalidParameterValueError, Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, run_once, transaction

_MOVIE: Final = (
    "id, title, description, genres, runtime_minutes, release_date, age_rating, "
    "languages, poster_url, trailer_url"
)
_CINEMA: Final = "id, name, address, city, country, time_zone, currency"
_SCREEN: Final = "id, cinema_id, name, layout_version, seat_count"

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

INSERT_MOVIE = """
insert into movies (
    id, title, description, genres, runtime_minutes, release_date, age_rating, languages,
    poster_url, trailer_url, sort_title, genre_keys, created_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
"""Takes `movie_values`; callers add what happens on a conflict, or what is returned."""

_ADD_MOVIE = f"{INSERT_MOVIE} returning {_MOVIE}"

_MOVIE_BY_ID = f"select {_MOVIE} from movies where id = $1"

_LIST_MOVIES = f"""
select {_MOVIE}, sort_title from movies
where ($1::text is null or genre_keys @> array[$1::text])
  and ($2::text is null or sort_title like $2)
  and (sort_title, id) > ($3::text, $4)
order by sort_title, id limit $5
"""

# Postgres has its own copy of the time zone database: a zone it does not know is refused here.
_INSERT_CINEMA = f"""
insert into cinemas (id, name, address, city, country, time_zone, currency, created_at)
select $1, $2, $3, $4, $5, $6, $7, $8
where ($8::timestamptz at time zone $6) is not null
returning {_CINEMA}
"""

_CINEMA_BY_ID = f"select {_CINEMA} from cinemas where id = $1"

_LIST_CINEMAS = f"""
select {_CINEMA} from cinemas where id > $1 order by id limit $2
"""

_INSERT_SCREEN = f"""
insert into screens (id, cinema_id, name, layout_version, seat_count, rules, created_at)
values ($1, $2, $3, 1, $4, $5::text::jsonb, $6)
returning {_SCREEN}
"""

_INSERT_LAYOUT = """
insert into screen_layouts (screen_id, version, layout, seat_count, created_at)
values ($1, $2, $3::text::jsonb, $4, $5)
"""

# If two requests replace the same version, the second waits for the row and finds another version.
_NEXT_LAYOUT = f"""
update screens set layout_version = layout_version + 1, seat_count = $2
where id = $1 and layout_version = any($3::bigint[])
returning {_SCREEN}
"""

_SCREEN_BY_ID = f"select {_SCREEN} from screens where id = $1"

_LIST_SCREENS = f"""
select {_SCREEN} from screens
where cinema_id = $1 and id > $2
order by id limit $3
"""

_LAYOUT = """
select layout.screen_id, layout.version, layout.seat_count, layout.layout::text
from screen_layouts layout
join screens screen on screen.id = layout.screen_id
where screen.id = $1
  and layout.version = coalesce($2::integer, screen.layout_version)
"""

FIRST_ID: Final = UUID(int=0)


class CatalogRepository:
    """Reads and writes the catalogue; a write happens once for each idempotency key."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def add_movie(
        self, movie_id: UUID, movie: MovieInput, now: datetime, key: IdempotencyKey | None
    ) -> Movie:
        """The new movie."""

        async def insert(running: PooledConnection) -> Movie:
            row = await running.fetchrow(_ADD_MOVIE, *movie_values(movie_id, movie, now))
            return _movie(_some(row))

        return await run_once(self._pool, key, now, Movie, insert)

    async def find_movie(self, movie_id: UUID) -> Movie | None:
        """The movie of an id."""
        row = await self._reads.fetchrow(_MOVIE_BY_ID, movie_id)
        return None if row is None else _movie(row)

    async def list_movies(
        self, *, genre: str | None, q: str | None, after: tuple[str, UUID] | None, limit: int
    ) -> list[tuple[str, Movie]]:
        """Movies by folded title, each with that title; `genre` and `q` are compared folded."""
        title, last_id = after or ("", FIRST_ID)
        pattern = None if q is None else f"%{_like_literal(fold(q))}%"
        rows = await self._reads.fetch(
            _LIST_MOVIES, None if genre is None else fold(genre), pattern, title, last_id, limit
        )
        return [(row["sort_title"], _movie(row)) for row in rows]

    async def add_cinema(
        self, cinema_id: UUID, cinema: CinemaInput, now: datetime, key: IdempotencyKey | None
    ) -> Cinema:
        """The new cinema; refuses a time zone that Postgres does not know."""

        async def insert(running: PooledConnection) -> Cinema:
            try:
                row = await running.fetchrow(
                    _INSERT_CINEMA,
                    cinema_id,
                    cinema.name,
                    cinema.address,
                    cinema.city,
                    cinema.country,
                    cinema.time_zone,
                    cinema.currency,
                    now,
                )
            except InvalidParameterValueError as error:
                raise refuse(
                    "VALIDATION_ERROR", "The database does not know this zone.", path="$.time_zone"
                ) from error
            return _cinema(_some(row))

        return await run_once(self._pool, key, now, Cinema, insert)

    async def find_cinema(self, cinema_id: UUID) -> Cinema | None:
        """The cinema of an id."""
        row = await self._reads.fetchrow(_CINEMA_BY_ID, cinema_id)
        return None if row is None else _cinema(row)

    async def list_cinemas(self, *, after_id: UUID | None, limit: int) -> list[Cinema]:
        """Cinemas in the order they were made."""
        rows = await self._reads.fetch(_LIST_CINEMAS, after_id or FIRST_ID, limit)
        return [_cinema(row) for row in rows]

    async def add_screen(
        self,
        screen_id: UUID,
        *,
        cinema_id: UUID,
        name: str,
        layout: Layout,
        seat_count: int,
        rules: Rules,
        now: datetime,
        key: IdempotencyKey | None,
    ) -> Screen:
        """The new screen with version 1 of its layout; refuses NAME_TAKEN."""

        async def insert(running: PooledConnection) -> Screen:
            row = await running.fetchrow(
                _INSERT_SCREEN, screen_id, cinema_id, name, seat_count, _json(rules), now
            )
            await running.execute(_INSERT_LAYOUT, screen_id, 1, _json(layout), seat_count, now)
            return _screen(_some(row))

        return await run_once(self._pool, key, now, Screen, insert)

    async def replace_layout(
        self,
        screen_id: UUID,
        seen: Collection[int],
        *,
        layout: Layout,
        seat_count: int,
        now: datetime,
    ) -> Screen:
        """The screen with its next layout version; showtimes keep the one they have.

        Refuses NOT_FOUND, and PRECONDITION_FAILED unless the version before is one of `seen`.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_NEXT_LAYOUT, screen_id, seat_count, list(seen))
            if row is None:
                row = await running.fetchrow(_SCREEN_BY_ID, screen_id)
                if row is None:
                    raise refuse("NOT_FOUND")
                raise refuse("PRECONDITION_FAILED", layout_version=row["layout_version"])
            await running.execute(
                _INSERT_LAYOUT, screen_id, row["layout_version"], _json(layout), seat_count, now
            )
            return _screen(row)

    async def find_screen(self, screen_id: UUID) -> Screen | None:
        """The screen of an id."""
        row = await self._reads.fetchrow(_SCREEN_BY_ID, screen_id)
        return None if row is None else _screen(row)

    async def list_screens(
        self, cinema_id: UUID, *, after_id: UUID | None, limit: int
    ) -> list[Screen]:
        """A cinema's screens in the order they were made."""
        rows = await self._reads.fetch(_LIST_SCREENS, cinema_id, after_id or FIRST_ID, limit)
        return [_screen(row) for row in rows]

    async def find_layout(self, screen_id: UUID, version: int | None) -> ScreenLayout | None:
        """One version of a screen's layout; None means the current one."""
        row = await self._reads.fetchrow(_LAYOUT, screen_id, version)
        if row is None:
            return None
        return ScreenLayout(
            screen_id=row["screen_id"],
            layout_version=row["version"],
            seat_count=row["seat_count"],
            layout=msgspec.json.decode(row["layout"], type=Layout),
        )


_MOVIE_FIELDS: Final = msgspec.structs.fields(Movie)
_CINEMA_FIELDS: Final = msgspec.structs.fields(Cinema)
_SCREEN_FIELDS: Final = msgspec.structs.fields(Screen)


def _movie(row: Record) -> Movie:
    return Movie(**{field.name: row[field.name] for field in _MOVIE_FIELDS})


def _cinema(row: Record) -> Cinema:
    return Cinema(**{field.name: row[field.name] for field in _CINEMA_FIELDS})


def _screen(row: Record) -> Screen:
    return Screen(**{field.name: row[field.name] for field in _SCREEN_FIELDS})


def movie_values(movie_id: UUID, movie: MovieInput | Movie, now: datetime) -> tuple[object, ...]:
    """The values for `INSERT_MOVIE`."""
    return (
        movie_id,
        movie.title,
        movie.description,
        movie.genres,
        movie.runtime_minutes,
        movie.release_date,
        movie.age_rating,
        movie.languages,
        movie.poster_url,
        movie.trailer_url,
        fold(movie.title),
        [fold(genre) for genre in movie.genres],
        now,
    )


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _like_literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
