"""Stripe's objects as far as cinema uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

BOOKING: Final = "booking_id"
PAYMENT: Final = "payment_id"
REFUND: Final = "refund_id"
AGAIN: Final = "asked_again"
GIFT_CARD_ORDER: Final = "gift_card_order_id"
SERIES: Final = "series_id"
"""Keys of the metadata that cinema gives to its objects."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A payment intent. `currency` is in capitals, amounts are in the units of Stripe.

    `client_secret` lets a browser pay: whoever may pay gets it, and no log.
    """

    id: str
    status: str
    amount: int
    amount_received: int
    currency: str
    livemode: bool
    metadata: Mapping[str, str]
    created_s: int
    client_secret: str = ""
    charge_id: str | None = None
    error_code: str | None = None

    def __repr__(self) -> str:
        return f"Intent({self.id!r}, {self.status!r}, {self.amount} {self.currency})"


class StripeRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund; `status` is one of pending, requires_action, succeeded, failed, canceled."""

    id: str
    intent_id: str | None
    status: str
    amount: int
    currency: str
    metadata: Mapping[str, str]
    created_s: int
    failure_reason: str | None = None


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that the customer's bank takes back, or tries to."""

    id: str
    intent_id: str | None
    status: str
    amount: int
    currency: str
    created_s: int

    @property
    def is_open(self) -> bool:
        """Whether it is not decided yet; the money is away meanwhile."""
        return self.status not in DECIDED

    @property
    def is_lost(self) -> bool:
        """Whether the money is away for good."""
        return self.status == "lost"


DECIDED: Final = frozenset({"won", "lost", "warning_closed", "prevented"})
