"""Examples of the ledger, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID

TRANSACTION: Final[dict[str, Any]] = {
    "id": 4711,
    "kind": "sale",
    "source": BOOKING_ID,
    "at": "2026-06-01T17:31:00Z",
    "currency": "EUR",
    "lines": [
        {"account": "customer", "amount": 2500},
        {"account": "deferred", "amount": -2500},
    ],
}
