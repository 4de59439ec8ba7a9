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
from cinema.domain.sale_rules import Rules, ShowtimeRules
from cinema.features.showtimes.rules import Timetable, early_access_at
from cinema.features.showtimes.screening_event import ScreeningFacts
from cinema.features.showtimes.shapes import (
    Cancellation,
    Sales,
    Showtime,
    ShowtimeInput,
    ShowtimeStatus,
)
from cinema.storage.cache.versioned import Cache, Cached, NoCache, question
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    run_once,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_SHOWTIME: Final = (
    "id, movie_id, cinema_id, screen_id, layout_version, starts_at, "
    "ends_at, base_price_minor, currency, format, language, status, sales_opens_at, "
    "sales_closes_at, sales_paused, price_overrides::text, rules::text, free_refund_until, "
    "cancel_reason, version"
)

# The lock keeps the cinema's clock and currency as they are until the showtime is there. A deletion
# locks cinemas before screens, too.
_KEEP_CINEMA = """
select from cinemas where id = (select cinema_id from screens where id = $1) for key share
"""

# The lock lets showtimes of one screen be scheduled one after the other: two at once would wait
# for each other in the exclusion constraint, and Postgres would call that a deadlock.
_FACTS = """
select screen.cinema_id, screen.screen_no, screen.layout_version,
       cinema.time_zone, cinema.currency, cinema.ads_minutes, cinema.cleaning_minutes
from screens screen
join cinemas cinema on cinema.id = screen.cinema_id
where screen.id = $1 and screen.deleted_at is null
for no key update of screen
"""

# The lock keeps the film from being deleted while a showtime of it is scheduled.
_RUNTIME = """
select runtime_minutes from movies where id = $1 and deleted_at is null for key share
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
    sales_closes_at, rules, created_at, created_by
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9,
    $10, $11, $12, $13::text::jsonb, $14, $15, $16,
    $17, $18::text::jsonb, $19, $20
)
returning {_SHOWTIME}
"""

_INSERT_HEAD = "insert into showtime_heads (showtime_id, epoch, seq) values ($1, 0, 0)"

# What a change of a showtime is decided on. Read without a lock: what may have changed by the time
# of the change, its actor and the exclusion constraint look at again.
_CHANGE_FACTS = """
select showtime.cinema_id, showtime.screen_id, showtime.layout_version, showtime.starts_at,
       showtime.currency, showtime.version, showtime.sales_paused, screen.screen_no,
       screen.rules::text as screen_rules, cinema.time_zone, cinema.ads_minutes,
       cinema.cleaning_minutes,
       (select runtime_minutes from movies where id = $2 and deleted_at is null)
           as runtime_minutes
from showtimes showtime
join screens screen on screen.id = showtime.screen_id
join cinemas cinema on cinema.id = showtime.cinema_id
where showtime.id = $1
"""

# The lock keeps the layout that is current from being replaced by one of the same number.
_TARGET = """
select cinema_id, screen_no, layout_version, rules::text
from screens where id = $1 and deleted_at is null
for no key update
"""

# One that is there already is the same: the next layout of the screen gets a higher number.
_SAME_LAYOUT = """
insert into screen_layouts (screen_id, version, layout, seat_count, created_at, created_by)
select screen_id, $3, layout, seat_count, $4, created_by from screen_layouts
where screen_id = $1 and version = $2
on conflict do nothing
"""

_OCCUPIED = """
select exists (
    select from showtimes
    where screen_r && int4range($2, $2, '[]') and during && tstzrange($3, $4, '[)')
        and status <> 'cancelled' and id <> $1
)
"""

# A showtime that was moved may have the current layout under a number of its own (`onto`).
_LAYOUT_FACTS = """
select showtime.cinema_id, showtime.version, showtime.screen_id,
       greatest(screen.layout_version, showtime.layout_version) as current_version,
       array(select jsonb_object_keys(showtime.price_overrides)) as overridden
from showtimes showtime join screens screen on screen.id = showtime.screen_id
where showtime.id = $1
"""

_CANCEL_FACTS = """
select cinema_id, version, status, cancel_reason, cancelled_bookings, cancel_job_id
from showtimes where id = $1
"""

_PLACE = """
select movie.title as film, movie.runtime_minutes, movie.age_rating, cinema.name as cinema,
       cinema.address, cinema.city, cinema.country, cinema.time_zone, screen.name as screen
from showtimes showtime
join movies movie on movie.id = showtime.movie_id
join cinemas cinema on cinema.id = showtime.cinema_id
join screens screen on screen.id = showtime.screen_id
where showtime.id = $1
"""

_BY_ID = f"select {_SHOWTIME} from showtimes where id = $1"

# A calendar day somewhere on Earth lies within these of the same day in UTC.
_EAST: Final = timedelta(hours=15)
_WEST: Final = timedelta(hours=39)
# No showtime is longer: runtimes are at most 1000 minutes.
_LONGEST: Final = timedelta(days=1)


LISTED_S: Final = 60
"""How long lists are kept; for as long, one may show a showtime that is over."""

_CACHED_LIST: Final = Cached[list[Showtime]](
    "catalog:showtimes", list[Showtime], ttl_s=LISTED_S, rests_on=("showtimes",)
)


class ScreenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a showtime takes from its screen, cinema and film.

    `categories` are those of the layout, if the showtime has prices for categories.
    """

    cinema_id: UUID
    screen_no: int
    layout_version: int
    time_zone: str
    currency: str
    ads_minutes: int
    cleaning_minutes: int
    runtime_minutes: int | None
    categories: frozenset[str]


class ChangeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a showtime goes by; `version` is that of its row."""

    screen: ScreenFacts
    screen_id: UUID
    starts_at: datetime
    paused: bool
    version: int
    screen_rules: Rules


class LayoutFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of layout goes by; `current_version` is that of the screen.

    `overridden` are the categories that have a price of the showtime's own. Where there are some,
    `categories` are those of the current layout.
    """

    cinema_id: UUID
    version: int
    current_version: int
    overridden: tuple[str, ...]
    categories: frozenset[str]


class CancelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know before a showtime is cancelled; `done` if it is already."""

    cinema_id: UUID
    version: int
    done: Cancellation | None


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

    def __init__(self, pool: Pool, reads: Reads | None = None, cache: Cache | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)
        self._cache = cache or NoCache()

    async def schedule(
        self,
        showtime_id: UUID,
        request: ShowtimeInput,
        plan: Callable[[ScreenFacts], Timetable],
        now: datetime,
        key: IdempotencyKey | None,
        by: UUID,
    ) -> Showtime:
        """The new showtime and its head row, in one transaction.

        `plan` is called under the screen's lock. It decides by the facts and may refuse. Refuses
        UNKNOWN_REFERENCE and SCREEN_OCCUPIED.
        """

        async def insert(running: PooledConnection) -> Showtime:
            await running.execute(_KEEP_CINEMA, request.screen_id)
            row = await running.fetchrow(_FACTS, request.screen_id)
            if row is None:
                raise refuse("UNKNOWN_REFERENCE", "There is no such screen.", path="$.screen_id")
            runtime_minutes = await running.fetchval(_RUNTIME, request.movie_id)
            categories: frozenset[str] = frozenset()
            if request.price_overrides:
                named = await running.fetch(_CATEGORIES, request.screen_id, row["layout_version"])
                categories = frozenset(one[0] for one in named)
            facts = ScreenFacts(**dict(row), runtime_minutes=runtime_minutes, categories=categories)
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
                by,
            )
            await running.execute(_INSERT_HEAD, showtime_id)
            if row is None:
                raise LookupError("the statement returned no row")
            return _showtime(row)

        return await run_once(self._pool, key, now, Showtime, insert)

    async def change_facts(self, showtime_id: UUID, request: ShowtimeInput) -> ChangeFacts | None:
        """What the change of a showtime into `request` goes by, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_CHANGE_FACTS, showtime_id, request.movie_id)
            if row is None:
                return None
            categories: frozenset[str] = frozenset()
            if request.price_overrides:
                named = await reading.fetch(_CATEGORIES, row["screen_id"], row["layout_version"])
                categories = frozenset(one[0] for one in named)
        return ChangeFacts(
            screen=ScreenFacts(
                cinema_id=row["cinema_id"],
                screen_no=row["screen_no"],
                layout_version=row["layout_version"],
                time_zone=row["time_zone"],
                currency=row["currency"],
                ads_minutes=row["ads_minutes"],
                cleaning_minutes=row["cleaning_minutes"],
                runtime_minutes=row["runtime_minutes"],
                categories=categories,
            ),
            screen_id=row["screen_id"],
            starts_at=row["starts_at"],
            paused=row["sales_paused"],
            version=row["version"],
            screen_rules=msgspec.json.decode(row["screen_rules"], type=Rules),
        )

    async def onto(
        self, facts: ChangeFacts, request: ShowtimeInput, now: datetime
    ) -> ChangeFacts | None:
        """What a change goes by that is also a move to the request's screen; None without it.

        The versions of a showtime's plans rise with each move, so that each of them says which
        screen it is of. Where the screen's is too low, its layout is there under a higher number
        too, which nobody else uses: the screen stays as it is, also if the move is refused.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_TARGET, request.screen_id)
            if row is None or row["cinema_id"] != facts.screen.cinema_id:
                return None
            version: int = row["layout_version"]
            if version <= facts.screen.layout_version:
                higher = facts.screen.layout_version + 1
                await running.execute(_SAME_LAYOUT, request.screen_id, version, higher, now)
                version = higher
            categories: frozenset[str] = frozenset()
            if request.price_overrides:
                named = await running.fetch(_CATEGORIES, request.screen_id, version)
                categories = frozenset(one[0] for one in named)
        screen = msgspec.structs.replace(
            facts.screen,
            screen_no=row["screen_no"],
            layout_version=version,
            categories=categories,
        )
        rules = msgspec.json.decode(row["rules"], type=Rules)
        return msgspec.structs.replace(
            facts, screen=screen, screen_id=request.screen_id, screen_rules=rules
        )

    async def layout_facts(self, showtime_id: UUID) -> LayoutFacts | None:
        """What a change of layout goes by, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_LAYOUT_FACTS, showtime_id)
            if row is None:
                return None
            categories: frozenset[str] = frozenset()
            if row["overridden"]:
                named = await reading.fetch(_CATEGORIES, row["screen_id"], row["current_version"])
                categories = frozenset(one[0] for one in named)
        return LayoutFacts(
            cinema_id=row["cinema_id"],
            version=row["version"],
            current_version=row["current_version"],
            overridden=tuple(row["overridden"]),
            categories=categories,
        )

    async def cancel_facts(self, showtime_id: UUID) -> CancelFacts | None:
        """What there is to know before a showtime is cancelled, from the primary."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_CANCEL_FACTS, showtime_id)
        if row is None:
            return None
        done = None
        if row["status"] == "cancelled":
            done = Cancellation(
                id=showtime_id,
                reason=row["cancel_reason"] or "",
                bookings=row["cancelled_bookings"] or 0,
                job_id=row["cancel_job_id"],
            )
        return CancelFacts(cinema_id=row["cinema_id"], version=row["version"], done=done)

    async def is_occupied(self, showtime_id: UUID, screen_no: int, times: Timetable) -> bool:
        """Whether another showtime has the screen then, as far as is known now."""
        async with connection(self._pool) as reading:
            occupied: bool = await reading.fetchval(
                _OCCUPIED, showtime_id, screen_no, times.starts_at, times.clear_at
            )
        return occupied

    async def find(self, showtime_id: UUID) -> Showtime | None:
        """The showtime of an id."""
        row = await self._reads.fetchrow(_BY_ID, showtime_id)
        return None if row is None else _showtime(row)

    async def place(self, showtime_id: UUID) -> ScreeningFacts | None:
        """What film a showtime shows, and where."""
        row = await self._reads.fetchrow(_PLACE, showtime_id)
        return None if row is None else ScreeningFacts(**dict(row))

    async def list(
        self, wanted: ShowtimeFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Showtime]:
        """Showtimes by start."""

        async def load() -> list[Showtime]:
            sql, arguments = _list_statement(wanted, after, limit)
            rows = await self._reads.fetch(sql, *arguments)
            return [_showtime(row) for row in rows]

        days = (wanted.first_day, wanted.last_day, wanted.running_after is None)
        what = question(wanted.cinema_id, wanted.movie_id, *days, after, limit)
        return await self._cache.read(_CACHED_LIST, what, load) or []


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
    rules = msgspec.json.decode(row["rules"], type=ShowtimeRules)
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
        status=_status(row),
        sales=Sales(
            opens_at=row["sales_opens_at"],
            closes_at=row["sales_closes_at"],
            paused=row["sales_paused"],
            early_access_at=early_access_at(row["sales_opens_at"], rules),
        ),
        price_overrides=msgspec.json.decode(row["price_overrides"], type=dict[str, int]),
        rules=rules,
        free_refund_until=row["free_refund_until"],
        cancel_reason=row["cancel_reason"],
        version=row["version"],
    )


def _status(row: Record) -> ShowtimeStatus:
    """A showtime was moved far if and only if it has a time in which that may be refunded."""
    if row["status"] == "cancelled":
        return "cancelled"
    return "scheduled" if row["free_refund_until"] is None else "rescheduled"
