"""Examples of waiting rooms, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, MOVIE_ID, PLACE_ID, ROOM_ID, SHOWTIME_ID

_TOKEN: Final = "AfQmEZk8ZB0Jt2wQ3nVqXoRkT1m5aYb7cGd9eFhIjKlMnOpQrStUvWxYz012"  # noqa: S105

ROOM_INPUT: Final[dict[str, Any]] = {
    "mode": "on",
    "starts_at": "2026-06-01T10:00:00Z",
    "shoppers": 200,
}
SETTINGS: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    **ROOM_INPUT,
    "entry_seconds": 60,
    "shopping_seconds": 600,
    "places_per_address": 100,
    "work_bits": 0,
    "holds_per_second": 200,
    "version": 42,
}
JOIN_INPUT: Final[dict[str, Any]] = {"device_secret": "mPZ1cN0a9kKx3W5rQv7TtA"}
ENTRY_INPUT: Final[dict[str, Any]] = {"token": _TOKEN, "device_secret": "mPZ1cN0a9kKx3W5rQv7TtA"}

GATHERING: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "movie_id": None,
    "id": ROOM_ID,
    "status": "gathering",
    "starts_at": "2026-06-01T10:00:00Z",
    "shoppers": 200,
    "waiting": 4811,
    "shopping": 0,
    "work_bits": 0,
    "commitment": "d8b8a44c4ee7e4e6a5c0fd3e0f7c4f5ba0f2b1d5c7a9b3f1e8d6c4a2b0f9e7d5",
    "seed": None,
    "place": None,
}
FILM_ROOM: Final[dict[str, Any]] = {
    "cinema_id": CINEMA_ID,
    "movie_id": MOVIE_ID,
    "showtime_ids": [SHOWTIME_ID],
    **{
        name: value
        for name, value in GATHERING.items()
        if name not in {"showtime_id", "movie_id", "place"}
    },
}
JOINED: Final[dict[str, Any]] = {
    **GATHERING,
    "place": {
        "id": PLACE_ID,
        "token": _TOKEN,
        "status": "waiting",
        "ended_by": None,
        "position": None,
        "estimate_s": None,
        "until": None,
        "poll_after_s": 15,
    },
}
WAITING: Final[dict[str, Any]] = {
    **GATHERING,
    "status": "open",
    "shopping": 200,
    "seed": "8f1c0e5b7a3d49626f0e1d2c3b4a59687786958493a2b1c0dfeecdbcab9a8978",
    "place": {**JOINED["place"], "position": 214, "estimate_s": 40, "poll_after_s": 10},
}
ENTERED: Final[dict[str, Any]] = {
    **WAITING,
    "place": {
        **JOINED["place"],
        "status": "inside",
        "until": "2026-06-01T10:14:31Z",
    },
}
LEFT: Final[dict[str, Any]] = {
    "id": PLACE_ID,
    "showtime_id": SHOWTIME_ID,
    "status": "ended",
}
ORDERED: Final[dict[str, Any]] = {"id": PLACE_ID, "number": 214}
