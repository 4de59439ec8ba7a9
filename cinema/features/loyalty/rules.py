"""What is earned, and for how long it can be used: pure."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime

import msgspec


class Earning(msgspec.Struct, frozen=True, kw_only=True):
    """A booking as its customer earns by it.

    `paid_minor` is what is left of all that was paid otherwise than with points; `earned_minor`
    what was given for it before.
    """

    percent: int
    paid_minor: int
    earned_minor: int

    @property
    def due_minor(self) -> int:
        """What the booking is to have earned. Nothing is earned by halves."""
        return max(0, self.paid_minor) * self.percent // 100

    @property
    def change_minor(self) -> int:
        """What is to be given, or, below 0, to be taken back."""
        return self.due_minor - self.earned_minor


def months_later(moment: datetime, months: int) -> datetime:
    """The same day in a later month, or the last one of that month if there is no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
