"""Examples of wait lists, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import HOLD_ID, SHOWTIME_ID, USER_ID
from cinema.features.seats.examples import HOLD

ENTRY_INPUT: Final[dict[str, Any]] = {"quantity": 2, "category": "regular", "together": True}
ENTRY: Final[dict[str, Any]] = {
    "id": HOLD_ID,
    "showtime_id": SHOWTIME_ID,
    "status": "waiting",
    "position": 3,
    "quantity": 2,
    "category": "regular",
    "accessible": False,
    "together": True,
    "joined_at": "2026-06-01T17:25:00Z",
    "offer": None,
}
OFFERED: Final[dict[str, Any]] = {**ENTRY, "status": "offered", "position": None, "offer": HOLD}
ENDED: Final[dict[str, Any]] = {"id": HOLD_ID, "showtime_id": SHOWTIME_ID, "status": "left"}
LISTED: Final[dict[str, Any]] = {**ENTRY, "customer_id": USER_ID}
