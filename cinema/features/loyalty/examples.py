"""Examples of points, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID

LOYALTY: Final[dict[str, Any]] = {
    "balances": [
        {
            "points": 340,
            "worth": {"amount": 340, "currency": "EUR"},
            "expiring": {"points": 120, "at": "2028-06-01T17:31:00Z"},
        }
    ]
}
ENTRY: Final[dict[str, Any]] = {
    "id": "019a0c1e-7000-7000-8000-0000000000ac",
    "kind": "earned",
    "points": 120,
    "missing": 0,
    "currency": "EUR",
    "booking_id": BOOKING_ID,
    "expires_at": "2028-06-01T17:31:00Z",
    "at": "2026-06-01T17:31:00Z",
}
