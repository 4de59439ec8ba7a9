"""Visits of showtimes, counted in memory until they are written.

Each is a row that all nodes would wait for, and a hot showtime has thousands of them a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from cinema.features.recommendations.shapes import PageEvent

SHOWTIMES_MAX: Final = 10_000
"""Showtimes that are counted at a time; any others are not, until these are written."""


class Visits:
    """How often seat maps and checkouts of showtimes were opened since they were last taken."""

    def __init__(self) -> None:
        self._counts: dict[UUID, Counter[str]] = {}

    def count(self, events: Iterable[PageEvent]) -> None:
        """Count those that are about a showtime."""
        for one in events:
            if one.showtime_id is None or one.kind not in {"seat_map", "checkout_start"}:
                continue
            if one.showtime_id in self._counts or len(self._counts) < SHOWTIMES_MAX:
                self._counts.setdefault(one.showtime_id, Counter())[one.kind] += 1

    def take(self) -> list[tuple[UUID, int, int]]:
        """Showtimes, in the order of their ids, with what is counted of each; it is taken once."""
        taken, self._counts = self._counts, {}
        return [(one, of["seat_map"], of["checkout_start"]) for one, of in sorted(taken.items())]

    def put_back(self, rows: Iterable[tuple[UUID, int, int]]) -> None:
        """What was taken and could not be written."""
        for showtime_id, seat_maps, checkouts in rows:
            counts = self._counts.setdefault(showtime_id, Counter())
            counts.update(seat_map=seat_maps, checkout_start=checkouts)
