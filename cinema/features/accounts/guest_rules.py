"""How long a guest lives, and when a guest's data is deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

LOOKED_AT_AFTER: Final = timedelta(hours=1)
"""How long after its end a guest is checked; its last commands are decided by then."""


class GuestTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Lifetimes: of a guest in seconds, of its data in days.

    A link to a booking is valid, and the guest's address is kept, until `kept_days` after the end
    of the showtime.
    """

    lasts_s: int
    kept_days: int

    @property
    def kept(self) -> timedelta:
        """How long after the end of a showtime links to its bookings are valid."""
        return timedelta(days=self.kept_days)
