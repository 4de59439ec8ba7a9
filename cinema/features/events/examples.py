"""Examples of events, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, CINEMA_ID, EVENT_ID, SHOWTIME_ID

CONFIRMED: Final[dict[str, Any]] = {
    "id": EVENT_ID,
    "type": "booking.confirmed",
    "timestamp": "2026-06-01T17:31:00Z",
    "position": 4711,
    "sequence": 1,
    "cinema_id": CINEMA_ID,
    "showtime_id": SHOWTIME_ID,
    "booking_id": BOOKING_ID,
    "data": {"seats": ["F7", "F8"], "total": {"amount": 2500, "currency": "EUR"}},
}
