"""Loyalty points as clients see them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from cinema.domain.money import Money

EntryKind = Literal["earned", "reserved", "returned", "refunded", "taken_back", "expired"]


class Expiring(msgspec.Struct, frozen=True, gc=False):
    """Points that expire next, if they are not used before."""

    points: int
    at: datetime


class PointsBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one currency, and what they are worth.

    What bookings that are being paid have put aside is not in them.
    """

    points: int
    worth: Money
    expiring: Expiring | None


class Loyalty(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's points, a balance for each currency that there are points in."""

    balances: list[PointsBalance]


class PointsEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed a balance by `points`, which may be below 0.

    `missing` points were to be taken back too, and were not there any more.
    """

    id: UUID
    kind: EntryKind
    points: int
    missing: int
    currency: str
    booking_id: UUID | None
    expires_at: datetime | None
    at: datetime
