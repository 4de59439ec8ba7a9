"""New ids."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from cinema.domain.ids import TAIL_BYTES, TIME_BYTES, tails

_DRAWN_BYTES: Final = 512 * TAIL_BYTES


class IdSource:
    """Makes UUIDv7s; `now_us` gives microseconds since the Unix epoch.

    Random bytes come from the system, for many ids at once: one call for each id would cost more
    than everything else in a hold. All but the time of these ids is put together with them.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._tails = b""
        self._used = _DRAWN_BYTES

    def next_id(self) -> bytes:
        """A new id, 16 raw bytes."""
        start = self._used
        if start == _DRAWN_BYTES:
            self._tails = tails(os.urandom(_DRAWN_BYTES))
            start = 0
        self._used = end = start + TAIL_BYTES
        return (self._now_us() // 1000).to_bytes(TIME_BYTES, "big") + self._tails[start:end]
