"""The versions of a screen's layout in Postgres."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.features.catalog.shapes import LayoutVersion
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import Pool

# A screen has some thousand showtimes in a year; the index finds those of one screen. A number
# above the current one is a showtime's that moved here, or nobody's if its move was refused.
_VERSIONS: Final = """
with used as (
    select layout_version, count(*) as showtimes,
           count(*) filter (where status <> 'cancelled' and ends_at > $2) as coming_showtimes
    from showtimes where screen_id = $1
    group by layout_version
)
select layout.version as layout_version, layout.seat_count, layout.created_at, layout.created_by,
       layout.version = screen.layout_version as current,
       coalesce(used.showtimes, 0) as showtimes,
       coalesce(used.coming_showtimes, 0) as coming_showtimes
from screen_layouts layout
join screens screen on screen.id = layout.screen_id
left join used on used.layout_version = layout.version
where layout.screen_id = $1 and ($3::integer is null or layout.version < $3)
  and (layout.version <= screen.layout_version or used.showtimes > 0)
order by layout.version desc
limit $4
"""


class LayoutsRepository:
    """Reads the versions of layouts."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._reads = reads or PrimaryReads(pool)

    async def versions(
        self, screen_id: UUID, now: datetime, *, before: int | None, limit: int
    ) -> list[LayoutVersion]:
        """Versions of a screen's layout, the newest first."""
        rows = await self._reads.fetch(_VERSIONS, screen_id, now, before, limit)
        return [LayoutVersion(**row) for row in rows]
