"""Deletions of films, cinemas and screens in Postgres, and of the showtimes that stand on them.

What has no coming showtimes is deleted at once. Otherwise a job comes first that cancels them
(`features/showtimes/jobs.py`), as long as nobody has booked one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.catalog.movie_store import forget_titles
from cinema.features.catalog.shapes import Deleted, UpcomingShowtime
from cinema.features.catalog.store import UPCOMING_TOLD, check_version
from cinema.features.jobs.store import JobsRepository
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    connection,
    run_once,
    transaction,
)

DELETION: Final = "catalog_deletion"
"""The kind of job that cancels coming showtimes and then deletes what they stand on."""


_MARK: Final = "set deleted_at = $2, updated_at = $2, updated_by = $3, version = version + 1"

# No showtime is longer than a day.
_COMING: Final = """
from showtimes showtime
where showtime.{column} = $1 and showtime.status <> 'cancelled'
  and showtime.starts_at > $2::timestamptz - interval '1 day' and showtime.ends_at > $2
"""
_BOOKED: Final = """
select coming.id, coming.starts_at, booked.bookings
from (select showtime.id, showtime.starts_at {coming}) coming
cross join lateral (
    select count(*) as bookings from bookings booking
    where booking.showtime_id = coming.id and booking.status in ('pending', 'confirmed')
) booked
where booked.bookings > 0
order by coming.starts_at, coming.id
limit $3
"""
_PAGE: Final = """
select showtime.id, showtime.sales_paused as paused {coming}
  and showtime.id > $3
order by showtime.id limit $4
"""
_COUNT: Final = "select count(*) {coming}"
_PAUSED: Final = "select showtime.id {coming} and showtime.sales_paused"


class Deletable(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of thing that showtimes stand on.

    Whoever schedules a showtime holds a weaker lock on what `locks` locks until it is there: a
    deletion waits and then finds it, or the showtime finds nothing to stand on.
    """

    name: str
    code: str
    column: str
    locks: tuple[str, ...]
    deletes: tuple[str, ...]

    def of_coming(self, statement: str) -> str:
        """A statement about its coming showtimes: $1 is its id, $2 the present time."""
        return statement.format(coming=_COMING.format(column=self.column))


MOVIE: Final = Deletable(
    name="movie",
    code="MOVIE_IN_USE",
    column="movie_id",
    locks=(
        "select version, deleted_at, null::uuid as cinema_id from movies where id = $1 for update",
    ),
    deletes=(f"update movies {_MARK} where id = $1",),
)
CINEMA: Final = Deletable(
    name="cinema",
    code="CINEMA_IN_USE",
    column="cinema_id",
    locks=(
        "select version, deleted_at, id as cinema_id from cinemas where id = $1 for update",
        "select from screens where cinema_id = $1 and deleted_at is null order by id for update",
    ),
    deletes=(
        f"update screens {_MARK} where cinema_id = $1 and deleted_at is null",
        f"update cinemas {_MARK} where id = $1",
    ),
)
SCREEN: Final = Deletable(
    name="screen",
    code="SCREEN_IN_USE",
    column="screen_id",
    locks=("select version, deleted_at, cinema_id from screens where id = $1 for update",),
    deletes=(f"update screens {_MARK} where id = $1",),
)
DELETABLE: Final[Mapping[str, Deletable]] = {one.name: one for one in (MOVIE, CINEMA, SCREEN)}


class Coming(msgspec.Struct, frozen=True):
    """A showtime that is neither over nor cancelled, and whether its sales are paused."""

    id: UUID
    paused: bool


class DeletionsRepository:
    """Deletes things, or has a job cancel their coming showtimes first."""

    def __init__(self, pool: Pool, jobs: JobsRepository) -> None:
        self._pool = pool
        self._jobs = jobs

    async def delete(
        self,
        kind: Deletable,
        its_id: UUID,
        seen: Collection[int],
        now: datetime,
        by: UUID,
        key: IdempotencyKey | None,
        *,
        allow: Callable[[UUID], None] | None = None,
    ) -> Deleted:
        """Delete it now, or by a job if it has coming showtimes; a repetition gets that job.

        `allow` refuses those who may not at the cinema of it. Refuses NOT_FOUND,
        PRECONDITION_FAILED, and the code of the kind with coming showtimes that have bookings.
        """

        async def effect(running: PooledConnection) -> Deleted:
            row = await running.fetchrow(kind.locks[0], its_id)
            if row is not None and row["deleted_at"] is not None:
                row = None
            if row is not None and allow is not None:
                allow(row["cinema_id"])
            row = check_version(row, seen)
            for lock in kind.locks[1:]:
                await running.execute(lock, its_id)
            booked = await self._booked(running, kind, its_id, now)
            if booked:
                told, more = booked[:UPCOMING_TOLD], len(booked) > UPCOMING_TOLD
                raise refuse(kind.code, showtimes=msgspec.to_builtins(told), more=more)
            coming = await running.fetchval(kind.of_coming(_COUNT), its_id, now)
            if not coming:
                await _mark(running, kind, its_id, now, by)
                return Deleted(id=its_id, deleted_at=now)
            job = await self._jobs.enqueue(
                running,
                kind=DELETION,
                owner_id=by,
                cinema_id=row["cinema_id"],
                input={"kind": kind.name, "id": str(its_id)},
                total=coming,
                only_one=f"{kind.name}:{its_id}",
            )
            return Deleted(id=its_id, deleted_at=None, job_id=job.id)

        return await run_once(self._pool, key, now, Deleted, effect)

    async def finish(self, kind: Deletable, its_id: UUID, now: datetime, by: UUID | None) -> bool:
        """Delete it behind its showtimes; False if there are coming ones again."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(kind.locks[0], its_id)
            if row is None or row["deleted_at"] is not None:
                return True
            for lock in kind.locks[1:]:
                await running.execute(lock, its_id)
            if await running.fetchval(kind.of_coming(_COUNT), its_id, now):
                return False
            await _mark(running, kind, its_id, now, by)
        return True

    async def is_booked(self, kind: Deletable, its_id: UUID, now: datetime) -> bool:
        """Whether somebody has booked a coming showtime."""
        async with connection(self._pool) as reading:
            return bool(await self._booked(reading, kind, its_id, now))

    async def coming(
        self, kind: Deletable, its_id: UUID, now: datetime, after: UUID, limit: int
    ) -> list[Coming]:
        """Coming showtimes in order of ids."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(kind.of_coming(_PAGE), its_id, now, after, limit)
        return [Coming(UUID(bytes=row["id"].bytes), row["paused"]) for row in rows]

    async def paused(self, kind: Deletable, its_id: UUID, now: datetime) -> list[UUID]:
        """The coming showtimes whose sales are paused."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(kind.of_coming(_PAUSED), its_id, now)
        return [UUID(bytes=row["id"].bytes) for row in rows]

    @staticmethod
    async def _booked(
        reading: PooledConnection, kind: Deletable, its_id: UUID, now: datetime
    ) -> list[UpcomingShowtime]:
        rows = await reading.fetch(kind.of_coming(_BOOKED), its_id, now, UPCOMING_TOLD + 1)
        return [UpcomingShowtime(**row) for row in rows]


async def _mark(
    running: PooledConnection, kind: Deletable, its_id: UUID, now: datetime, by: UUID | None
) -> None:
    for statement in kind.deletes:
        await running.execute(statement, its_id, now, by)
    if kind is MOVIE:
        await forget_titles(running, [its_id])
