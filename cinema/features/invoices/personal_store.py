"""The documents of somebody, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.transactions import Pool, connection

_DOCUMENTS: Final = """
select i.id, i.content from bookings b join invoices i on i.booking_id = b.id
where (b.user_id = $1 or b.user_id in (select id from guests where claimed_by = $1)) and i.id > $2
order by i.id limit $3"""


class InvoiceFacts:
    """Reads the documents of an account, a page at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Documents as they were issued, also of the guests that the account claimed."""
        yield PersonalFile("invoices.json", json_list(self._all(user_id)))

    async def _all(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = UUID(int=0)
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_DOCUMENTS, user_id, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [msgspec.Raw(row["content"].encode()) for row in rows]
            last_id = rows[-1]["id"]
