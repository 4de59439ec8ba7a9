"""Examples of gift cards, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import (
    BOOKING_ID,
    CINEMA_ID,
    GIFT_CARD_ID,
    GIFT_CARD_ORDER_ID,
)

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

ORDER_INPUT: Final[dict[str, Any]] = {
    "cinema_id": CINEMA_ID,
    "amount": AMOUNT,
    "payment": {"method": "stripe"},
    "recipient": {"email": "grace@example.com", "name": "Grace"},
    "sender_name": "Ada",
    "message": "Happy birthday!",
    "deliver_on": "2026-06-09",
}
ORDER: Final[dict[str, Any]] = {
    "id": GIFT_CARD_ORDER_ID,
    "cinema_id": CINEMA_ID,
    "amount": AMOUNT,
    "status": "open",
    "payment": {"method": "stripe", "status": "pending", "client_secret": "pi_1_secret_2"},
    "recipient": {"email": "grace@example.com", "name": "Grace"},
    "sender_name": "Ada",
    "message": "Happy birthday!",
    "deliver_at": "2026-06-09T06:00:00Z",
    "delivered_at": None,
    "created_at": "2026-06-01T17:30:00Z",
    "paid_at": None,
    "refunded_at": None,
    "refundable_until": None,
    "card": None,
}
PAID_ORDER: Final[dict[str, Any]] = {
    **ORDER,
    "status": "paid",
    "payment": {"method": "stripe", "status": "succeeded"},
    "paid_at": "2026-06-01T17:31:00Z",
    "refundable_until": "2026-06-15T17:31:00Z",
    "card": {
        "id": GIFT_CARD_ID,
        "last_four": "D2PN",
        "balance": AMOUNT,
        "status": "active",
        "expires_at": EXPIRES,
        "code": CODE,
    },
}
RETURNED_ORDER: Final[dict[str, Any]] = {
    **PAID_ORDER,
    "status": "refunded",
    "refunded_at": "2026-06-02T09:00:00Z",
    "card": {
        "id": GIFT_CARD_ID,
        "last_four": "D2PN",
        "balance": {"amount": 0, "currency": "EUR"},
        "status": "disabled",
        "expires_at": EXPIRES,
        "code": None,
    },
}
