"""Examples of deposits, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, GIFT_CARD_ID

DEPOSIT_INPUT: Final[dict[str, Any]] = {
    "percent": 25,
    "kept_percent": 20,
    "payment": {"method": "counter", "tender": "cash"},
    "contact": {"email": "school@example.com", "language": "de"},
    "remind_before_hours": 72,
}
DEPOSIT: Final[dict[str, Any]] = {
    "booking_id": BOOKING_ID,
    "status": "given_up",
    "amount": {"amount": 10000, "currency": "EUR"},
    "percent": 25,
    "kept_percent": 20,
    "keeps": {"amount": 2000, "currency": "EUR"},
    "kept": {"amount": 2000, "currency": "EUR"},
    "remind_at": "2026-05-26T17:30:00Z",
    "pay_until": None,
    "taken_at": "2026-05-10T09:12:00Z",
    "ended_at": "2026-05-29T17:30:05Z",
    "card": {
        "id": GIFT_CARD_ID,
        "last_four": "9KXE",
        "balance": {"amount": 8000, "currency": "EUR"},
        "code": "7KXQ-2MPA-4RTY-9KXE",
    },
}
TAKEN: Final[dict[str, Any]] = {
    **DEPOSIT,
    "status": "taken",
    "kept": {"amount": 0, "currency": "EUR"},
    "pay_until": "2026-05-29T17:30:00Z",
    "ended_at": None,
    "card": None,
}
