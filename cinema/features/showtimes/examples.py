"""Examples of showtimes, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, JOB_ID, MOVIE_ID, SCREEN_ID, SHOWTIME_ID
from cinema.features.seats.examples import PRICE

SHOWTIME_INPUT: Final[dict[str, Any]] = {
    "movie_id": MOVIE_ID,
    "screen_id": SCREEN_ID,
    "starts_at": "2026-06-01T18:00:00Z",
    "base_price": PRICE,
    "format": "2D",
    "language": "de",
}
SHOWTIME: Final = {
    "id": SHOWTIME_ID,
    "movie_id": MOVIE_ID,
    "cinema_id": CINEMA_ID,
    "screen_id": SCREEN_ID,
    "layout_version": 1,
    "starts_at": "2026-06-01T18:00:00Z",
    "ends_at": "2026-06-01T20:53:00Z",
    "base_price": PRICE,
    "format": "2D",
    "language": "de",
    "status": "scheduled",
    "sales": {
        "opens_at": "2026-05-02T18:00:00Z",
        "closes_at": "2026-06-01T18:15:00Z",
        "paused": False,
        "early_access_at": "2026-04-30T18:00:00Z",
    },
    "price_overrides": {},
    "rules": {"early_access_minutes": 2880},
    "free_refund_until": None,
    "cancel_reason": None,
    "version": 1,
}
LAYOUT_CHOICE: Final = {"layout_version": 2}
LAYOUT_CHANGED: Final = {"id": SHOWTIME_ID, "layout_version": 2, "version": 2}
CANCELLATION: Final = {
    "id": SHOWTIME_ID,
    "status": "cancelled",
    "reason": "The projector is broken.",
    "bookings": 12,
    "job_id": JOB_ID,
}
SHOWTIME_CHANGED: Final = SHOWTIME | {"version": 2}
SHOWTIME_AVAILABILITY: Final = {"showtime_id": SHOWTIME_ID, "level": "few_left"}
MOVIE_AVAILABILITY: Final = {"movie_id": MOVIE_ID, "level": "sold_out"}
