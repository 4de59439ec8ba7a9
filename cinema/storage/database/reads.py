"""Reads for lists and gets: from the primary, or from a replica if one is set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import asyncpg

from cinema.domain.rejections import refuse
from cinema.storage.database.standby import StandbyWait, Unconfirmed
from cinema.storage.database.transactions import Pool, PooledConnection, connection

T = TypeVar("T")

Query = Callable[[PooledConnection], Awaitable[T]]


class Reads(Protocol):
    """Reads that see everything that was acknowledged to any client before they began."""

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """All rows. Refuses RETRY when no server can be reached."""

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        """The first row, if any. Refuses RETRY when no server can be reached."""


class ConfirmedReads:
    """Reads of which a failover to the synchronous standby takes nothing back.

    That there is nothing counts as well: a commit may have taken it away.
    """

    def __init__(self, reads: Reads, confirmation: StandbyWait) -> None:
        self._reads = reads
        self._confirmation = confirmation

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """See `Reads.fetch`."""
        rows = await self._reads.fetch(statement, *values)
        await self._confirm()
        return rows

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        """See `Reads.fetchrow`."""
        row = await self._reads.fetchrow(statement, *values)
        await self._confirm()
        return row

    async def _confirm(self) -> None:
        await confirm(self._confirmation)


async def confirm(confirmation: StandbyWait) -> None:
    """Wait until the standby has what was read. Refuses RETRY."""
    try:
        await confirmation.wait()
    except Unconfirmed as error:
        raise refuse("RETRY") from error


class PrimaryReads:
    """Reads on the server that takes the writes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """See `Reads.fetch`."""
        async with connection(self._pool) as reading:
            return await reading.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: object) -> asyncpg.Record | None:
        """See `Reads.fetchrow`."""
        async with connection(self._pool) as reading:
            return await reading.fetchrow(statement, *values)
