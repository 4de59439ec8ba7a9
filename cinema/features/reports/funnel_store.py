"""Funnels of showtimes that are over, counted from their journals."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.showtime.events import decode_recorded
from cinema.features.reports.funnel_rules import Funnel
from cinema.storage.database.transactions import Pool, PooledConnection, transaction

NAME: Final = "funnels"

AT_ONCE: Final = 10
"""Showtimes that are counted in one transaction."""

EVENTS_AT_ONCE: Final = 200
"""Events that are read together: a millisecond of the loop."""

OVER_FOR: Final = timedelta(minutes=30)
"""Longer after its end than anything of a showtime is under way."""

WITHIN: Final = timedelta(days=31)
"""What ended longer ago was counted, or its journal may be gone."""

_LOCK: Final = "select true from projections where name = $1 for update skip locked"
_DUE: Final = """
select t.id from showtimes t
where t.starts_at >= $1 and t.starts_at < $2 and t.ends_at <= $2
    and not exists (select from showtime_funnels f where f.showtime_id = t.id)
order by t.starts_at limit $3"""
_EVENTS: Final = """
select seq, payload from showtime_journal
where showtime_id = $1 and seq > $2 order by seq limit $3"""
_ADD: Final = """
insert into showtime_funnels (showtime_id, holds, released, expired, checkouts, confirmed)
values ($1, $2, $3, $4, $5, $6)"""


class FunnelRepository:
    """Counts how holds went on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def count(self, now: datetime) -> list[Funnel]:
        """Count some showtimes that are over; those of each, none also if another node does."""
        over = now - OVER_FOR
        async with transaction(self._pool) as running:
            if not await running.fetchval(_LOCK, NAME):
                return []
            due = await running.fetch(_DUE, over - WITHIN, over, AT_ONCE)
            funnels = []
            for row in due:
                funnel = await _funnel(running, row["id"])
                await running.execute(_ADD, row["id"], *msgspec.structs.astuple(funnel))
                funnels.append(funnel)
        return funnels


async def _funnel(running: PooledConnection, showtime_id: UUID) -> Funnel:
    funnel, seq = Funnel(), 0
    while True:
        rows = await running.fetch(_EVENTS, showtime_id, seq, EVENTS_AT_ONCE)
        funnel.count(decode_recorded(row["payload"]).event for row in rows)
        if len(rows) < EVENTS_AT_ONCE:
            return funnel
        seq = rows[-1]["seq"]
