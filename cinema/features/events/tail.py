"""The end of the list of events, and those who wait there for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

WAITERS_LIMIT: Final = 100
"""Requests that wait for an event on a node; one more is answered at once."""


class EventTail:
    """The newest position that this node knows of, for those who wait for the next one."""

    def __init__(self) -> None:
        self.position = 0
        self.is_closed = False
        self.waiting = 0
        self._moved = asyncio.Event()

    def advance(self, position: int) -> None:
        """Wake those who wait for something before this position."""
        if position > self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Let nobody wait any longer, because the node stops."""
        self.is_closed = True
        self._wake()

    async def beyond(self, position: int) -> None:
        """Return once there is an event behind this position, or the node stops."""
        while self.position <= position and not self.is_closed:
            await self._moved.wait()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[bool]:
        """A place among those who wait; False if there is none left."""
        if self.waiting >= WAITERS_LIMIT or self.is_closed:
            yield False
            return
        self.waiting += 1
        try:
            yield True
        finally:
            self.waiting -= 1
