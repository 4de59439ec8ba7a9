"""Residents in the order in which they are to leave memory, without ever looking at all of them."""

from __future__ import annotations

import heapq


class Recency:
    """Showtimes by the tick of their last known use.

    A use is not noted here, because that would cost time for each message. The caller takes the
    oldest, compares it with the real last use, and puts it back if that is later. A noted tick
    is never later than the real one. So the first entry that needs no correction is the least
    recently used of all.
    """

    def __init__(self) -> None:
        self._by_tick: dict[int, list[bytes]] = {}
        self._ticks: list[int] = []

    def add(self, tick: int, showtime_id: bytes) -> None:
        """A showtime that was last used at `tick`, or is not to be looked at before."""
        noted = self._by_tick.get(tick)
        if noted is None:
            self._by_tick[tick] = [showtime_id]
            heapq.heappush(self._ticks, tick)
        else:
            noted.append(showtime_id)

    def take(self, until_tick: int) -> tuple[int, bytes] | None:
        """Take out one of the oldest, with the tick it stood under; None if all are younger."""
        if not self._ticks or self._ticks[0] > until_tick:
            return None
        tick = self._ticks[0]
        noted = self._by_tick[tick]
        showtime_id = noted.pop()
        if not noted:
            heapq.heappop(self._ticks)
            del self._by_tick[tick]
        return tick, showtime_id
