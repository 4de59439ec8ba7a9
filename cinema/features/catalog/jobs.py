"""What the catalogue computes by itself: the words of films that have none, and popularity.

Runs on every node. Of several one takes a film, and one the figures. No log events; what fails is
tried again in the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from cinema.domain.rejections import Refused
from cinema.features.catalog.movie_store import INDEXED_AT_ONCE, MovieLists

PERIOD_S: Final = 60.0
"""Time between two rounds: nothing waits for them that a request writes itself."""


class CatalogFigures:
    """Brings up to date what is computed from the rows of the catalogue."""

    def __init__(self, lists: MovieLists, *, now: Callable[[], datetime]) -> None:
        self._lists = lists
        self._now = now

    async def run(self) -> None:
        """For as long as the node runs."""
        while True:
            # While the database is away there is nothing to do.
            with suppress(Refused):
                await self.round()
            await asyncio.sleep(PERIOD_S)

    async def round(self) -> None:
        """All that is due now."""
        while await self._lists.index_unindexed() == INDEXED_AT_ONCE:
            pass
        await self._lists.count_popularity(self._now())
