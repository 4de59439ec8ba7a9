"""Examples of reports for managers, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, MOVIE_ID, SCREEN_ID, SHOWTIME_ID

META: Final[dict[str, Any]] = {
    "from": "2026-06-04",
    "to": "2026-06-10",
    "waiting": 0,
    "rebuilding": False,
}
_SEATS: Final = {"showtimes": 4, "seats": 384}
CAPACITY: Final[dict[str, Any]] = {
    "key": "2026-06-05",
    "label": "2026-06-05",
    **_SEATS,
    "sold": 120,
    "admitted": 117,
    "occupancy": 31.3,
}
REVENUE: Final[dict[str, Any]] = {
    "key": "2026-06-05",
    "label": "2026-06-05",
    "currency": "EUR",
    "tickets": 120,
    "gross": 164000,
    "refunds": 2500,
    "tax": 10565,
    "fees": 6000,
    "net": 150935,
}
POPULAR: Final[dict[str, Any]] = {
    "rank": 1,
    "key": MOVIE_ID,
    "label": "Metropolis",
    **_SEATS,
    "tickets": 120,
    "admitted": 117,
    "occupancy": 31.3,
}
OCCUPANCY: Final[dict[str, Any]] = {
    "key": SCREEN_ID,
    "label": "Capitol Screen 1",
    "showtimes": 4,
    "sold_out": 0,
    "seats": 384,
    "sold": 120,
    "occupancy": 31.3,
    "fullest": 58.3,
}
FUNNEL: Final[dict[str, Any]] = {
    "key": "2026-06-05",
    "label": "2026-06-05",
    "showtimes": 4,
    "seat_maps": 412,
    "holds": 180,
    "released": 48,
    "expired": 9,
    "checkout_pages": 141,
    "checkouts": 130,
    "confirmed": 123,
    "completion": 94.6,
    "expiry": 5.0,
}
DISTRIBUTOR: Final[dict[str, Any]] = {
    "key": MOVIE_ID,
    "label": "Metropolis",
    "cinema_id": CINEMA_ID,
    "cinema": "Capitol",
    "currency": "EUR",
    "showtimes": 4,
    "admissions": 120,
    "gross": 150000,
    "tax": 9813,
    "net": 140187,
}
EXPERIMENT: Final[dict[str, Any]] = {
    "key": "ranking booked_shown full",
    "label": "ranking: full",
    "experiment": "ranking",
    "measure": "booked_shown",
    "arm": "full",
    "date": None,
    "is_control": False,
    "customers": 1800,
    "maturing": 130,
    "films_shown": 31240,
    "reached": 234,
    "share": 13.0,
    "share_low": 11.52,
    "share_high": 14.63,
    "difference": 4.0,
    "difference_low": -1.0,
    "difference_high": 7.62,
}
CASH: Final[dict[str, Any]] = {
    "key": "2026-06-05",
    "label": "2026-06-05",
    "currency": "EUR",
    "sessions": 3,
    "open_sessions": 0,
    "opening": 30000,
    "cash_taken": 84500,
    "cash_returned": 2500,
    "terminal_taken": 61000,
    "terminal_returned": 0,
    "paid_in": 0,
    "paid_out": 1200,
    "banked": 50000,
    "expected": 60800,
    "counted": 60750,
    "variance": -50,
}
_SUMS: Final[dict[str, Any]] = {
    "currency": "EUR",
    **_SEATS,
    "sold": 120,
    "admitted": 117,
    "occupancy": 31.3,
    "gross": 164000,
    "refunds": 2500,
    "net": 150935,
}
DASHBOARD: Final[dict[str, Any]] = {
    "at": "2026-06-05T18:00:00Z",
    "today": [_SUMS],
    "this_week": [_SUMS],
    "last_week": [],
    "live": [
        {
            "showtime_id": SHOWTIME_ID,
            "cinema_id": CINEMA_ID,
            "cinema": "Capitol",
            "screen": "Screen 1",
            "film": "Metropolis",
            "starts_at": "2026-06-05T17:30:00Z",
            "ends_at": "2026-06-05T20:23:00Z",
            "seats": 96,
            "sold": 56,
            "admitted": 52,
        }
    ],
}
