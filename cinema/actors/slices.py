"""Long work in slices, so that no step of the loop is long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cinema.domain.limits import SLICE_NS, SLICE_PIECES


class Slices:
    """Counts the pieces of one long job: call `give_way` after each, so that others get a turn.

    A slice ends after `pieces` of them, or when it has taken `SLICE_NS` by `boot_ns`. So a step
    lasts at most that long, plus its last piece.
    """

    __slots__ = ("_boot_ns", "_left", "_pieces", "_until_ns")

    def __init__(self, boot_ns: Callable[[], int], pieces: int = SLICE_PIECES) -> None:
        self._boot_ns = boot_ns
        self._pieces = pieces
        self._begin()

    def _begin(self) -> None:
        self._left = self._pieces
        self._until_ns = self._boot_ns() + SLICE_NS

    async def give_way(self) -> None:
        """A piece is done: continue at once, or in the next step of the loop."""
        self._left -= 1
        if self._left > 0 and self._boot_ns() < self._until_ns:
            return
        await asyncio.sleep(0)
        self._begin()
