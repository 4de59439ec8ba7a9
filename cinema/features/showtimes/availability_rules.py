"""How full a showtime is, in one word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cinema.domain.seatmap import AVAILABLE, BLOCKED, HELD
from cinema.features.showtimes.shapes import AvailabilityLevel

FEW_SEATS: Final = 4
FEW_SHARE: Final = 10
"""Few are left if there are at most `FEW_SEATS`, or one in `FEW_SHARE` of those that are sold."""


def level_of(seats: bytes) -> AvailabilityLevel:
    """The word for a seat map; nobody can have a seat that is held, booked or blocked."""
    free = seats.count(AVAILABLE)
    if free == 0:
        return "sold_out"
    sold_at_all = len(seats) - seats.count(BLOCKED)
    return "few_left" if free <= max(FEW_SEATS, sold_at_all // FEW_SHARE) else "available"


def may_change_by_itself(seats: bytes) -> bool:
    """Whether seats may become free by the passing of time alone: holds end."""
    return HELD in seats


def best_of(levels: Iterable[AvailabilityLevel]) -> AvailabilityLevel:
    """The word for all of these together: whoever wants to come takes the emptiest."""
    order: list[AvailabilityLevel] = ["available", "few_left", "sold_out"]
    return min(levels, key=order.index)
