"""When holds come due: of residents from memory, of all others from the heads' deadlines."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from cinema.actors.slices import Slices
from cinema.domain.limits import (
    DUE_SHARED_LIMIT,
    DUE_SWEEP_AHEAD_S,
    DUE_SWEEP_GOES_ON_S,
    DUE_SWEEP_PAGE,
    DUE_SWEEP_PAGES,
    DUE_SWEEP_S,
)
from cinema.storage.journal.clock import Clock
from cinema.storage.journal.store import JournalStore, StoreUnavailable
from cinema.telemetry.logging import LogLimit

DUE_SWEEP_FAILED: Final = "due_sweep_failed"

SWEEP_FAILURES_LOGGED: Final = 5
"""Failed looks that are logged in a minute, of about a hundred while Postgres is away."""

log = structlog.get_logger(__name__)


class DueQueue:
    """Moments and the showtimes to look at then, earliest first.

    A showtime may be in it more than once; looking too early or too often does no harm.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_us: int, showtime_id: bytes) -> None:
        """Look at a showtime at `due_us`."""
        heapq.heappush(self._heap, (due_us, showtime_id))

    def pop_due(self, now_us: int, limit: int) -> list[bytes]:
        """Take out the showtimes whose moment has come, at most `limit` of them."""
        due: list[bytes] = []
        while len(due) < limit and self._heap and self._heap[0][0] <= now_us:
            due.append(heapq.heappop(self._heap)[1])
        return due


class DueNews(Protocol):
    """What nodes find for each other, so that not each of them searches."""

    @property
    def ahead_s(self) -> float:
        """How far ahead this node is to search."""

    async def told(self) -> Sequence[bytes] | None:
        """The showtimes of this node that another one has found, until after the next search.

        None if none has, or none can say: then this node searches.
        """

    def found(self, until_us: int, showtime_ids: Sequence[bytes]) -> None:
        """This node has found all that come due until a moment, whichever node's they are."""


class _NoNews:
    """A node without a cluster searches for itself."""

    ahead_s = DUE_SWEEP_AHEAD_S

    async def told(self) -> Sequence[bytes] | None:
        return None

    def found(self, _until_us: int, _showtime_ids: Sequence[bytes]) -> None:
        """Nobody asks."""


NO_NEWS: Final = _NoNews()


class DueSweep:
    """Wakes showtimes that are not in memory shortly before one of their holds comes due.

    Together with the head's deadline, which every append writes, this covers showtimes that were
    passivated and those whose owner died. `wake` says whether it had to. `news` is what other nodes
    have found.
    """

    def __init__(self, store: JournalStore, clock: Clock, wake: Callable[[bytes], bool]) -> None:
        self.news: DueNews = NO_NEWS
        self._store = store
        self._clock = clock
        self._wake = wake
        self._after: tuple[int, bytes] | None = None
        self._is_behind = False
        self._until_us = 0
        self._found: list[bytes] = []

    async def run(self) -> None:
        """Look again and again; a store that does not answer is asked again."""
        limit = LogLimit(lines=SWEEP_FAILURES_LOGGED)
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                limit.write(log.warning, DUE_SWEEP_FAILED, reason=str(error))
            except Exception:
                log.exception(DUE_SWEEP_FAILED)
            is_done = self._after is None and not self._is_behind
            await asyncio.sleep(DUE_SWEEP_S if is_done else DUE_SWEEP_GOES_ON_S)

    async def look(self) -> None:
        """Wake what another node has found, a bounded number at a time, or search."""
        self._is_behind = False
        told = await self.news.told()
        if told is None:
            await self.sweep()
            return
        self._after = None
        woken, slices = 0, Slices(self._clock.boot_ns)
        for showtime_id in told:
            woken += self._wake(showtime_id)
            if woken >= DUE_SWEEP_PAGE:
                # The others are still due at the next look, which comes as soon as in a search.
                self._is_behind = True
                return
            await slices.give_way()

    async def sweep(self) -> None:
        """One search, page by page: rows of residents must not hide those of others.

        It ends after the page in which it has woken enough, or after many pages. The next one
        continues there, and starts again once all have been seen. So each row of a backlog is read
        once in each pass, however long that takes.
        """
        before_us = self._clock.now_us() + int(self.news.ahead_s * 1_000_000)
        if self._after is None:
            self._until_us, self._found = before_us, []
        woken, slices = 0, Slices(self._clock.boot_ns)
        for _ in range(DUE_SWEEP_PAGES):
            due = await self._store.due(before_us, self._after, DUE_SWEEP_PAGE)
            self._after = due[-1] if len(due) == DUE_SWEEP_PAGE else None
            if len(self._found) <= DUE_SHARED_LIMIT:
                self._found += [showtime_id for _, showtime_id in due]
            for _, showtime_id in due:
                woken += self._wake(showtime_id)
                await slices.give_way()
            if self._after is None:
                if len(self._found) <= DUE_SHARED_LIMIT:
                    self.news.found(self._until_us, self._found)
                return
            if woken >= DUE_SWEEP_PAGE:
                return
