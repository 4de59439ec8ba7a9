"""Movies, cinemas and screens in Postgres."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import Refused, refuse
from cinema.domain.sale_rules import Rules
from cinema.domain.seatmap import Layout
from cinema.domain.text import fold
from cinema.features.catalog.movie_store import (
    MOVIE_COLUMNS,
    MovieLists,
    index_titles,
    movie_of,
)
from cinema.features.catalog.shapes import (
    Cinema,
    CinemaInput,
    CinemaSettings,
    Movie,
    MovieInput,
    Screen,
    ScreenChange,
    ScreenLayout,
    SettingsOfCinema,
    UpcomingShowtime,
)
from cinema.features.refusals import lost_update
from cinema.storage.cache.versioned import Cache, Cached, NoCache, question
from cinema.storage.database.driver import InvalidParameterValueError, Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, run_once, transaction

_MOVIE: Final = MOVIE_COLUMNS
_CINEMA: Final = "id, name, address, city, country, time_zone, currency, version"
_SCREEN: Final = "id, cinema_id, name, layout_version, seat_count, version, rules::text"

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

INSERT_MOVIE = """
insert into movies (
    id, title, description, genres, runtime_minutes, release_date, age_rating, languages,
    poster_url, trailer_url, sort_title, genre_keys, created_at, created_by
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
"""Takes `movie_values`; callers add what happens on a conflict, or what is returned."""

_ADD_MOVIE = f"{INSERT_MOVIE} returning {_MOVIE}"

_CHANGE_MOVIE = f"""
update movies set
    title = $2, description = $3, genres = $4, runtime_minutes = $5, release_date = $6,
    age_rating = $7, languages = $8, poster_url = $9, trailer_url = $10, sort_title = $11,
    genre_keys = $12, updated_at = $13, updated_by = $14, version = version + 1
where id = $1 and deleted_at is null and version = any($15::bigint[])
returning {_MOVIE}
"""

_MOVIE_BY_ID = f"select {_MOVIE} from movies where id = $1 and deleted_at is null"

# Postgres has its own copy of the time zone database: a zone it does not know is refused here.
_INSERT_CINEMA = f"""
insert into cinemas (
    id, name, address, city, country, time_zone, currency, created_at, created_by
)
select $1, $2, $3, $4, $5, $6, $7, $8, $9
where ($8::timestamptz at time zone $6) is not null
returning {_CINEMA}
"""

_CHANGE_CINEMA = f"""
update cinemas set
    name = $2, address = $3, city = $4, country = $5, time_zone = $6, currency = $7,
    updated_at = $8, updated_by = $9, version = version + 1
where id = $1 and ($8::timestamptz at time zone $6) is not null
returning {_CINEMA}
"""

_SETTINGS: Final = (
    "ads_minutes, cleaning_minutes, ticket_early_minutes, ticket_grace_minutes, "
    "business_day_starts_at, rating_system, tax_number, invoice_prefix, tax_rates::text, "
    "refund_policy::text, opening_hours::text, opening_exceptions::text, legal_name, "
    "legal_address, points_percent, points_valid_months, series_discount_percent"
)
_SETTINGS_OF = f"select id, version, {_SETTINGS} from cinemas where id = $1 and deleted_at is null"
_LOCK_SETTINGS = f"{_SETTINGS_OF} for update"
_CHANGE_SETTINGS = f"""
update cinemas set
    ads_minutes = $4, cleaning_minutes = $5, ticket_early_minutes = $6, ticket_grace_minutes = $7,
    business_day_starts_at = $8, rating_system = $9, tax_number = $10, invoice_prefix = $11,
    tax_rates = $12::text::jsonb, refund_policy = $13::text::jsonb,
    opening_hours = $14::text::jsonb, opening_exceptions = $15::text::jsonb,
    legal_name = $16, legal_address = $17, points_percent = $18, points_valid_months = $19,
    series_discount_percent = $20,
    updated_at = $2, updated_by = $3, version = version + 1
where id = $1
returning id, version, {_SETTINGS}
"""

_CINEMA_BY_ID = f"select {_CINEMA} from cinemas where id = $1 and deleted_at is null"

_LIST_CINEMAS = f"""
select {_CINEMA} from cinemas where id > $1 and deleted_at is null order by id limit $2
"""

# Against the deletion of the cinema: it waits for the screen, or the screen finds no cinema.
_INSERT_SCREEN = f"""
with cinema as (
    select id from cinemas where id = $2 and deleted_at is null for key share
)
insert into screens (
    id, cinema_id, name, layout_version, seat_count, rules, created_at, created_by
)
select $1, id, $3, 1, $4, $5::text::jsonb, $6, $7 from cinema
returning {_SCREEN}
"""

_RENAME_SCREEN = f"""
update screens set name = $2, rules = coalesce($6::text::jsonb, rules), updated_at = $3,
    updated_by = $4, version = version + 1
where id = $1 and deleted_at is null and version = any($5::bigint[])
returning {_SCREEN}
"""

_INSERT_LAYOUT = """
insert into screen_layouts (screen_id, version, layout, seat_count, created_at, created_by)
values ($1, $2, $3::text::jsonb, $4, $5, $6)
"""

# If two requests replace the same version, the second waits for the row and finds another version.
# Showtimes that moved here may have the layout under higher numbers; whoever makes such a number
# locks the row too, and only a statement behind that lock sees it.
_LOCK_LAYOUT = "select from screens where id = $1 for no key update"
_NEXT_LAYOUT = f"""
update screens set
    layout_version = (select max(version) + 1 from screen_layouts where screen_id = $1),
    seat_count = $2, updated_at = $4, updated_by = $5, version = version + 1
where id = $1 and deleted_at is null and layout_version = any($3::bigint[])
returning {_SCREEN}
"""

_SCREEN_BY_ID = f"select {_SCREEN} from screens where id = $1 and deleted_at is null"

_LIST_SCREENS = f"""
select {_SCREEN} from screens
where cinema_id = $1 and id > $2 and deleted_at is null
order by id limit $3
"""

_LAYOUT = """
select layout.screen_id, layout.version, layout.seat_count, layout.layout::text
from screen_layouts layout
join screens screen on screen.id = layout.screen_id
where screen.id = $1 and screen.deleted_at is null
  and layout.version = coalesce($2::integer, screen.layout_version)
"""

# Whoever schedules a showtime holds a weaker lock on its row until it is there.
_LOCK_CINEMA = f"select {_CINEMA} from cinemas where id = $1 and deleted_at is null for update"

# No showtime is longer than a day.
_UPCOMING_OF_CINEMA = """
select showtime.id, showtime.starts_at, (
    select count(*) from bookings booking
    where booking.showtime_id = showtime.id and booking.status in ('pending', 'confirmed')
) as bookings
from showtimes showtime
where showtime.cinema_id = $1 and showtime.status <> 'cancelled'
  and showtime.starts_at > $2::timestamptz - interval '1 day' and showtime.ends_at > $2
order by showtime.starts_at, showtime.id
limit $3
"""

MEDIA_PATH: Final = "/media/"

# Nobody deletes the files of a poster while a film is about to show it.
_KEEP_POSTER = "select true from posters where digest = $1 for key share"

UPCOMING_TOLD: Final = 100
"""Showtimes that a refusal names, at most."""

FIRST_ID: Final = UUID(int=0)

_ROW_KEPT_S: Final = 3600
_LIST_KEPT_S: Final = 900
"""How long what nothing has changed is kept in caches."""

_CACHED_MOVIE: Final = Cached[Movie](
    "catalog:movie", Movie, ttl_s=_ROW_KEPT_S, rests_on=("movies",)
)
_CACHED_CINEMA: Final = Cached[Cinema](
    "catalog:cinema", Cinema, ttl_s=_ROW_KEPT_S, rests_on=("cinemas",)
)
_CACHED_CINEMAS: Final = Cached[list[Cinema]](
    "catalog:cinemas", list[Cinema], ttl_s=_LIST_KEPT_S, rests_on=("cinemas",)
)
_CACHED_SCREENS: Final = Cached[list[Screen]](
    "catalog:screens", list[Screen], ttl_s=_LIST_KEPT_S, rests_on=("cinemas",)
)


class CatalogRepository:
    """Reads and writes the catalogue; a write happens once for each idempotency key."""

    def __init__(self, pool: Pool, reads: Reads | None = None, cache: Cache | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)
        self.cache = cache or NoCache()
        self.movie_lists = MovieLists(pool, self._reads, self.cache)

    async def add_movie(
        self,
        movie_id: UUID,
        movie: MovieInput,
        now: datetime,
        key: IdempotencyKey | None,
        by: UUID | None = None,
    ) -> Movie:
        """The new movie."""

        async def insert(running: PooledConnection) -> Movie:
            await _check_poster(running, movie.poster_url)
            row = await running.fetchrow(_ADD_MOVIE, *movie_values(movie_id, movie, now, by))
            await index_titles(running, [(movie_id, fold(movie.title))])
            return movie_of(_some(row))

        return await run_once(self._pool, key, now, Movie, insert)

    async def change_movie(
        self, movie_id: UUID, seen: Collection[int], movie: MovieInput, now: datetime, by: UUID
    ) -> Movie:
        """The movie as it is described now.

        Refuses NOT_FOUND, and PRECONDITION_FAILED unless its version is one of `seen`.
        """
        values = movie_values(movie_id, movie, now, by)
        async with transaction(self._pool) as running:
            await _check_poster(running, movie.poster_url)
            row = await running.fetchrow(_CHANGE_MOVIE, *values, list(seen))
            if row is None:
                raise _lost(await running.fetchrow(_MOVIE_BY_ID, movie_id))
            await index_titles(running, [(movie_id, fold(movie.title))])
            return movie_of(row)

    async def find_movie(self, movie_id: UUID) -> Movie | None:
        """The movie of an id."""

        async def load() -> Movie | None:
            row = await self._reads.fetchrow(_MOVIE_BY_ID, movie_id)
            return None if row is None else movie_of(row)

        return await self.cache.read(_CACHED_MOVIE, str(movie_id), load)

    async def add_cinema(
        self,
        cinema_id: UUID,
        cinema: CinemaInput,
        now: datetime,
        key: IdempotencyKey | None,
        by: UUID | None = None,
    ) -> Cinema:
        """The new cinema; refuses a time zone that Postgres does not know."""

        async def insert(running: PooledConnection) -> Cinema:
            with _known_zone():
                row = await running.fetchrow(
                    _INSERT_CINEMA, *_cinema_values(cinema_id, cinema, now, by)
                )
            return _cinema(_some(row))

        return await run_once(self._pool, key, now, Cinema, insert)

    async def change_cinema(
        self, cinema_id: UUID, seen: Collection[int], cinema: CinemaInput, now: datetime, by: UUID
    ) -> Cinema:
        """The cinema as it is described now; zone and currency stay while showtimes lie ahead.

        Refuses NOT_FOUND, PRECONDITION_FAILED, VALIDATION_ERROR (the zone), CINEMA_IN_USE.
        """
        async with transaction(self._pool) as running:
            row = check_version(await running.fetchrow(_LOCK_CINEMA, cinema_id), seen)
            if (cinema.time_zone, cinema.currency) != (row["time_zone"], row["currency"]):
                await _check_unused(running, cinema_id, now)
            with _known_zone():
                changed = await running.fetchrow(
                    _CHANGE_CINEMA, *_cinema_values(cinema_id, cinema, now, by)
                )
            return _cinema(_some(changed))

    async def find_cinema(self, cinema_id: UUID) -> Cinema | None:
        """The cinema of an id."""

        async def load() -> Cinema | None:
            row = await self._reads.fetchrow(_CINEMA_BY_ID, cinema_id)
            return None if row is None else _cinema(row)

        return await self.cache.read(_CACHED_CINEMA, str(cinema_id), load)

    async def find_settings(self, cinema_id: UUID) -> SettingsOfCinema | None:
        """The settings of a cinema."""
        row = await self._reads.fetchrow(_SETTINGS_OF, cinema_id)
        return None if row is None else _settings(row)

    async def change_settings(
        self,
        cinema_id: UUID,
        seen: Collection[int],
        settings: CinemaSettings,
        now: datetime,
        by: UUID,
        *,
        allow: Callable[[CinemaSettings], None],
    ) -> SettingsOfCinema:
        """The settings as they are now; `allow` is shown those before, and may refuse.

        Refuses NOT_FOUND, PRECONDITION_FAILED.
        """
        async with transaction(self._pool) as running:
            row = check_version(await running.fetchrow(_LOCK_SETTINGS, cinema_id), seen)
            allow(_settings(row).settings)
            changed = await running.fetchrow(
                _CHANGE_SETTINGS,
                cinema_id,
                now,
                by,
                settings.ads_minutes,
                settings.cleaning_minutes,
                settings.ticket_early_minutes,
                settings.ticket_grace_minutes,
                settings.business_day_starts_at,
                settings.rating_system,
                settings.tax_number,
                settings.invoice_prefix,
                _json(settings.tax_rates),
                _json(settings.refund_policy),
                _json(settings.opening_hours),
                _json(settings.opening_exceptions),
                settings.legal_name,
                settings.legal_address,
                settings.points_percent,
                settings.points_valid_months,
                settings.series_discount_percent,
            )
            return _settings(_some(changed))

    async def list_cinemas(self, *, after_id: UUID | None, limit: int) -> list[Cinema]:
        """Cinemas in the order they were made."""

        async def load() -> list[Cinema]:
            rows = await self._reads.fetch(_LIST_CINEMAS, after_id or FIRST_ID, limit)
            return [_cinema(row) for row in rows]

        return await self.cache.read(_CACHED_CINEMAS, question(after_id, limit), load) or []

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
        by: UUID | None = None,
    ) -> Screen:
        """The new screen with version 1 of its layout; refuses UNKNOWN_REFERENCE, NAME_TAKEN."""

        async def insert(running: PooledConnection) -> Screen:
            row = await running.fetchrow(
                _INSERT_SCREEN, screen_id, cinema_id, name, seat_count, _json(rules), now, by
            )
            if row is None:
                raise refuse("UNKNOWN_REFERENCE", "There is no such cinema.", path="$.cinema_id")
            await running.execute(_INSERT_LAYOUT, screen_id, 1, _json(layout), seat_count, now, by)
            return _screen(row)

        return await run_once(self._pool, key, now, Screen, insert)

    async def rename_screen(
        self, screen_id: UUID, seen: Collection[int], change: ScreenChange, now: datetime, by: UUID
    ) -> Screen:
        """The screen with another name and rules.

        Refuses NOT_FOUND, PRECONDITION_FAILED, NAME_TAKEN.
        """
        async with transaction(self._pool) as running:
            rules = None if change.rules is None else _json(change.rules)
            row = await running.fetchrow(
                _RENAME_SCREEN, screen_id, change.name, now, by, list(seen), rules
            )
            if row is None:
                raise _lost(await running.fetchrow(_SCREEN_BY_ID, screen_id))
            return _screen(row)

    async def replace_layout(
        self,
        screen_id: UUID,
        seen: Collection[int],
        *,
        layout: Layout,
        seat_count: int,
        now: datetime,
        by: UUID | None = None,
        key: IdempotencyKey | None = None,
    ) -> Screen:
        """The screen with its next layout version; showtimes keep the one they have.

        Refuses NOT_FOUND, and PRECONDITION_FAILED unless the version before is one of `seen`.
        """

        async def replace(running: PooledConnection) -> Screen:
            await running.execute(_LOCK_LAYOUT, screen_id)
            row = await running.fetchrow(_NEXT_LAYOUT, screen_id, seat_count, list(seen), now, by)
            if row is None:
                row = await running.fetchrow(_SCREEN_BY_ID, screen_id)
                if row is None:
                    raise refuse("NOT_FOUND")
                raise refuse("PRECONDITION_FAILED", layout_version=row["layout_version"])
            version = row["layout_version"]
            await running.execute(
                _INSERT_LAYOUT, screen_id, version, _json(layout), seat_count, now, by
            )
            return _screen(row)

        return await run_once(self._pool, key, now, Screen, replace)

    async def find_screen(self, screen_id: UUID) -> Screen | None:
        """The screen of an id."""
        row = await self._reads.fetchrow(_SCREEN_BY_ID, screen_id)
        return None if row is None else _screen(row)

    async def list_screens(
        self, cinema_id: UUID, *, after_id: UUID | None, limit: int
    ) -> list[Screen]:
        """A cinema's screens in the order they were made."""

        async def load() -> list[Screen]:
            rows = await self._reads.fetch(_LIST_SCREENS, cinema_id, after_id or FIRST_ID, limit)
            return [_screen(row) for row in rows]

        what = f"{cinema_id}:{question(after_id, limit)}"
        return await self.cache.read(_CACHED_SCREENS, what, load) or []

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


_PLAIN: Final = frozenset(
    {
        "ads_minutes",
        "cleaning_minutes",
        "ticket_early_minutes",
        "ticket_grace_minutes",
        "business_day_starts_at",
        "rating_system",
        "legal_name",
        "legal_address",
        "points_percent",
        "points_valid_months",
        "series_discount_percent",
        "tax_number",
        "invoice_prefix",
    }
)
"""The settings that have a column of their own type; the others are JSON."""

_CINEMA_FIELDS: Final = msgspec.structs.fields(Cinema)
_SCREEN_FIELDS: Final = tuple(name for name in Screen.__struct_fields__ if name != "rules")
_RULES: Final = msgspec.json.Decoder(Rules)


def _cinema(row: Record) -> Cinema:
    return Cinema(**{field.name: row[field.name] for field in _CINEMA_FIELDS})


def _settings(row: Record) -> SettingsOfCinema:
    given = {
        name: row[name] if name in _PLAIN else msgspec.json.decode(row[name])
        for name in CinemaSettings.__struct_fields__
    }
    return SettingsOfCinema(
        id=row["id"], version=row["version"], settings=msgspec.convert(given, CinemaSettings)
    )


def _screen(row: Record) -> Screen:
    plain = {name: row[name] for name in _SCREEN_FIELDS}
    return Screen(**plain, rules=_RULES.decode(row["rules"]))


def movie_values(
    movie_id: UUID, movie: MovieInput | Movie, now: datetime, by: UUID | None = None
) -> tuple[object, ...]:
    """The values for `INSERT_MOVIE`, and for a change of the film."""
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
        by,
    )


def _cinema_values(
    cinema_id: UUID, cinema: CinemaInput, now: datetime, by: UUID | None
) -> tuple[object, ...]:
    return (
        cinema_id,
        cinema.name,
        cinema.address,
        cinema.city,
        cinema.country,
        cinema.time_zone,
        cinema.currency,
        now,
        by,
    )


async def _check_poster(running: PooledConnection, url: str | None) -> None:
    """Refuse an address of an uploaded poster that there is not, and keep one that there is."""
    if url is not None and url.startswith(MEDIA_PATH):
        digest = url.removeprefix(MEDIA_PATH).partition("-")[0]
        if not await running.fetchval(_KEEP_POSTER, digest):
            raise refuse("UNKNOWN_REFERENCE", "There is no such poster.", path="$.poster_url")


@contextmanager
def _known_zone() -> Iterator[None]:
    """Refuses a time zone that Postgres does not know."""
    try:
        yield
    except InvalidParameterValueError as error:
        raise refuse(
            "VALIDATION_ERROR", "The database does not know this zone.", path="$.time_zone"
        ) from error


def check_version(row: Record | None, seen: Collection[int]) -> Record:
    """The row, if its sender has seen this version. Refuses NOT_FOUND, PRECONDITION_FAILED."""
    if row is None or row["version"] not in seen:
        raise _lost(row)
    return row


def _lost(row: Record | None) -> Refused:
    return lost_update(None if row is None else row["version"])


async def _check_unused(running: PooledConnection, cinema_id: UUID, now: datetime) -> None:
    """Refuse to change what the showtimes of a cinema go by; tells which these are."""
    rows = await running.fetch(_UPCOMING_OF_CINEMA, cinema_id, now, UPCOMING_TOLD + 1)
    if rows:
        told = [UpcomingShowtime(**row) for row in rows[:UPCOMING_TOLD]]
        more = len(rows) > UPCOMING_TOLD
        message = "This cinema has coming showtimes: its time zone and currency stay."
        raise refuse("CINEMA_IN_USE", message, showtimes=msgspec.to_builtins(told), more=more)


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
