"""How much a deposit is, and when none can be taken: pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

NotTaken = Literal["ended", "has_deposit", "part_paid", "too_small", "waits"]


class ToPay(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a booking before a deposit for it is taken."""

    status: str
    total_minor: int
    part_paid: bool
    has_deposit: bool
    waits: bool


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit, and what of it is kept if the booking is given up."""

    amount_minor: int
    keeps_minor: int


def share_of(minor: int, percent: int) -> int:
    """A part of an amount, half up."""
    return (minor * percent + 50) // 100


def agreed(total_minor: int, percent: int, kept_percent: int) -> Agreed:
    """What these terms mean for a booking."""
    amount_minor = share_of(total_minor, percent)
    return Agreed(amount_minor=amount_minor, keeps_minor=share_of(amount_minor, kept_percent))


def why_not(standing: ToPay, deposit: Agreed) -> NotTaken | None:
    """Why no deposit can be taken; first what cannot be mended. None if it can."""
    if standing.has_deposit:
        return "has_deposit"
    if standing.status != "pending":
        return "ended"
    if standing.waits:
        return "waits"
    if standing.part_paid:
        return "part_paid"
    if not 0 < deposit.amount_minor < standing.total_minor:
        return "too_small"
    return None


def remind_at(pay_until: datetime | None, before_hours: int, now: datetime) -> datetime | None:
    """When the rest is to be remembered; None if that is over already."""
    if pay_until is None:
        return None
    at = pay_until - timedelta(hours=before_hours)
    return at if at > now else None
