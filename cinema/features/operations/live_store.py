"""What was booked in the last minutes, in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.domain.ids import new_id
from cinema.domain.times import to_us
from cinema.storage.database.reads import Reads

CLOCKS_APART: Final = timedelta(minutes=1)
"""How much earlier the clock of a node may be than that of the journal."""

_BOOKED: Final = """
select floor(extract(epoch from $1 - b.created_at) / 60)::int as ago,
    count(*) as bookings, coalesce(sum(seats.count), 0)::bigint as tickets
from bookings b
cross join lateral (select count(*) from booking_seats s where s.booking_id = b.id and s.live) seats
where b.id >= $3 and b.created_at > $2 and b.created_at <= $1 and b.status = 'confirmed'
group by 1"""


class LiveRepository:
    """Reads what was booked of late; ids begin with their time, so that the key finds it."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def booked(self, now: datetime, minutes: int) -> Mapping[int, tuple[int, int]]:
        """Bookings and tickets of each of the last minutes, by how long ago they have ended."""
        since = now - timedelta(minutes=minutes)
        first = UUID(bytes=new_id(to_us(since - CLOCKS_APART), 0))
        rows = await self._reads.fetch(_BOOKED, now, since, first)
        return {row["ago"]: (row["bookings"], row["tickets"]) for row in rows}
