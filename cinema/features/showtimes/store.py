"""Showtimes in Postgres: what the catalogue shows, and how a showtime is scheduled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.features.showtimes.rules import Timetable
from cinema.features.showtimes.shapes import Sales, Showtime, ShowtimeInput
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool, PooledConnection, run_once

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_SHOWTIME: Final = (
    "id, movie_id, cinema_id, screen_id, layout_version, starts_at, "
    "ends_at, base_price_minor, currency, format, language, status, sales_opens_at, "
    "sales_closes_at, sales_paused"
)

# The lock lets showtimes of one screen be scheduled one after the other: two at once would wait
# for each other in the exclusion constraint, and Postgres would call that a deadlock.
_FACTS = """
select screen.cinema_id, screen.screen_no, screen.layout_version,
       cinema.time_zone, cinema.currency,
       (select runtime_minutes from movies where id = $2) as runtime_minutes
from screens screen
join cinemas cinema on cinema.id = screen.cinema_id
where screen.id = $1
for no key update of screen
"""

# Only for showtimes that name categories: it reads the whole layout.
_CATEGORIES = """
select distinct category #>> '{}'
from screen_layouts,
    jsonb_path_query(layout, '$.rows[*].seats[*].category') as category
where screen_id = $1 and version = $2
"""

_INSERT = f"""
insert into showtimes (
    id, movie_id, cinema_id, screen_id, screen_no, layout_version, starts_at, ends_at, clear_at,
    local_date, base_price_minor, currency, price_overrides, format, language, sales_opens_at,
    sales_closes_at, rules, created_at
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9,
    $10, $11, $12, $13::text::jsonb, $14, $15, $16,
    $17, $18::text::jsonb, $19
)
returning {_SHOWTIME}
"""

_INSERT_HEAD = "insert into showtime_heads (showtime_id, epoch, seq) values ($1, 0, 0)"

_BY_ID = f"select {_SHOWTIME} from showtimes where id = $1"

# A calendar day somewhere on Earth lies within these of the same day in UTC.
_EAST: Final = timedelta(hours=15)
_WEST: Final = timedelta(hours=39)
# No showtime is longer: runtimes are at most 1000 minutes.
_LONGEST: Final = timedelta(days=1)


class ScreenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a showtime takes from its screen, cinema and film.

    `categories` are those of the layout, if the showtime has prices for categories.
    """

    cinema_id: UUID
    screen_no: int
    layout_version: int
    time_zone: str
    currency: str
    runtime_minutes: int | None
    categories: frozenset[str]


class ShowtimeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which showtimes; days are local days of each cinema, both included.

    `running_after` leaves out showtimes that are over by then.
    """

    cinema_id: UUID | None = None
    movie_id: UUID | None = None
    first_day: date | None = None
    last_day: date | None = None
    running_after: datetime | None = None


class ShowtimesRepository:
    """Reads showtimes, and schedules them one at a time per screen."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def schedule(
        self,
        showtime_id: UUID,
        request: ShowtimeInput,
        plan: Callable[[ScreenFacts], Timetable],
        now: datetime,
        key: IdempotencyKey | None,
    ) -> Showtime:
        """The new showtime and its head row, in one transaction.

        `plan` is called under the screen's lock. It decides by the facts and may refuse. Refuses
        UNKNOWN_REFERENCE and SCREEN_OCCUPIED.
        """

        async def insert(running: PooledConnection) -> Showtime:
            row = await running.fetchrow(_FACTS, request.screen_id, request.movie_id)
            if row is None:
                raise refuse("UNKNOWN_REFERENCE", "There is no such screen.", path="$.screen_id")
            categories: frozenset[str] = frozenset()
            if request.price_overrides:
                named = await running.fetch(_CATEGORIES, request.screen_id, row["layout_version"])
                categories = frozenset(one[0] for one in named)
            facts = ScreenFacts(**dict(row), categories=categories)
            times = plan(facts)
            row = await running.fetchrow(
                _INSERT,
                showtime_id,
                request.movie_id,
                facts.cinema_id,
                request.screen_id,
                facts.screen_no,
                facts.layout_version,
                times.starts_at,
                times.ends_at,
                times.clear_at,
                times.local_date,
                request.base_price.amount,
                request.base_price.currency,
                msgspec.json.encode(request.price_overrides).decode(),
                request.format,
                request.language,
                times.sales_opens_at,
                times.sales_closes_at,
                msgspec.json.encode(request.rules).decode(),
                now,
            )
            await running.execute(_INSERT_HEAD, showtime_id)
            if row is None:
                raise LookupError("the statement returned no row")
            return _showtime(row)

        return await run_once(self._pool, key, now, Showtime, insert)

    async def find(self, showtime_id: UUID) -> Showtime | None:
        """The showtime of an id."""
        row = await self._reads.fetchrow(_BY_ID, showtime_id)
        return None if row is None else _showtime(row)

    async def list(
        self, wanted: ShowtimeFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Showtime]:
        """Showtimes by start."""
        sql, arguments = _list_statement(wanted, after, limit)
        rows = await self._reads.fetch(sql, *arguments)
        return [_showtime(row) for row in rows]


def _list_statement(
    wanted: ShowtimeFilter, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[str, list[object]]:
    """Only the conditions asked for, so that each has its index; values are parameters."""
    arguments: list[object] = []
    conditions: list[str] = []

    def where(condition: str, value: object) -> None:
        arguments.append(value)
        conditions.append(condition.format(f"${len(arguments)}"))

    if wanted.cinema_id is not None:
        where("cinema_id = {}", wanted.cinema_id)
    if wanted.movie_id is not None:
        where("movie_id = {}", wanted.movie_id)
    if wanted.first_day is not None:
        where("local_date >= {}", wanted.first_day)
        where("starts_at >= {}", _utc_midnight(wanted.first_day) - _EAST)
    if wanted.last_day is not None:
        where("local_date <= {}", wanted.last_day)
        where("starts_at < {}", _utc_midnight(wanted.last_day) + _WEST)
    if wanted.running_after is not None:
        where("ends_at > {}", wanted.running_after)
        where("starts_at > {}", wanted.running_after - _LONGEST)
    if after is not None:
        arguments += after
        at = len(arguments)
        conditions.append(f"(starts_at, id) > (${at - 1}, ${at})")
    arguments.append(limit)
    condition = " and ".join(conditions) or "true"
    sql = f"""
select {_SHOWTIME} from showtimes where {condition}
order by starts_at, id limit ${len(arguments)}
"""
    return sql, arguments


def _utc_midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _showtime(row: Record) -> Showtime:
    return Showtime(
        id=row["id"],
        movie_id=row["movie_id"],
        cinema_id=row["cinema_id"],
        screen_id=row["screen_id"],
        layout_version=row["layout_version"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        base_price=Money(amount=row["base_price_minor"], currency=row["currency"]),
        format=row["format"],
        language=row["language"],
        status=row["status"],
        sales=Sales(
            opens_at=row["sales_opens_at"],
            closes_at=row["sales_closes_at"],
            paused=row["sales_paused"],
        ),
    )
