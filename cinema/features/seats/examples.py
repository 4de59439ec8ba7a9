"""Examples of seat maps and holds, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import HOLD_ID, SHOWTIME_ID

PRICE: Final = {"amount": 1250, "currency": "EUR"}
HELD_SEATS: Final = [
    {"label": "F7", "category": "regular", "price": PRICE},
    {"label": "F8", "category": "regular", "price": PRICE},
]
TOTAL: Final = {"amount": 2500, "currency": "EUR"}
HOLD_INPUT: Final[dict[str, Any]] = {"seats": ["F7", "F8"]}
EXTENSION: Final = {"extend": True}
HOLD: Final[dict[str, Any]] = {
    "hold_id": HOLD_ID,
    "showtime_id": SHOWTIME_ID,
    "status": "active",
    "seats": HELD_SEATS,
    "total": TOTAL,
    "expires_at": "2026-06-01T17:40:00Z",
    "epoch": 1,
    "seq": 42,
}
SEAT_MAP: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "epoch": 1,
    "seq": 42,
    "layout_version": 1,
    "seats": [
        {
            "label": "F7",
            "row": "F",
            "number": 7,
            "category": "regular",
            "status": "held",
            "price": PRICE,
            "mine": True,
        },
        {
            "label": "F9",
            "row": "F",
            "number": 9,
            "category": "regular",
            "status": "available",
            "price": PRICE,
            "accessible": True,
        },
    ],
}
RELEASED: Final = {**HOLD, "status": "released"}
