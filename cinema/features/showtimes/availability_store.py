"""Which showtimes there are to look at, and how far each has come, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool

# A calendar day somewhere on Earth lies within these of the same day in UTC.
_EAST: Final = timedelta(hours=15)
_WEST: Final = timedelta(hours=39)

SEQS: Final = """
select showtime.id, head.seq
from showtimes showtime join showtime_heads head on head.showtime_id = showtime.id
where showtime.id = any($1) and showtime.status <> 'cancelled' and showtime.ends_at > $2
"""

NEXT_OF_MOVIES: Final = """
select movie.id as movie_id, showtime.id as showtime_id
from unnest($1::uuid[]) movie (id)
cross join lateral (
    select id, starts_at from showtimes
    where movie_id = movie.id and status <> 'cancelled'
        and starts_at > $2 and starts_at < $3
        and ($4::date is null or local_date = $4) and ($5::uuid is null or cinema_id = $5)
    order by starts_at, id limit $6
) showtime
order by showtime.starts_at, showtime.id
"""


class AvailabilityRepository:
    """Reads heads of showtimes, which move with each of their events."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._reads = reads or PrimaryReads(pool)

    async def seqs(self, showtime_ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
        """The last seq of each; without those that are over, cancelled or unknown."""
        rows = await self._reads.fetch(SEQS, showtime_ids, now)
        return {row["id"]: row["seq"] for row in rows}

    async def next_of_movies(
        self,
        movie_ids: Sequence[UUID],
        now: datetime,
        *,
        day: date | None,
        cinema_id: UUID | None,
        ahead: timedelta,
        limit: int,
    ) -> dict[UUID, list[UUID]]:
        """The next showtimes of each film, up to `limit`; on a day of the cinema, if one is given.

        Days that have no beginning or end in UTC have no showtimes either.
        """
        after, before = now, now + ahead
        if day is not None:
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            if not now - _WEST <= midnight <= before + _EAST:
                return {}
            after, before = max(now, midnight - _EAST), midnight + _WEST
        rows = await self._reads.fetch(
            NEXT_OF_MOVIES, movie_ids, after, before, day, cinema_id, limit
        )
        found: dict[UUID, list[UUID]] = {}
        for row in rows:
            found.setdefault(row["movie_id"], []).append(row["showtime_id"])
        return found
