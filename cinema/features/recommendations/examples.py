"""Examples of recommendations, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.catalog.examples import MOVIE
from cinema.features.example_ids import CINEMA_ID, SHOWTIME_ID

MOVIE_ID: Final[str] = MOVIE["id"]
EXPOSURE_ID: Final = "019a0c1e-7000-7000-8000-0000000000d1"

RECOMMENDATION: Final[dict[str, Any]] = {
    "movie": MOVIE,
    "reason": {
        "code": "more_of",
        "args": {"genre": MOVIE["genres"][0]},
        "text": f"More of what you like: {MOVIE['genres'][0]}.",
    },
    "score": 1.37,
    "next_showtimes": [
        {
            "id": SHOWTIME_ID,
            "cinema_id": CINEMA_ID,
            "starts_at": "2026-06-05T18:00:00Z",
            "format": "2D",
            "language": "en",
        }
    ],
    "exposure_id": EXPOSURE_ID,
}
FEEDBACK_INPUT: Final[dict[str, Any]] = {
    "movie_id": MOVIE_ID,
    "kind": "more",
    "exposure_id": EXPOSURE_ID,
}
FEEDBACK: Final[dict[str, Any]] = {
    "movie_id": MOVIE_ID,
    "kind": "more",
    "at": "2026-06-01T17:31:00Z",
}
FORGOTTEN: Final[dict[str, Any]] = {"movie_id": MOVIE_ID}
EVENTS_INPUT: Final[dict[str, Any]] = {
    "events": [{"kind": "click", "movie_id": MOVIE_ID, "exposure_id": EXPOSURE_ID}]
}
ACCEPTED: Final[dict[str, Any]] = {"accepted": 1}
PREFERENCES: Final[dict[str, Any]] = {
    "genres": ["Drama"],
    "cinema_ids": [CINEMA_ID],
    "opt_out": False,
    "date_of_birth": "1995-03-22",
}
