"""What each thing that happens means for the accounts: pure.

Amounts are added to accounts. What is owed to the cinema, or is in its hands, counts up; what the
cinema owes, and what it has earned, counts down. All amounts of a transaction sum to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

CUSTOMER: Final = "customer"
DEFERRED: Final = "deferred"
REVENUE: Final = "revenue"
TAX: Final = "tax"
FEES: Final = "fees"
EXCHANGE: Final = "exchange"
"""Money on its way from one booking to another: 0 behind each statement."""

SERIES: Final = "series"
"""The method of bookings that wait for their series; none is ever paid by it."""

ACCOUNTS: Final = frozenset(
    {
        *(CUSTOMER, DEFERRED, REVENUE, TAX, FEES, EXCHANGE),
        *("gift_cards", "points", "cash", "terminal", "stripe", "demo"),
    }
)

ACCOUNT_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": "demo",
        "exchange": "exchange",
        "counter": "cash",
        "counter_later": "cash",
        "free": "demo",
        "gift_card": "gift_cards",
        "points": "points",
        "series": "demo",
        "stripe": "stripe",
    }
)
"""Where the money of each method is. Each method of a server has a place here (a test says so)."""

SALE: Final = "sale"
PAYMENT: Final = "payment"
SEAT_CHANGE: Final = "seat_change"
CANCELLATION: Final = "cancellation"
REFUND: Final = "refund"
REFUND_FAILED: Final = "refund_failed"
"""Money that had gone back has come back to us."""
RECOGNITION: Final = "recognition"


class Lines(msgspec.Struct, frozen=True, gc=False):
    """The lines of one transaction, without those of 0."""

    accounts: list[str]
    amounts: list[int]


def account_of(method: str) -> str:
    """Where the money of a method is; a method that nobody knows took it over the counter."""
    return ACCOUNT_OF.get(method, "cash")


def lines(*amounts: tuple[str, int]) -> Lines | None:
    """A transaction of these amounts by account, each named once; None if they are all 0."""
    there = [one for one in amounts if one[1]]
    return Lines([one[0] for one in there], [one[1] for one in there]) if there else None


def earned_on(at_us: int, starts_at_us: int) -> str:
    """The account of what a ticket costs: until the showtime starts the cinema owes it."""
    return DEFERRED if at_us < starts_at_us else REVENUE


def sale(total_minor: int, tax_minor: int, fees_minor: int, earned: str) -> Lines | None:
    """Tickets were sold; tax and fees are parts of the total."""
    return lines(
        (CUSTOMER, total_minor),
        (earned, tax_minor + fees_minor - total_minor),
        (TAX, -tax_minor),
        (FEES, -fees_minor),
    )


def moved(amount_minor: int, *, to: str, of: str) -> Lines | None:
    """Money came `of` an account, and is on another one now."""
    return lines((to, amount_minor), (of, -amount_minor))
