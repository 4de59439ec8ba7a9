"""Visits of showtimes in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cinema.storage.database.transactions import Pool, transaction

# In the order of ids, as all nodes add: so none waits for another in a circle.
_ADD: Final = """
insert into showtime_visits as known (showtime_id, seat_maps, checkout_pages)
select showtime.id, told.seat_maps, told.checkout_pages
from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as told (id, seat_maps, checkout_pages)
join showtimes showtime on showtime.id = told.id
order by showtime.id
on conflict (showtime_id) do update
set seat_maps = known.seat_maps + excluded.seat_maps,
    checkout_pages = known.checkout_pages + excluded.checkout_pages"""


class VisitsRepository:
    """Adds up visits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, visits: Sequence[tuple[UUID, int, int]]) -> None:
        """Add to what is known of showtimes; unknown ones are left out. Refuses RETRY."""
        async with transaction(self._pool) as running:
            ids, maps, checkouts = (list(column) for column in zip(*visits, strict=True))
            await running.execute(_ADD, ids, maps, checkouts)
