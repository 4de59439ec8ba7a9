"""Plans of schedules in Postgres, and how one becomes showtimes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.money import Money
from cinema.domain.rejections import refuse
from cinema.domain.sale_rules import Rules
from cinema.features.catalog.shapes import DayHours, WeekHours
from cinema.features.schedules.rules import (
    Addition,
    Calendar,
    HouseFilm,
    HouseScreen,
    PlannedCinema,
    ScreenVersion,
    TakenSlot,
)
from cinema.features.schedules.shapes import (
    Made,
    PlanInput,
    Schedule,
    ScheduledShow,
    SchedulePlan,
)
from cinema.storage.cache.versioned import Cache, Cached, NoCache
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
    transaction,
)

KEPT: Final = timedelta(days=30)
"""How long a plan is kept after it was asked for; the showtimes that it became stay."""

WAITING_LIMIT: Final = 5
"""Plans of one cinema that may be asked for and not yet done."""

SHOWTIMES_LIMIT: Final = 2000
"""Showtimes of one cinema and day: a hundred screens have fewer."""

_CINEMA: Final = """
select id, time_zone, currency, ads_minutes, cleaning_minutes, opening_hours::text,
    opening_exceptions::text
from cinemas where id = $1 and deleted_at is null"""

# The lock keeps its clock and its currency as they are while a plan is applied.
_KEPT_CINEMA: Final = f"{_CINEMA} for key share"

# The lock lets two requests for plans of one cinema count one after the other.
_WAITING: Final = """
select (select count(*) from schedule_plans plan join jobs job on job.id = plan.job_id
        where plan.cinema_id = $1 and job.status in ('queued', 'running'))
from cinemas where id = $1 for no key update"""
_INSERT: Final = """
insert into schedule_plans (id, cinema_id, job_id, date_from, date_to, request, created_at)
values ($1, $2, $3, $4, $5, $6::text::jsonb, $7)"""

_PLAN: Final = """
select plan.id, plan.cinema_id, plan.job_id, plan.date_from, plan.date_to, plan.progress,
    plan.made::text as made, plan.created_at, plan.applied_at,
    case when plan.applied_at is not null then 'applied'
        when plan.done then 'done'
        when job.status in ('queued', 'running', 'cancelled') then job.status
        else 'failed' end as status
from schedule_plans plan
left join jobs job on job.id = plan.job_id
where plan.id = $1"""
_REQUEST: Final = "select request::text from schedule_plans where id = $1"
_PROGRESS: Final = """
update schedule_plans set progress = $2, made = $3::text::jsonb, done = $4
where id = $1 and not done"""
_APPLIED: Final = "update schedule_plans set applied_at = $2 where id = $1"
_FORGET: Final = """
with gone as (
    delete from schedule_plans where id = any(array(
        select id from schedule_plans where created_at < $1 order by created_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

_SCREENS: Final = """
select id, screen_no, layout_version, seat_count from screens
where cinema_id = $1 and deleted_at is null order by id"""
# In the order of ids, as everybody locks them who locks several.
_LOCKED_SCREENS: Final = """
select id, screen_no, layout_version, seat_count from screens
where cinema_id = $1 and id = any($2) and deleted_at is null order by id for no key update"""
_FILMS: Final = """
select id, runtime_minutes, languages from movies where id = any($1) and deleted_at is null"""
# The lock keeps them from being deleted while showtimes of them are made.
_LOCKED_FILMS: Final = """
select id, runtime_minutes from movies where id = any($1) and deleted_at is null
order by id for key share"""
_TAKEN: Final = """
select id, screen_id, movie_id, starts_at, clear_at, format, language from showtimes
where cinema_id = $1 and status <> 'cancelled' and starts_at < $3 and clear_at > $2
    and starts_at > $2 - interval '2 days'
order by starts_at, id"""

# Two days around one in UTC hold that day of every calendar; they have an index.
_SCHEDULE: Final = """
select show.id, show.movie_id, show.screen_id, show.starts_at, show.ends_at, show.format,
    show.language, show.base_price_minor, show.currency,
    movie.title as movie_title, screen.name as screen_name
from showtimes show
join movies movie on movie.id = show.movie_id
join screens screen on screen.id = show.screen_id
where show.cinema_id = $1 and show.local_date = $2 and show.starts_at >= $3
    and show.starts_at < $4 and show.status <> 'cancelled'
order by show.starts_at, show.id limit $5"""

_INSERT_SHOWS: Final = """
with made as (
    insert into showtimes (
        id, movie_id, cinema_id, screen_id, screen_no, layout_version, starts_at, ends_at,
        clear_at, local_date, base_price_minor, currency, format, language, sales_opens_at,
        sales_closes_at, rules, created_at, created_by
    )
    select id, movie_id, $1, screen_id, screen_no, layout_version, starts_at, ends_at,
        clear_at, local_date, base_price_minor, currency, format, language, sales_opens_at,
        sales_closes_at, $2::text::jsonb, $3, $5
    from jsonb_to_recordset($4::text::jsonb) as show (
        id uuid, movie_id uuid, screen_id uuid, screen_no integer, layout_version integer,
        starts_at timestamptz, ends_at timestamptz, clear_at timestamptz, local_date date,
        base_price_minor bigint, currency text, format text, language text,
        sales_opens_at timestamptz, sales_closes_at timestamptz
    )
    returning id
)
insert into showtime_heads (showtime_id, epoch, seq) select id, 0, 0 from made"""


class CinemaFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan's request is compared with."""

    time_zone: str
    currency: str


_CACHED_SCHEDULE: Final = Cached[Schedule](
    "catalog:schedule", Schedule, ttl_s=900, rests_on=("cinemas", "movies", "showtimes")
)


class SchedulesRepository:
    """Keeps plans, and makes showtimes of one: all or none."""

    def __init__(self, pool: Pool, reads: Reads | None = None, cache: Cache | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)
        self._cache = cache or NoCache()

    async def cinema(self, cinema_id: UUID) -> CinemaFacts | None:
        """The cinema of an id."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_CINEMA, cinema_id)
        if row is None:
            return None
        return CinemaFacts(time_zone=row["time_zone"], currency=row["currency"])

    async def house(
        self, cinema_id: UUID, movie_ids: Sequence[UUID], first: datetime, last: datetime
    ) -> PlannedCinema | None:
        """The cinema as a plan sees it, with the showtimes between two moments."""
        async with connection(self._pool) as reading:
            cinema = await reading.fetchrow(_CINEMA, cinema_id)
            screens = await reading.fetch(_SCREENS, cinema_id)
            films = await reading.fetch(_FILMS, list(movie_ids))
            taken = await reading.fetch(_TAKEN, cinema_id, first, last)
        if cinema is None:
            return None
        return PlannedCinema(
            zone=ZoneInfo(cinema["time_zone"]),
            ads_minutes=cinema["ads_minutes"],
            cleaning_minutes=cinema["cleaning_minutes"],
            opening_hours=msgspec.json.decode(cinema["opening_hours"], type=WeekHours | None),
            opening_exceptions=msgspec.json.decode(
                cinema["opening_exceptions"], type=list[DayHours]
            ),
            screens=[HouseScreen(id=_id(row), seats=row["seat_count"]) for row in screens],
            films={
                _id(row): HouseFilm(
                    runtime_minutes=row["runtime_minutes"], languages=row["languages"]
                )
                for row in films
            },
            taken=[_taken(row) for row in taken],
        )

    async def add(
        self,
        plan_id: UUID,
        request: PlanInput,
        now: datetime,
        key: IdempotencyKey | None,
        enqueue: Callable[[PooledConnection], Awaitable[UUID]],
    ) -> SchedulePlan:
        """The new plan with its job, in one transaction. Refuses SCHEDULE_LIMIT."""

        async def insert(running: PooledConnection) -> SchedulePlan:
            waiting = await running.fetchval(_WAITING, request.cinema_id)
            if waiting >= WAITING_LIMIT:
                raise refuse("SCHEDULE_LIMIT", limit=WAITING_LIMIT)
            job_id = await enqueue(running)
            text = msgspec.json.encode(request).decode()
            days = (request.date_from, request.date_to)
            await running.execute(_INSERT, plan_id, request.cinema_id, job_id, *days, text, now)
            row = await running.fetchrow(_PLAN, plan_id)
            if row is None:
                raise LookupError("the plan that was written is not there")
            return _plan(row)

        return await run_once(self._pool, key, now, SchedulePlan, insert)

    async def find(self, plan_id: UUID) -> SchedulePlan | None:
        """A plan and how far it is."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PLAN, plan_id)
        return None if row is None else _plan(row)

    async def request(self, plan_id: UUID) -> PlanInput | None:
        """What a plan was asked to be."""
        async with connection(self._pool) as reading:
            text = await reading.fetchval(_REQUEST, plan_id)
        return None if text is None else msgspec.json.decode(text, type=PlanInput)

    async def note(
        self,
        plan_id: UUID,
        progress: float,
        made: Made,
        report: Callable[[PooledConnection], Awaitable[None]],
        *,
        done: bool,
    ) -> None:
        """The best so far, in one transaction with the report of the job."""
        text = msgspec.json.encode(made).decode()
        async with transaction(self._pool) as running:
            await report(running)
            await running.execute(_PROGRESS, plan_id, progress, text, done)

    async def cancel(self, call_off: Callable[[PooledConnection], Awaitable[bool]]) -> bool:
        """End a plan's job; False if it has ended by itself.

        The plan is not locked: whoever reports on it has the job first, and then the plan.
        """
        async with transaction(self._pool) as running:
            return await call_off(running)

    async def apply(
        self,
        plan_id: UUID,
        now: datetime,
        by: UUID,
        decide: Callable[[SchedulePlan, Calendar], Sequence[Addition]],
    ) -> SchedulePlan:
        """Make the showtimes of a plan, all or none; a plan that was applied stays as it is.

        `decide` says which, on a calendar that does not change meanwhile, and may refuse. Refuses
        NOT_FOUND, and SCREEN_OCCUPIED if a showtime is moved here at the same moment.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_PLAN + " for update of plan", plan_id)
            if row is None:
                raise refuse("NOT_FOUND")
            plan = _plan(row)
            if plan.status == "applied":
                return plan
            calendar = await self._calendar(running, plan, _made(row).time_zone)
            additions = decide(plan, calendar)
            await running.execute(
                _INSERT_SHOWS,
                plan.cinema_id,
                msgspec.json.encode(Rules()).decode(),
                now,
                msgspec.json.encode([_row(one) for one in additions]).decode(),
                by,
            )
            await running.execute(_APPLIED, plan_id, now)
            return msgspec.structs.replace(plan, status="applied", applied_at=now)

    async def _calendar(
        self, running: PooledConnection, plan: SchedulePlan, planned_zone: str | None
    ) -> Calendar:
        screen_ids = list({show.screen_id for show in plan.shows})
        movie_ids = list({show.movie_id for show in plan.shows})
        first = min((show.starts_at for show in plan.shows), default=plan.created_at)
        last = max((show.ends_at for show in plan.shows), default=plan.created_at)
        cinema = await running.fetchrow(_KEPT_CINEMA, plan.cinema_id)
        if cinema is None:
            raise refuse("NOT_FOUND")
        screens = await running.fetch(_LOCKED_SCREENS, plan.cinema_id, screen_ids)
        films = await running.fetch(_LOCKED_FILMS, movie_ids)
        taken = await running.fetch(_TAKEN, plan.cinema_id, first, last + timedelta(days=1))
        return Calendar(
            time_zone=cinema["time_zone"],
            planned_zone=planned_zone,
            currency=cinema["currency"],
            ads_minutes=cinema["ads_minutes"],
            cleaning_minutes=cinema["cleaning_minutes"],
            screens={
                _id(row): ScreenVersion(
                    screen_no=row["screen_no"], layout_version=row["layout_version"]
                )
                for row in screens
            },
            runtimes={_id(row): row["runtime_minutes"] for row in films},
            taken=[_taken(row) for row in taken],
        )

    async def schedule(self, cinema_id: UUID, day: date) -> Schedule | None:
        """What a cinema shows on a day of its own calendar, by start."""

        async def load() -> Schedule | None:
            # What is kept for others must not rest on what the caller has seen of the cinema.
            cinema = await self._reads.fetchrow(_CINEMA, cinema_id)
            if cinema is None:
                return None
            time_zone: str = cinema["time_zone"]
            zone = ZoneInfo(time_zone)
            rows = await self._reads.fetch(
                _SCHEDULE, cinema_id, day, *_around(day), SHOWTIMES_LIMIT
            )
            return Schedule(
                cinema_id=cinema_id,
                date=day,
                time_zone=time_zone,
                showtimes=[_scheduled(row, zone) for row in rows],
            )

        what = f"{cinema_id}:{day}"
        return await self._cache.read(_CACHED_SCHEDULE, what, load)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete plans that were asked for long ago, a bounded number; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, limit)
        return gone


def _around(day: date) -> tuple[datetime, datetime]:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight - timedelta(hours=15), midnight + timedelta(hours=39)


def _scheduled(row: Record, zone: tzinfo) -> ScheduledShow:
    return ScheduledShow(
        id=_id(row),
        movie_id=_id(row, "movie_id"),
        movie_title=row["movie_title"],
        screen_id=_id(row, "screen_id"),
        screen_name=row["screen_name"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        local_start=row["starts_at"].astimezone(zone).strftime("%H:%M"),
        format=row["format"],
        language=row["language"],
        base_price=Money(amount=row["base_price_minor"], currency=row["currency"]),
    )


def _id(row: Record, column: str = "id") -> UUID:
    return UUID(bytes=row[column].bytes)


def _taken(row: Record) -> TakenSlot:
    return TakenSlot(
        id=_id(row),
        screen_id=_id(row, "screen_id"),
        movie_id=_id(row, "movie_id"),
        starts_at=row["starts_at"],
        clear_at=row["clear_at"],
        format=row["format"],
        language=row["language"],
    )


def _made(row: Record) -> Made:
    return Made() if row["made"] is None else msgspec.json.decode(row["made"], type=Made)


def _plan(row: Record) -> SchedulePlan:
    made = _made(row)
    return SchedulePlan(
        id=_id(row),
        cinema_id=_id(row, "cinema_id"),
        job_id=_id(row, "job_id"),
        date_from=row["date_from"],
        date_to=row["date_to"],
        status=row["status"],
        progress=row["progress"],
        method=made.method,
        objective=made.objective,
        bound=made.bound,
        gap=made.gap,
        shows=made.shows,
        unmet=made.unmet,
        created_at=row["created_at"],
        applied_at=row["applied_at"],
    )


def _row(one: Addition) -> dict[str, UUID | str | int | date | datetime]:
    return {
        "id": one.id,
        "movie_id": one.show.movie_id,
        "screen_id": one.show.screen_id,
        "screen_no": one.screen.screen_no,
        "layout_version": one.screen.layout_version,
        "starts_at": one.times.starts_at,
        "ends_at": one.times.ends_at,
        "clear_at": one.times.clear_at,
        "local_date": one.times.local_date,
        "base_price_minor": one.show.base_price.amount,
        "currency": one.show.base_price.currency,
        "format": one.show.format,
        "language": one.show.language,
        "sales_opens_at": one.times.sales_opens_at,
        "sales_closes_at": one.times.sales_closes_at,
    }
