"""The documents of somebody, for the export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import Refused
from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.transactions import Pool, connection

PRINTED_LIMIT: Final = 200
"""The latest documents that are printed too, at half a second each. All are in the JSON."""

TRIES: Final = 20
PAUSE_S: Final = 3.0
"""How often, and how long after, a PDF is asked for again while others keep the printers busy."""

_THEIRS: Final = """
from bookings b join invoices i on i.booking_id = b.id
where (b.user_id = $1 or b.user_id in (select id from guests where claimed_by = $1))"""
_DOCUMENTS: Final = f"select i.id, i.content {_THEIRS} and i.id > $2 order by i.id limit $3"
_LATEST: Final = f"select i.id, i.number {_THEIRS} order by i.id desc limit $2"
_CONTENT: Final = "select content from invoices where id = $1"

Print = Callable[[bytes, str], Awaitable[bytes]]
"""Makes a PDF of a document, in a language or that of the document; refuses OVERLOADED, RETRY."""


class InvoiceFacts:
    """Reads the documents of an account, a page at a time, and has the latest printed."""

    def __init__(
        self,
        pool: Pool,
        print_: Print,
        *,
        printed_limit: int = PRINTED_LIMIT,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._print = print_
        self._printed_limit = printed_limit
        self._pause = pause

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Documents as they were issued, also of the guests that the account claimed."""
        yield PersonalFile("invoices.json", json_list(self._all(user_id)))
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_LATEST, user_id, self._printed_limit)
        for row in rows:
            yield PersonalFile(f"invoices/{row['number']}-{row['id']}.pdf", self._pdf(row["id"]))

    async def _all(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = UUID(int=0)
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_DOCUMENTS, user_id, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [msgspec.Raw(row["content"].encode()) for row in rows]
            last_id = rows[-1]["id"]

    async def _pdf(self, document_id: UUID) -> AsyncIterator[bytes]:
        async with connection(self._pool) as reading:
            content: str = await reading.fetchval(_CONTENT, document_id)
        for left in reversed(range(TRIES)):
            try:
                pdf = await self._print(content.encode(), "")
            except Refused:
                if not left:
                    raise
                await self._pause(PAUSE_S)
            else:
                yield pdf
                return
