"""Examples of bookings, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, HOLD_ID, PAYMENT_ID, SHOWTIME_ID
from cinema.features.seats.examples import HELD_SEATS, TOTAL

BOOKING_INPUT: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "hold_id": HOLD_ID,
    "payment": {"method": "demo"},
}
BOOKING: Final[dict[str, Any]] = {
    "id": BOOKING_ID,
    "code": "K7M2Q9XA",
    "showtime_id": SHOWTIME_ID,
    "status": "confirmed",
    "seats": HELD_SEATS,
    "total": TOTAL,
    "created_at": "2026-06-01T17:31:00Z",
    "payment": {
        "id": PAYMENT_ID,
        "method": "demo",
        "status": "succeeded",
        "amount": TOTAL,
    },
}
CANCELLED: Final = {**BOOKING, "status": "cancelled"}
