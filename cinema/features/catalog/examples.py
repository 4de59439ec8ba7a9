"""Examples of films, cinemas and screens, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, MOVIE_ID, SCREEN_ID, USER_ID

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
MOVIE: Final = {
    "id": MOVIE_ID,
    **MOVIE_INPUT,
    "rating": {"average": 3.93, "count": 2},
    "version": 1,
}
MOVIE_CHANGED: Final = {**MOVIE, "version": 2}
MOVIE_WITH_POSTER: Final = {
    **MOVIE_CHANGED,
    "poster_url": f"/media/{'5a' * 32}-780.webp",
}
CINEMA_INPUT: Final[dict[str, Any]] = {
    "name": "Odeon am Markt",
    "address": "Marktplatz 1",
    "city": "Leipzig",
    "country": "DE",
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
}
CINEMA: Final = {"id": CINEMA_ID, **CINEMA_INPUT, "version": 1}
CINEMA_CHANGED: Final = {**CINEMA, "version": 2}
SETTINGS: Final[dict[str, Any]] = {
    "opening_hours": {
        day: {"opens": "10:30", "closes": "01:00"}
        for day in ("tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    },
    "opening_exceptions": [{"date": "2026-12-24", "hours": None}],
    "ads_minutes": 20,
    "cleaning_minutes": 15,
    "ticket_early_minutes": 30,
    "ticket_grace_minutes": 15,
    "business_day_starts_at": "06:00",
    "rating_system": "FSK",
    "legal_name": "Lichtspiele Leipzig GmbH",
    "legal_address": "Petersstraße 20, 04109 Leipzig",
    "tax_number": "DE123456789",
    "tax_rates": {"standard": 1900, "reduced": 700},
    "invoice_prefix": "LEJ-",
    "refund_policy": [{"hours_before": 2, "percent": 100, "fees": False}],
}
SETTINGS_SEEN: Final = {
    "id": CINEMA_ID,
    "version": 2,
    "settings": SETTINGS | {"opening_hours": {"monday": None, **SETTINGS["opening_hours"]}},
}
GRID: Final = {"grid": {"rows": 8, "columns": 12}}
SCREEN_INPUT: Final = {"cinema_id": CINEMA_ID, "name": "Screen 1", **GRID}
SCREEN: Final = {
    "id": SCREEN_ID,
    "cinema_id": CINEMA_ID,
    "name": "Screen 1",
    "layout_version": 1,
    "seat_count": 96,
    "version": 1,
    "rules": {"seats_per_hold": 8},
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
LAYOUT_VERSION: Final = {
    "layout_version": 2,
    "seat_count": 96,
    "created_at": "2026-05-20T12:00:00Z",
    "created_by": USER_ID,
    "current": True,
    "showtimes": 40,
    "coming_showtimes": 12,
}
SCREEN_CHANGED: Final = {**SCREEN, "layout_version": 2, "version": 2}
LAYOUT_IMPORT: Final = {
    "screen": SCREEN_CHANGED,
    "report": {
        "name": "Odeon, Screen 1",
        "seats": 96,
        "rows": [{"zone": "Stalls", "row": "12", "label": "L", "seats": 96}],
        "categories": {"regular": 96},
        "dropped": {"category.color": 1, "zone.areas": 2},
        "notes": [
            {
                "code": "ROW_RENAMED",
                "message": "Rows have letters and their seats numbers, or the other way round, and "
                "each name is there once: these rows have another name.",
                "count": 1,
                "paths": ["$.zones[0].rows[0]"],
            }
        ],
    },
}
SCREEN_CHANGE: Final = {"name": "Grand Hall"}
SCREEN_RENAMED: Final = {**SCREEN, **SCREEN_CHANGE, "version": 2}
MOVIE_DELETED: Final[dict[str, Any]] = {
    "id": MOVIE_ID,
    "deleted_at": "2026-05-20T12:00:00Z",
    "job_id": None,
}
CINEMA_DELETED: Final = {**MOVIE_DELETED, "id": CINEMA_ID}
SCREEN_DELETED: Final = {**MOVIE_DELETED, "id": SCREEN_ID}
