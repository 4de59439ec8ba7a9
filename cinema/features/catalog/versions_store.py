"""How often the catalogue has changed: what caches of it are good by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cinema.storage.database.shared_question import SharedQuestion
from cinema.storage.database.transactions import Pool, connection

_VERSIONS: Final = """
select sum(movies)::bigint as movies, sum(cinemas)::bigint as cinemas,
    sum(showtimes)::bigint as showtimes
from catalogue_versions
"""

VERSIONS_WAIT_S: Final = 2.0
"""How long the answer may take: it is read in less than a millisecond."""


class CatalogVersions:
    """Asks the primary for the numbers, once for all requests at a time.

    `pool` needs one connection; only these questions use it, so that they never wait for a list.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._shared = SharedQuestion(self._ask)
        self.asked = 0

    async def now(self) -> Mapping[str, int]:
        """The numbers, asked for after this call began. Refuses RETRY."""
        return await self._shared.answer()

    async def _ask(self) -> Mapping[str, int]:
        self.asked += 1
        async with connection(self._pool) as asking:
            row = await asking.fetchrow(_VERSIONS, timeout=VERSIONS_WAIT_S)
        assert row is not None, "a sum has one row"
        return dict(row)
