"""Examples of schedules, as they stand in the documentation."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, JOB_ID, MOVIE_ID, PLAN_ID, SCREEN_ID, SHOWTIME_ID

PRICE: Final = {"amount": 1050, "currency": "EUR"}
PRIME_PRICE: Final = {"amount": 1250, "currency": "EUR"}
PLAN_INPUT: Final[dict[str, Any]] = {
    "cinema_id": CINEMA_ID,
    "date_from": "2026-06-04",
    "date_to": "2026-06-10",
    "films": [
        {
            "movie_id": MOVIE_ID,
            "visitors": 420,
            "versions": [{"format": "2D", "language": "de"}],
            "shows_min": 2,
            "prime_min": 1,
        }
    ],
    "opening_exceptions": [
        {"date": "2026-06-08", "hours": None},
        {"date": "2026-06-06", "hours": {"opens": "10:00", "closes": "02:00"}},
    ],
    "screens": [{"screen_id": SCREEN_ID, "formats": ["2D", "3D"]}],
    "base_price": PRICE,
    "prime_price": PRIME_PRICE,
}
QUEUED: Final[dict[str, Any]] = {
    "id": PLAN_ID,
    "cinema_id": CINEMA_ID,
    "job_id": JOB_ID,
    "date_from": "2026-06-04",
    "date_to": "2026-06-10",
    "status": "queued",
    "progress": 0.0,
    "method": None,
    "objective": None,
    "bound": None,
    "gap": None,
    "shows": [],
    "unmet": [],
    "created_at": "2026-06-01T17:31:00Z",
    "applied_at": None,
}
PLAN: Final[dict[str, Any]] = {
    **QUEUED,
    "status": "done",
    "progress": 1.0,
    "method": "solver",
    "objective": 2817.4,
    "bound": 2890.0,
    "gap": 0.0251,
    "shows": [
        {
            "movie_id": MOVIE_ID,
            "screen_id": SCREEN_ID,
            "starts_at": "2026-06-04T18:00:00Z",
            "ends_at": "2026-06-04T20:53:00Z",
            "format": "2D",
            "language": "de",
            "base_price": PRIME_PRICE,
        }
    ],
    "unmet": [
        {
            "wish": "shows_min",
            "movie_id": MOVIE_ID,
            "date": "2026-06-05",
            "missing": 1,
            "price": 100.0,
        }
    ],
}
CANCELLED: Final = {**QUEUED, "status": "cancelled"}
APPLIED: Final = {**PLAN, "status": "applied", "applied_at": "2026-06-01T17:40:00Z"}
SCHEDULE: Final = {
    "cinema_id": CINEMA_ID,
    "date": "2026-06-04",
    "time_zone": "Europe/Berlin",
    "showtimes": [
        {
            "id": SHOWTIME_ID,
            "movie_id": MOVIE_ID,
            "movie_title": "Metropolis",
            "screen_id": SCREEN_ID,
            "screen_name": "Screen 1",
            "starts_at": "2026-06-04T18:00:00Z",
            "ends_at": "2026-06-04T20:53:00Z",
            "local_start": "20:00",
            "format": "2D",
            "language": "de",
            "base_price": PRIME_PRICE,
        }
    ],
}
