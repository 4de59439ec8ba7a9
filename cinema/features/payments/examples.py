"""Examples of payments, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, PAYMENT_ID, REFUND_ID
from cinema.features.seats.examples import TOTAL

PROCESS_INPUT: Final[dict[str, Any]] = {"booking_id": BOOKING_ID, "method": "counter"}
PAYMENT: Final[dict[str, Any]] = {
    "id": PAYMENT_ID,
    "booking_id": BOOKING_ID,
    "method": "counter_later",
    "status": "pending",
    "amount": TOTAL,
    "refunded": {"amount": 0, "currency": "EUR"},
    "refund_pending": {"amount": 0, "currency": "EUR"},
    "created_at": "2026-06-01T17:31:00Z",
    "pay_until": "2026-06-05T17:00:00Z",
}
TAKEN: Final[dict[str, Any]] = {"new": True}
DIFFERENCE: Final[dict[str, Any]] = {
    "id": "019a0c1e-7a3b-7c41-9c55-6d1f2a3b4c5d",
    "kind": "not_booked",
    "object_id": "pi_3QhKx2Cinema",
    "day": "2026-06-01",
    "payment_id": PAYMENT_ID,
    "ours": "pending",
    "theirs": "1900 EUR",
    "found_at": "2026-06-02T01:00:04Z",
    "resolved_at": None,
}
REFUND_INPUT: Final[dict[str, Any]] = {
    "booking_id": BOOKING_ID,
    "seats": ["F7"],
    "reason": "Projector failed.",
}
REFUND_QUOTE: Final[dict[str, Any]] = {
    "booking_id": BOOKING_ID,
    "seats": ["F7"],
    "price": {"amount": 1250, "currency": "EUR"},
    "refund": {"amount": 1250, "currency": "EUR"},
    "kept": {"amount": 0, "currency": "EUR"},
    "percent": 100,
}
REFUND: Final[dict[str, Any]] = {
    "id": REFUND_ID,
    "booking_id": BOOKING_ID,
    "payment_id": PAYMENT_ID,
    "kind": "cancellation",
    "amount": {"amount": 1250, "currency": "EUR"},
    "status": "failed",
    "reason": "",
    "error_code": "expired_or_canceled_card",
    "created_at": "2026-06-02T10:00:00Z",
    "settled_at": None,
}
PAY_OUT_INPUT: Final[dict[str, Any]] = {"tender": "cash"}
PAID_OUT: Final[dict[str, Any]] = REFUND | {
    "status": "succeeded",
    "error_code": None,
    "settled_at": "2026-06-02T17:40:00Z",
}
