"""Finds journals that are past their retention, and releases them without their owners.

`kept_journals` names the showtimes whose events are still needed, by their end. A takeover adds
one. `seal` removes those that ended, that no node owns and whose snapshot is complete. So a round
looks only at what has to be done, however many showtimes ever ended, and several nodes may do it at
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from asyncpg.pgproto.pgproto import UUID

from cinema.domain.limits import TRUNCATED_AT_ONCE
from cinema.storage.database.transactions import Pool, changing, connection
from cinema.storage.journal import sql

BEGINNING: Final = (datetime(1, 1, 1, tzinfo=UTC), bytes(16))
"""Before the first of all."""


class Retention:
    """Releases journals; `JournalMonths` handles the months that contain them.

    `pool` is the kernel's: on others the planner, which sees how many ids it is given, would read
    whole tables rather than look each of them up, and take the longer the more there is.
    """

    def __init__(self, pool: Pool, *, deleted_at_once: int = TRUNCATED_AT_ONCE) -> None:
        self._pool = pool
        self._deleted_at_once = deleted_at_once

    async def ended(
        self, before: datetime, after: tuple[datetime, bytes], limit: int
    ) -> list[tuple[datetime, bytes]]:
        """Showtimes that ended before a moment and keep their events, oldest first, one page."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(sql.ENDED, before, after[0], UUID(after[1]), limit)
        return [(row[0], row[1].bytes) for row in rows]

    async def seal(self, showtime_ids: Sequence[bytes], before: datetime) -> set[bytes]:
        """Note that these no longer need their events; returns those for which that is true.

        Those that a node owns, or whose snapshot is behind, are left out. Those that turn out to
        end later than noted count as done here: their new end is noted.
        """
        ids = [UUID(one) for one in showtime_ids]
        async with changing(self._pool) as writing:
            rows = await writing.fetch(sql.SEAL, ids, before)
        return {row[0].bytes for row in rows}

    async def drain(self, showtime_id: bytes) -> None:
        """Delete the events of a showtime with no owner and a complete snapshot, in steps."""
        gone: int | None = self._deleted_at_once
        while gone == self._deleted_at_once:
            async with changing(self._pool) as writing:
                _, gone = await writing.fetchrow(
                    sql.DRAIN, UUID(showtime_id), self._deleted_at_once
                ) or (0, None)
