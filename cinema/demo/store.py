"""Inserts missing demo data, and leaves existing data as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from cinema.domain.pricing.book import BookSettings, Rule
from cinema.domain.seatmap import Layout
from cinema.features.accounts.store import NewUser
from cinema.features.catalog.movie_store import index_missing
from cinema.features.catalog.shapes import Cinema, CinemaSettings, Movie, Screen
from cinema.features.catalog.store import INSERT_MOVIE, movie_values
from cinema.features.showtimes.rules import Timetable
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

_KNOWN_USERS = "select email_key from users where email_key = any($1::text[])"

_KNOWN_SHOWTIMES = "select id from showtimes where id = any($1::uuid[])"

INSERT_USER = """
insert into users (id, email, email_key, password_hash, first_name, last_name, created_at,
                   email_verified, role)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing
"""

_INSERT_MANAGER = """
insert into cinema_managers (user_id, cinema_id)
select id, $2::uuid from users where email_key = $1
on conflict do nothing
"""

_ADD_MOVIE = f"{INSERT_MOVIE} on conflict do nothing"

_INSERT_CINEMA = """
insert into cinemas (
    id, name, address, city, country, time_zone, currency, created_at, ads_minutes,
    cleaning_minutes, rating_system, tax_number, tax_rates, invoice_prefix, opening_hours,
    opening_exceptions, legal_name, legal_address
)
values (
    $1::uuid, $2, $3, $4, $5, $6, $7, $8, $9,
    $10, $11, $12, $13::text::jsonb, $14, $15::text::jsonb,
    $16::text::jsonb, $17, $18
)
on conflict do nothing
"""

_INSERT_SCREEN = """
with screen as (
    insert into screens (id, cinema_id, name, layout_version, seat_count, created_at)
    values ($1::uuid, $2::uuid, $3, 1, $4, $6)
    on conflict do nothing
    returning id
)
insert into screen_layouts (screen_id, version, layout, seat_count, created_at)
select id, 1, $5::text::jsonb, $4, $6 from screen
"""

# Books and rules that somebody has changed or deleted stay as they are.
_PRICE_SETTINGS = """
update price_books set settings = $2::text::jsonb
where cinema_id = $1::uuid and settings_version = 1 and updated_at is null
    and settings is distinct from $2::text::jsonb
"""

_INSERT_RULE = """
insert into price_rules (id, cinema_id, rule, created_at)
values ($1::uuid, $2::uuid, $3::text::jsonb, $4)
on conflict do nothing
"""

_LOCK_SCREENS = """
select from screens where id = any($1::uuid[]) order by id for no key update
"""

# A showtime that would overlap one made by hand is left out.
_INSERT_SHOWTIME = """
with showtime as (
    insert into showtimes (
        id, movie_id, cinema_id, screen_id, screen_no, layout_version, starts_at, ends_at,
        clear_at, local_date, base_price_minor, currency, format, language, sales_opens_at,
        sales_closes_at, created_at
    )
    select $1::uuid, $2::uuid, screen.cinema_id, screen.id, screen.screen_no,
           screen.layout_version, $4, $5, $6, $7, $8, cinema.currency, $9, $10, $11, $12, $13
    from screens screen join cinemas cinema on cinema.id = screen.cinema_id
    where screen.id = $3::uuid
    on conflict do nothing
    returning id
)
insert into showtime_heads (showtime_id, epoch, seq) select id, 0, 0 from showtime
"""


# A film that somebody has changed keeps what it has.
_WITHOUT_POSTER = """
select id from movies
where id = any($1::uuid[]) and poster_url is null and version = 1 and deleted_at is null
"""
_SHOW_POSTER = """
update movies set poster_url = $2 where id = $1 and poster_url is null and version = 1
"""


class DemoUser(msgspec.Struct, frozen=True, kw_only=True):
    """An account with a role, and the cinemas it manages."""

    user: NewUser
    role: str
    cinema_ids: tuple[UUID, ...] = ()


class DemoShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime on a screen's current layout, sold in the currency of its cinema."""

    id: UUID
    movie_id: UUID
    screen_id: UUID
    times: Timetable
    base_price_minor: int
    format: str
    language: str


class DemoCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that showtimes need."""

    movies: Sequence[Movie]
    cinemas: Sequence[tuple[Cinema, CinemaSettings]]
    screens: Sequence[tuple[Screen, Layout]]
    prices: BookSettings
    rules: Sequence[tuple[UUID, Rule]]


class DemoRepository:
    """Safe for several processes at once: they insert in the same order and wait for each other."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def known_emails(self, emails: Sequence[str]) -> set[str]:
        """Which of these accounts exist."""
        async with connection(self._pool) as reading:
            return {row["email_key"] for row in await reading.fetch(_KNOWN_USERS, emails)}

    async def known_showtimes(self, ids: Sequence[UUID]) -> set[UUID]:
        """Which of these showtimes exist."""
        async with connection(self._pool) as reading:
            return {row["id"] for row in await reading.fetch(_KNOWN_SHOWTIMES, ids)}

    async def without_poster(self, ids: Sequence[UUID]) -> set[UUID]:
        """Which of these films have no poster, and were not changed by anybody."""
        async with connection(self._pool) as reading:
            return {row["id"] for row in await reading.fetch(_WITHOUT_POSTER, ids)}

    async def show_poster(self, movie_id: UUID, url: str) -> None:
        """Let a film show a poster, if it still has none."""
        async with changing(self._pool) as writing:
            await writing.execute(_SHOW_POSTER, movie_id, url)

    async def insert_missing(
        self,
        catalog: DemoCatalog,
        users: Sequence[DemoUser],
        showtimes: Sequence[DemoShowtime],
        now: datetime,
    ) -> None:
        """All of it in one transaction."""
        async with transaction(self._pool) as running:
            await _insert_catalog(running, catalog, now)
            await _insert_prices(running, catalog, now)
            await _insert_users(running, users)
            await running.execute(_LOCK_SCREENS, [screen.id for screen, _ in catalog.screens])
            await insert_showtimes(running, showtimes, now)


async def _insert_catalog(running: PooledConnection, catalog: DemoCatalog, now: datetime) -> None:
    await running.executemany(
        _ADD_MOVIE,
        [movie_values(movie.id, movie, now) for movie in catalog.movies],
    )
    # Only those that have none: what was changed by hand stays.
    await index_missing(running)
    await running.executemany(
        _INSERT_CINEMA,
        [
            (
                one.id,
                one.name,
                one.address,
                one.city,
                one.country,
                one.time_zone,
                one.currency,
                now,
                settings.ads_minutes,
                settings.cleaning_minutes,
                settings.rating_system,
                settings.tax_number,
                _json(settings.tax_rates),
                settings.invoice_prefix,
                _json(settings.opening_hours),
                _json(settings.opening_exceptions),
                settings.legal_name,
                settings.legal_address,
            )
            for one, settings in catalog.cinemas
        ],
    )
    await running.executemany(
        _INSERT_SCREEN,
        [
            (
                screen.id,
                screen.cinema_id,
                screen.name,
                screen.seat_count,
                _json(layout),
                now,
            )
            for screen, layout in catalog.screens
        ],
    )


async def _insert_prices(running: PooledConnection, catalog: DemoCatalog, now: datetime) -> None:
    settings = _json(catalog.prices)
    await running.executemany(
        _PRICE_SETTINGS, [(cinema.id, settings) for cinema, _ in catalog.cinemas]
    )
    rows = []
    for cinema_id, rule in catalog.rules:
        fields = msgspec.to_builtins(rule)
        del fields["id"]
        rows.append((rule.id, cinema_id, _json(fields), now))
    await running.executemany(_INSERT_RULE, rows)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _insert_users(running: PooledConnection, users: Sequence[DemoUser]) -> None:
    await running.executemany(
        INSERT_USER, [(*msgspec.structs.astuple(one.user), one.role) for one in users]
    )
    await running.executemany(
        _INSERT_MANAGER,
        [(one.user.email_key, cinema_id) for one in users for cinema_id in one.cinema_ids],
    )


async def insert_showtimes(
    running: PooledConnection, showtimes: Sequence[DemoShowtime], now: datetime
) -> None:
    """Insert showtimes that are missing, but for those that would overlap others."""
    await running.executemany(
        _INSERT_SHOWTIME,
        [
            (
                one.id,
                one.movie_id,
                one.screen_id,
                one.times.starts_at,
                one.times.ends_at,
                one.times.clear_at,
                one.times.local_date,
                one.base_price_minor,
                one.format,
                one.language,
                one.times.sales_opens_at,
                one.times.sales_closes_at,
                now,
            )
            for one in showtimes
        ],
    )
