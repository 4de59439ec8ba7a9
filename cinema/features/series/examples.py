"""Examples of series, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.bookings.examples import BOOKING
from cinema.features.example_ids import SERIES_ID, SHOWTIME_ID

SERIES_INPUT: Final[dict[str, Any]] = {
    "showtime_ids": [SHOWTIME_ID, "019a0c1e-7000-7000-8000-0000000000d2"],
    "seats": ["F7", "F8"],
    "payment": {"method": "demo"},
}
SERIES: Final[dict[str, Any]] = {
    "id": SERIES_ID,
    "status": "confirmed",
    "total": BOOKING["total"],
    "created_at": BOOKING["created_at"],
    "bookings": [BOOKING],
}
SERIES_TO_PAY: Final[dict[str, Any]] = {
    **SERIES,
    "status": "pending",
    "bookings": [],
    "payment": {
        "method": "stripe",
        "due": BOOKING["total"],
        "pay_until": BOOKING["created_at"],
        "client_secret": "pi_3Mt_secret_x1",
    },
}
