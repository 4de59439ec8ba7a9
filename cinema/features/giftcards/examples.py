"""Examples of gift cards, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, CINEMA_ID, GIFT_CARD_ID

AMOUNT: Final = {"amount": 5000, "currency": "EUR"}
REST: Final = {"amount": 3100, "currency": "EUR"}
CODE: Final = "K7QM-3XTR-9WAB-D2PN"
EXPIRES: Final = "2029-06-01T17:31:00Z"

SALE_INPUT: Final[dict[str, Any]] = {
    "cinema_id": CINEMA_ID,
    "amount": AMOUNT,
    "payment": {"method": "counter", "tender": "cash"},
}
SALE: Final[dict[str, Any]] = {
    "id": "019a0c1e-7000-7000-8000-0000000000ab",
    "cinema_id": CINEMA_ID,
    "amount": AMOUNT,
    "total": AMOUNT,
    "expires_at": EXPIRES,
    "cards": [{"id": GIFT_CARD_ID, "code": CODE, "last_four": "D2PN"}],
}
CARD: Final[dict[str, Any]] = {
    "id": GIFT_CARD_ID,
    "cinema_id": CINEMA_ID,
    "last_four": "D2PN",
    "sold_for": AMOUNT,
    "balance": REST,
    "status": "active",
    "method": "counter",
    "sold_at": "2026-06-01T17:31:00Z",
    "expires_at": EXPIRES,
    "disabled_reason": None,
    "replaced_by": None,
}
DISABLED: Final[dict[str, Any]] = {**CARD, "status": "disabled", "disabled_reason": "Lost."}
ENTRY: Final[dict[str, Any]] = {
    "kind": "reserved",
    "amount": -1900,
    "booking_id": BOOKING_ID,
    "at": "2026-06-02T18:00:00Z",
}
BALANCE_INPUT: Final[dict[str, Any]] = {"code": CODE}
BALANCE: Final[dict[str, Any]] = {
    "last_four": "D2PN",
    "balance": REST,
    "status": "active",
    "expires_at": EXPIRES,
}
