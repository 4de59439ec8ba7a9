"""What loyalty points know of somebody, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.transactions import Pool, connection

_ENTRIES: Final = """
select source as id, kind, amount_minor as points, missing_minor as missing, currency, booking_id,
    expires_at, at
from loyalty_entries
where customer_id = $1 and ($2::timestamptz is null or (at, source) < ($2, $3))
order by at desc, source desc limit $4"""


class LoyaltyFacts:
    """Reads the points of an account, a page at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """All that has changed the points of the account."""
        yield PersonalFile("points.json", json_list(self._entries(user_id)))

    async def _entries(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        at, last_id = None, None
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_ENTRIES, user_id, at, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [dict(row) for row in rows]
            at, last_id = rows[-1]["at"], rows[-1]["id"]
