"""How long a guest lives, and when a guest's data is deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

LOOKED_AT_AFTER: Final = timedelta(hours=1)
"""How long after its end a guest is checked; its last commands are decided by then."""


class GuestTimes(msgspec.Struct, frozen=True, kw_only=True):
    """`kept_days` after the end of the last showtime they booked, guests are forgotten.

    So long their links are good.
    """

    lasts_s: int
    kept_days: int

    @property
    def kept(self) -> timedelta:
        """The time between the end of a showtime and the end of links to its bookings."""
        return timedelta(days=self.kept_days)
