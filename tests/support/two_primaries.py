"""A server whose showtimes live on two Postgres servers: so docs/scale.md's way was tried.

Run as a program it is `cinema`, but that heads, journal, snapshots, archive, and the rows that
events write of every second showtime are on SECOND_DATABASE_URL. The kernel is the same. A
showtime's server goes by its commit lane here, of which there are two, so that no batch has
showtimes of both.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import sys
from collections.abc import Sequence
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg

from cinema.app import node
from cinema.cli.main import main
from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.migrate import migrate
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.branches import RowBranches
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.store import (
    ArchiveRow,
    HeldBy,
    JournalRow,
    LaneStore,
    LeftBehind,
    Loaded,
    SnapshotSave,
    Takeover,
)

_KEYS_OF_OTHERS = """
select format('alter table %s drop constraint %I', conrelid::regclass, conname)
from pg_constraint where contype = 'f' and conparentid = 0
"""


def place_of(showtime_id: bytes) -> int:
    """Which of the two servers has a showtime."""
    return int.from_bytes(showtime_id[-4:], "big") % 2


class TwoPrimaries:
    """A `JournalStore` that passes each call on to the server of its showtime."""

    def __init__(self, first: PostgresJournal, second: PostgresJournal) -> None:
        self._both = (first, second)
        self._lanes = count()

    @classmethod
    async def open(
        cls, address: DatabaseAddress, branches: RowBranches, **options: Any
    ) -> TwoPrimaries:
        """Connect to both; the second gets the heads that it lacks."""
        second = os.environ["SECOND_DATABASE_URL"]
        await migrate(second)
        await _share_out(address.dsn, second)
        return cls(
            await PostgresJournal.open(address, branches, **options),
            await PostgresJournal.open(second, branches, **options),
        )

    def _of(self, showtime_id: bytes) -> PostgresJournal:
        return self._both[place_of(showtime_id)]

    @property
    def branches(self) -> RowBranches:
        return self._both[0].branches

    @property
    def pool(self) -> Pool:
        """The first one's: clocks go by it, and the catalogue is there."""
        return self._both[0].pool

    def lane(self) -> LaneStore:
        return self._both[next(self._lanes) % 2].lane()

    async def close(self) -> None:
        for one in self._both:
            await one.close()

    async def confirmed(self) -> None:
        for one in self._both:
            await one.confirmed()

    async def take_over(
        self, showtime_id: bytes, owner: bytes | None = None, unless: Sequence[bytes] = ()
    ) -> Takeover | HeldBy | None:
        return await self._of(showtime_id).take_over(showtime_id, owner, unless)

    async def load(self, showtime_id: bytes) -> Loaded | None:
        return await self._of(showtime_id).load(showtime_id)

    async def recall(self, showtime_id: bytes, key: bytes) -> ArchiveRow | None:
        return await self._of(showtime_id).recall(showtime_id, key)

    async def history(
        self, showtime_id: bytes, after_seq: int, limit: int
    ) -> tuple[JournalRow, ...]:
        return await self._of(showtime_id).history(showtime_id, after_seq, limit)

    async def keep_snapshots(self, saves: Sequence[SnapshotSave]) -> set[bytes]:
        kept: set[bytes] = set()
        for place, one in enumerate(self._both):
            its = [save for save in saves if place_of(save.showtime_id) == place]
            kept |= await one.keep_snapshots(its) if its else set()
        return kept

    async def due(
        self, before_us: int, after: tuple[int, bytes] | None, limit: int
    ) -> list[tuple[int, bytes]]:
        found = [await one.due(before_us, after, limit) for one in self._both]
        return list(heapq.merge(*found))[:limit]

    async def left_behind(
        self, living: Sequence[bytes], after: bytes | None, heads: int
    ) -> LeftBehind:
        pages = [await one.left_behind(living, after, heads) for one in self._both]
        ends = [page.after for page in pages if page.after is not None]
        end = min(ends) if ends else None
        left = heapq.merge(*(page.left for page in pages))
        return LeftBehind([one for one in left if end is None or one <= end], end)

    async def inherit(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> dict[bytes, int]:
        epochs: dict[bytes, int] = {}
        for place, one in enumerate(self._both):
            its = [showtime_id for showtime_id in showtime_ids if place_of(showtime_id) == place]
            epochs |= await one.inherit(its, living, heir)
        return epochs

    async def sweep_archive(self, kind: int, before_us: int, limit: int) -> int:
        return sum([await one.sweep_archive(kind, before_us, limit) for one in self._both])


async def _share_out(first_dsn: str, second_dsn: str) -> None:
    """Give the second server its heads, and take the keys away that lead to rows of the first."""
    first, second = await asyncpg.connect(first_dsn), await asyncpg.connect(second_dsn)
    try:
        for row in await second.fetch(_KEYS_OF_OTHERS):
            await second.execute(row[0])
        rows = await first.fetch("select showtime_id from showtime_heads")
        its: list[UUID] = [row[0] for row in rows if place_of(row[0].bytes) == 1]
        await second.execute(
            "insert into showtime_heads (showtime_id) select unnest($1::uuid[]) "
            "on conflict do nothing",
            its,
        )
    finally:
        await asyncio.gather(first.close(), second.close())


if __name__ == "__main__":
    node.PostgresJournal = TwoPrimaries  # type: ignore[assignment,misc]
    sys.exit(main())
