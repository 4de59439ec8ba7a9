"""Values that stand in the documentation as examples."""

from __future__ import annotations

from typing import Any, Final

USER_ID: Final = "019a0c1e-7000-7000-8000-0000000000a1"
MOVIE_ID: Final = "019a0c1e-7000-7000-8000-0000000000b1"
CINEMA_ID: Final = "019a0c1e-7000-7000-8000-0000000000c1"
SCREEN_ID: Final = "019a0c1e-7000-7000-8000-0000000000d1"
SHOWTIME_ID: Final = "019a0c1e-7000-7000-8000-0000000000e1"

USER: Final[dict[str, Any]] = {
    "id": USER_ID,
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "role": "customer",
    "email_verified": False,
    "created_at": "2026-05-01T09:00:00Z",
}
CREDENTIALS: Final = {"email": "ada@example.com", "password": "correct horse battery"}
REGISTRATION: Final = {**CREDENTIALS, "first_name": "Ada", "last_name": "Lovelace"}
AUTHENTICATED: Final = {
    "user": USER,
    "access_token": "eyJhbGciOiJIUzI1NiIs…",
    "token_type": "Bearer",
    "expires_in": 3600,
}
MOVIE_INPUT: Final[dict[str, Any]] = {
    "title": "Metropolis",
    "description": "A city of two classes, and the machine that sets them against each other.",
    "genres": ["Science fiction", "Drama"],
    "runtime_minutes": 153,
    "release_date": "1927-01-10",
    "age_rating": "PG",
    "languages": ["de"],
    "poster_url": None,
    "trailer_url": None,
}
MOVIE: Final = {"id": MOVIE_ID, **MOVIE_INPUT}
CINEMA_INPUT: Final[dict[str, Any]] = {
    "name": "Odeon am Markt",
    "address": "Marktplatz 1",
    "city": "Leipzig",
    "country": "DE",
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
}
CINEMA: Final = {"id": CINEMA_ID, **CINEMA_INPUT}
GRID: Final = {"grid": {"rows": 8, "columns": 12}}
SCREEN_INPUT: Final = {"cinema_id": CINEMA_ID, "name": "Screen 1", **GRID}
SCREEN: Final = {
    "id": SCREEN_ID,
    "cinema_id": CINEMA_ID,
    "name": "Screen 1",
    "layout_version": 1,
    "seat_count": 96,
}
LAYOUT: Final = {
    "screen_id": SCREEN_ID,
    "layout_version": 1,
    "seat_count": 3,
    "layout": {
        "rows": [
            {
                "label": "A",
                "seats": [
                    {"number": 1, "category": "regular", "accessible": True},
                    {"number": 2, "category": "regular", "companion": True},
                    {"number": 3, "category": "premium", "gap_before": 1.0},
                ],
            }
        ]
    },
}
PRICE: Final = {"amount": 1250, "currency": "EUR"}
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
    },
}
HOLD_ID: Final = "019a0c1e-7000-7000-8000-0000000000f1"
BOOKING_ID: Final = "019a0c1e-7000-7000-8000-0000000000a2"
HELD_SEATS: Final = [
    {"label": "F7", "category": "regular", "price": PRICE},
    {"label": "F8", "category": "regular", "price": PRICE},
]
TOTAL: Final = {"amount": 2500, "currency": "EUR"}
HOLD_INPUT: Final[dict[str, Any]] = {"seats": ["F7", "F8"]}
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
BOOKING_INPUT: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "hold_id": HOLD_ID,
    "payment": {"method": "demo"},
}
BOOKING: Final[dict[str, Any]] = {
    "id": BOOKING_ID,
    "code": "K7M2Q9XA",
    "showtime_id": SHOWTIME_ID,
    "status": "confirmed",
    "seats": HELD_SEATS,
    "total": TOTAL,
    "created_at": "2026-06-01T17:31:00Z",
    "payment": {
        "id": "019a0c1e-7000-7000-8000-0000000000a3",
        "method": "demo",
        "status": "succeeded",
        "amount": TOTAL,
    },
}
