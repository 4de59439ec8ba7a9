"""Where values are kept for a time: any may be lost at any moment."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

MEMORY_LIMIT_BYTES: Final = 32 << 20
"""What a node keeps in memory; the least recently used values go first."""

VALUE_LIMIT_BYTES: Final = 512 << 10
"""A larger value is not kept: a page of a hundred films with long descriptions has less."""

ENTRY_BYTES: Final = 300
"""About what an entry takes in memory besides its key and its value."""


class Values(Protocol):
    """Keeps bytes by name. It never fails: what it cannot do, it leaves undone."""

    async def get(self, key: str) -> bytes | None:
        """A value, if it is there."""

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep a value for a time, instead of the one before."""


class MemoryValues:
    """See `Values`: in this process, within a bound."""

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        *,
        limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self._clock_s = clock_s
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: str) -> bytes | None:
        """See `Values.get`."""
        entry = self._kept.get(key)
        if entry is None:
            return None
        until_s, value = entry
        if until_s <= self._clock_s():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """See `Values.put`."""
        self._drop(key)
        if len(value) > min(VALUE_LIMIT_BYTES, self._limit_bytes):
            return
        self._kept[key] = (self._clock_s() + ttl_s, value)
        self.size_bytes += _size_bytes(key, value)
        while self.size_bytes > self._limit_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        entry = self._kept.pop(key, None)
        if entry is not None:
            self.size_bytes -= _size_bytes(key, entry[1])


def _size_bytes(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
