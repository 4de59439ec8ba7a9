"""Examples of reports, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, MOVIE_ID, RETURN_ID, SCREEN_ID

_AMOUNTS: Final = {"admissions": 120, "gross": 150000, "tax": 9813, "net": 140187}
INPUT: Final[dict[str, Any]] = {"movie_id": MOVIE_ID, "from": "2026-06-04", "to": "2026-06-10"}
RETURN: Final[dict[str, Any]] = {
    "id": RETURN_ID,
    "number": 3,
    "cinema_id": CINEMA_ID,
    "cinema": "Capitol",
    "movie_id": MOVIE_ID,
    "film": "Metropolis",
    "from": "2026-06-04",
    "to": "2026-06-10",
    "drawn_at": "2026-06-11T08:00:00Z",
    "currency": "EUR",
    "lines": [
        {
            "day": "2026-06-05",
            "screen_id": SCREEN_ID,
            "screen": "Screen 1",
            "type": "adult",
            **_AMOUNTS,
            "correction": False,
        }
    ],
    **_AMOUNTS,
}
FIGURES: Final[dict[str, Any]] = {**RETURN, "id": None, "number": None, "drawn_at": None}
