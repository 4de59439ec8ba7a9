"""Which gift cards somebody has bought, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.transactions import Pool, connection

_ORDERS: Final = """
select id, cinema_id, amount_minor, currency, method, status, recipient_email, recipient_name,
    sender_name, message, deliver_at, delivered_at, created_at, paid_at, refunded_at
from gift_card_orders
where buyer_id = $1 and id > $2
order by id limit $3"""

_FIRST_ID: Final = UUID(int=0)


class GiftCardFacts:
    """Reads the orders of an account, a page at a time; without the codes of their cards."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Orders, with the texts that are still there."""
        yield PersonalFile("gift_card_orders.json", json_list(self._pages(user_id)))

    async def _pages(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = _FIRST_ID
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_ORDERS, user_id, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [dict(row) for row in rows]
            last_id = rows[-1]["id"]
