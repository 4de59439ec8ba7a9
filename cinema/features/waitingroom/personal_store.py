"""In which waiting rooms somebody was, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.transactions import Pool, connection

_PLACES: Final = """
select place.id, room.showtime_id, room.movie_id, place.number, place.state, place.ended_by,
    place.joined_at, place.entered_at, place.ended_at
from waiting_places place join waiting_rooms room on room.id = place.room_id
where place.customer_id = any(
        select $1::uuid union all select id from guests where claimed_by = $1
    ) and place.id > $2
order by place.id limit $3"""

_FIRST_ID: Final = UUID(int=0)


class PlaceFacts:
    """Reads the places of an account and its guests, a page at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Places, also ended ones."""
        yield PersonalFile("waiting_room_places.json", json_list(self._pages(user_id)))

    async def _pages(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = _FIRST_ID
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_PLACES, user_id, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [dict(row) for row in rows]
            last_id = rows[-1]["id"]
