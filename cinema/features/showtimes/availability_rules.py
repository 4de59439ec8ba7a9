"""How full a showtime is, in one word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cinema.domain.sale_rules import WEB, ChannelQuota
from cinema.domain.seatmap import AVAILABLE, BLOCKED, HELD
from cinema.domain.showtime.channels import left_for
from cinema.domain.times import to_us
from cinema.features.showtimes.shapes import AvailabilityLevel

FEW_SEATS: Final = 4
FEW_SHARE: Final = 10
"""Few are left if there are at most `FEW_SEATS`, or one in `FEW_SHARE` of those that are sold."""


def level_of(
    seats: bytes, quotas: Sequence[ChannelQuota] = (), channels: bytes = b"", now_us: int = 0
) -> AvailabilityLevel:
    """The word for a seat map; nobody can have a seat that is held, booked or blocked.

    With `quotas` it is the word for the web, where those look who ask: what is kept for other
    channels is not free there.
    """
    free = left_for(quotas, seats, channels, WEB, now_us) if quotas else seats.count(AVAILABLE)
    if free == 0:
        return "sold_out"
    sold_at_all = len(seats) - seats.count(BLOCKED)
    return "few_left" if free <= max(FEW_SEATS, sold_at_all // FEW_SHARE) else "available"


def may_change_by_itself(
    seats: bytes, quotas: Sequence[ChannelQuota] = (), now_us: int = 0
) -> bool:
    """Whether seats may become free by themselves: holds end, and quotas are released."""
    return HELD in seats or any(
        quota.released_at is not None and now_us < to_us(quota.released_at) for quota in quotas
    )


def best_of(levels: Iterable[AvailabilityLevel]) -> AvailabilityLevel:
    """The word for all of these together: whoever wants to come takes the emptiest."""
    order: list[AvailabilityLevel] = ["available", "few_left", "sold_out"]
    return min(levels, key=order.index)
