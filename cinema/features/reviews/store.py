"""Reviews in Postgres. A trigger keeps the count and the sum of ratings on their films."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.reviews.rules import REPORTS_TO_WAIT
from cinema.features.reviews.shapes import (
    ModeratedReview,
    OwnReview,
    ReportReason,
    Review,
    ReviewDeleted,
    ReviewStatus,
)
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

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

Position = tuple[datetime, UUID]
"""The moment at which a review was written, and its id."""

DELETED_KEPT: Final = timedelta(days=90)
"""How long a deleted review is kept, for whoever has to say what was there."""

_SHOWN: Final = """r.id, r.movie_id, coalesce(u.first_name, '') as author, r.rating, r.text,
    r.created_at, r.updated_at"""
_OWN: Final = f"{_SHOWN}, r.status, r.reason"
_MODERATED: Final = f"""{_OWN}, r.user_id, r.reports, r.decided_at, r.decided_by, array(
    select distinct t.reason from review_reports t where t.review_id = r.id
        and (r.decided_at is null or t.at > r.decided_at) order by 1
) as reported_for"""
_AUTHORS: Final = "left join users u on u.id = r.user_id and u.deleted_at is null"

_OF_MOVIE: Final = f"""
select {_SHOWN} from reviews r {_AUTHORS}
where r.movie_id = $1 and r.status = 'published' and r.deleted_at is null
    and ($2::timestamptz is null or (r.created_at, r.id) < ($2, $3))
order by r.created_at desc, r.id desc limit $4"""
_OF_USER: Final = f"""
select {_OWN} from reviews r {_AUTHORS}
where r.user_id = $1 and r.deleted_at is null
    and ($2::timestamptz is null or (r.created_at, r.id) < ($2, $3))
order by r.created_at desc, r.id desc limit $4"""
_BY_STATUS: Final = f"""
select {_MODERATED} from reviews r {_AUTHORS}
where r.status = $1 and r.deleted_at is null
    and ($2::timestamptz is null or (r.created_at, r.id) > ($2, $3))
order by r.created_at, r.id limit $4"""
_BY_ID: Final = f"""
select {_MODERATED} from reviews r {_AUTHORS} where r.id = $1 and r.deleted_at is null"""
_OWN_BY_ID: Final = f"select {_OWN} from reviews r {_AUTHORS} where r.id = $1"
_AUTHOR_OF: Final = "select user_id from reviews where id = $1 and deleted_at is null"

# The bookings of guests whom an account has claimed are its own.
_WAS_LET_IN: Final = """
select exists (
    select from bookings b
    join showtimes t on t.id = b.showtime_id and t.movie_id = $2
    join ticket_entries e on e.booking_id = b.id
    where b.user_id = $1 or b.user_id in (select id from guests where claimed_by = $1)
)"""
_WAS_BOOKED: Final = """
select exists (
    select from bookings b
    join showtimes t on t.id = b.showtime_id and t.movie_id = $2 and t.ends_at <= $3
        and t.status <> 'cancelled'
    where (b.user_id = $1 or b.user_id in (select id from guests where claimed_by = $1))
        and b.status = 'confirmed'
)"""
_ADD: Final = """
insert into reviews (id, movie_id, user_id, rating, text, status, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (user_id, movie_id) where deleted_at is null do nothing
returning true"""
# The one before is gone only if the new one could be added, so this sees what became of it.
_WAIT_AS_BEFORE: Final = """
update reviews set status = 'pending'
where id = $1 and status = 'published' and (
    select before.status from reviews before
    where before.user_id = $2 and before.movie_id = $3 and before.deleted_at is not null
    order by before.deleted_at desc limit 1
) <> 'published'"""
_OTHER: Final = """
select id from reviews where user_id = $1 and movie_id = $2 and deleted_at is null"""
_LOCK_OWN: Final = """
select rating, text, status from reviews
where id = $1 and user_id = $2 and deleted_at is null for update"""
_CHANGE: Final = """
update reviews set rating = $2, text = $3, status = $4, updated_at = $5,
    reason = case when status = 'rejected' then '' else reason end
where id = $1"""
_DELETE: Final = """
update reviews set deleted_at = $3 where id = $1 and user_id = $2 and deleted_at is null
returning id, movie_id"""

# Those of before the last decision count no longer, and who has reported once does not count again.
_LOCK_REPORTED: Final = """
select reports from reviews where id = $1 and status = 'published' and deleted_at is null
for update"""
_ADD_REPORT: Final = """
insert into review_reports (review_id, user_id, reason, at) values ($1, $2, $3, $4)
on conflict do nothing
returning true"""
_COUNT_REPORT: Final = f"""
update reviews set reports = reports + 1,
    status = case when reports + 1 >= {REPORTS_TO_WAIT} then 'pending' else status end
where id = $1"""
_LOCK: Final = "select status from reviews where id = $1 and deleted_at is null for update"
_DECIDE: Final = """
update reviews set status = $2, reason = $3, decided_at = $4, decided_by = $5, reports = 0
where id = $1"""
_FORGET: Final = """
with gone as (
    delete from reviews where id = any(array(
        select id from reviews where deleted_at < $1 order by deleted_at limit $2
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""


class ReviewsRepository:
    """Reads and writes reviews."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    async def of_movie(self, movie_id: UUID, after: Position | None, limit: int) -> list[Review]:
        """Published reviews, the newest first."""
        rows = await self._reads.fetch(_OF_MOVIE, movie_id, *(after or (None, None)), limit)
        return [Review(**dict(row)) for row in rows]

    async def of_user(self, user_id: UUID, after: Position | None, limit: int) -> list[OwnReview]:
        """What somebody has written, the newest first."""
        rows = await self._reads.fetch(_OF_USER, user_id, *(after or (None, None)), limit)
        return [_own(row) for row in rows]

    async def by_status(
        self, status: ReviewStatus, after: Position | None, limit: int
    ) -> list[ModeratedReview]:
        """Reviews of a status, the oldest first."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_BY_STATUS, status, *(after or (None, None)), limit)
        return [_moderated(row) for row in rows]

    async def author_of(self, review_id: UUID) -> UUID | None:
        """Who has written a review."""
        async with connection(self._pool) as reading:
            user_id: UUID | None = await reading.fetchval(_AUTHOR_OF, review_id)
        return user_id

    async def add(
        self,
        review_id: UUID,
        movie_id: UUID,
        user_id: UUID,
        rating: int,
        text: str,
        status: ReviewStatus,
        *,
        needs_scan: bool,
        now: datetime,
        key: IdempotencyKey | None,
    ) -> OwnReview:
        """A new review; it waits if the last one that its author took away was not published.

        Refuses REVIEW_NOT_ALLOWED, ALREADY_REVIEWED.
        """

        async def insert(running: PooledConnection) -> OwnReview:
            if needs_scan:
                seen = await running.fetchval(_WAS_LET_IN, user_id, movie_id)
            else:
                seen = await running.fetchval(_WAS_BOOKED, user_id, movie_id, now)
            if not seen:
                raise refuse("REVIEW_NOT_ALLOWED")
            values = (review_id, movie_id, user_id, rating, text, status, now)
            if not await running.fetchval(_ADD, *values):
                other_id = await running.fetchval(_OTHER, user_id, movie_id)
                raise refuse("ALREADY_REVIEWED", review_id=str(other_id))
            await running.execute(_WAIT_AS_BEFORE, review_id, user_id, movie_id)
            return _own(_some(await running.fetchrow(_OWN_BY_ID, review_id)))

        return await run_once(self._pool, key, now, OwnReview, insert)

    async def change(
        self,
        review_id: UUID,
        user_id: UUID,
        rating: int | None,
        text: str | None,
        status_of: Callable[[str, ReviewStatus], ReviewStatus],
        now: datetime,
    ) -> OwnReview | None:
        """A review as its author wants it now; None if there is none of theirs."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_LOCK_OWN, review_id, user_id)
            if row is None:
                return None
            said = row["text"] if text is None else text
            stars = row["rating"] if rating is None else rating
            if (stars, said) != (row["rating"], row["text"]):
                status = status_of(said, row["status"])
                await running.execute(_CHANGE, review_id, stars, said, status, now)
            return _own(_some(await running.fetchrow(_OWN_BY_ID, review_id)))

    async def delete(self, review_id: UUID, user_id: UUID, now: datetime) -> ReviewDeleted | None:
        """Take a review away; None if there is none of theirs."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_DELETE, review_id, user_id, now)
        return None if row is None else ReviewDeleted(**dict(row))

    async def report(
        self, review_id: UUID, user_id: UUID, reason: ReportReason, now: datetime
    ) -> bool:
        """Note that somebody has reported a review; False if it is not published."""
        async with transaction(self._pool) as running:
            if await running.fetchrow(_LOCK_REPORTED, review_id) is None:
                return False
            if await running.fetchval(_ADD_REPORT, review_id, user_id, reason, now):
                await running.execute(_COUNT_REPORT, review_id)
        return True

    async def decide(
        self, review_id: UUID, status: ReviewStatus, reason: str, act: Act
    ) -> ModeratedReview | None:
        """A review as a moderator has decided; None if there is none."""
        async with transaction(self._pool) as running:
            before = await running.fetchval(_LOCK, review_id)
            if before is None:
                return None
            await running.execute(_DECIDE, review_id, status, reason, act.at, act.by)
            await note_act(
                running,
                act,
                f"review_{status}",
                review_id,
                before={"status": before},
                after={"status": status},
            )
            return _moderated(_some(await running.fetchrow(_BY_ID, review_id)))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of reviews that their authors took away long ago; how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - DELETED_KEPT, limit)
        return gone


def _own(row: Record) -> OwnReview:
    return OwnReview(**dict(row))


def _moderated(row: Record) -> ModeratedReview:
    return ModeratedReview(**dict(row))


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row
