"""When holds of resident showtimes come due."""

from __future__ import annotations

import heapq


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

    def pop_due(self, now_us: int) -> list[bytes]:
        """Take out the showtimes whose moment has come."""
        due = []
        while self._heap and self._heap[0][0] <= now_us:
            due.append(heapq.heappop(self._heap)[1])
        return due
