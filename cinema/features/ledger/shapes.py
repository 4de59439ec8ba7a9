"""The ledger as staff see it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from cinema.domain.money import Money

RefundStatus = Literal["pending", "at_counter", "succeeded", "failed"]


class Refund(msgspec.Struct, frozen=True):
    """Money that goes back.

    `kind`: with seats that were given back (`cancellation`), without any (`goodwill`), or because
    it came too late or twice (`unwanted`). A `pending` one waits for the provider, a `failed` one
    for staff.
    """

    id: UUID
    booking_id: UUID
    payment_id: UUID
    kind: Literal["cancellation", "goodwill", "unwanted"]
    amount: Money
    status: RefundStatus
    reason: str
    error_code: str | None
    created_at: datetime
    settled_at: datetime | None


class LedgerLine(msgspec.Struct, frozen=True, gc=False):
    """What a transaction adds to an account, in minor units; it may be below 0."""

    account: str
    amount: int


class LedgerTransaction(msgspec.Struct, frozen=True):
    """One transaction; its lines sum to 0. `source` is what it is about: a booking, an attempt to
    pay, a refund or a showtime.
    """

    id: int
    kind: str
    source: UUID
    at: datetime
    currency: str
    lines: list[LedgerLine]
