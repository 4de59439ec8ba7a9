"""New ids."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from cinema.domain.ids import RANDOM_BITS, new_id

_BYTES: Final = (RANDOM_BITS + 7) // 8
_DRAWN_AT_ONCE: Final = 512


class IdSource:
    """Makes UUIDv7s; `now_us` gives microseconds since the Unix epoch.

    Random bytes come from the system, for many ids at once: one call for each id would cost more
    than everything else in a hold.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._drawn = b""
        self._used = 0

    def next_id(self) -> bytes:
        """A new id, 16 raw bytes."""
        start = self._used
        if start >= len(self._drawn):
            self._drawn = os.urandom(_BYTES * _DRAWN_AT_ONCE)
            start = 0
        self._used = end = start + _BYTES
        random_bits = int.from_bytes(self._drawn[start:end], "little")
        return new_id(self._now_us(), random_bits)
