"""Giving showtimes to their next owners, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog

from cinema.actors.kernel import Kernel
from cinema.actors.tasks import Tasks

HANDOVERS_AT_ONCE: Final = 64
"""Showtimes that leave at once: enough to fill the lane's snapshots, few enough to stay fair."""

LOOK_S: Final = 1.0
"""Period of the look for showtimes that are another node's, besides the one at each view."""


HANDOVER_FAILED: Final = "handover_failed"

log = structlog.get_logger(__name__)


class Handover:
    """Releases the showtimes in memory that are no longer this node's.

    A showtime asked for meanwhile is released at once: the new owner asks for it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.released_count = 0
        self._kernel = kernel
        self._changed = asyncio.Event()
        self._tasks = Tasks(kernel.metrics.task_failures)

    def start(self) -> None:
        """Begin to look."""
        self._tasks.keep("handover", self._run)

    def view_changed(self) -> None:
        """Look at once."""
        self._changed.set()

    async def finished(self) -> None:
        """Wait until nothing in memory is another node's."""
        while await self._kernel.showtimes_of_others():
            self._changed.set()
            await asyncio.sleep(LOOK_S / 20)

    async def stop(self) -> None:
        """Stop looking; what is being released goes on."""
        await self._tasks.cancel()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            showtimes_of_others = iter(await self._kernel.showtimes_of_others())
            await asyncio.gather(
                *(self._release(showtimes_of_others) for _ in range(HANDOVERS_AT_ONCE))
            )

    async def _release(self, showtimes_of_others: Iterator[bytes]) -> None:
        for showtime_id in showtimes_of_others:
            if not self._kernel.is_stranger(showtime_id):
                # A newer view has given it back meanwhile.
                continue
            try:
                await self._kernel.release(showtime_id)
            except Exception:
                log.exception(HANDOVER_FAILED, showtime=showtime_id.hex())
                continue
            self.released_count += 1
