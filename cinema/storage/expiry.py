"""Showtimes whose journal has outlived its retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cinema.storage.transactions import Pool, connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ENDED: Final = """
select t.id from showtimes t
where t.ends_at < $1
    and exists (select from showtime_journal j where j.showtime_id = t.id)
order by t.ends_at limit $2"""


async def ended_showtimes(pool: Pool, before_us: int, limit: int) -> list[bytes]:
    """Showtimes that ended before a moment and still have journal rows, oldest first."""
    async with connection(pool) as reading:
        rows = await reading.fetch(_ENDED, _EPOCH + timedelta(microseconds=before_us), limit)
    return [row[0].bytes for row in rows]
