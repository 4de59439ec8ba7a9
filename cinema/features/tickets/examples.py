"""Examples of tickets and scans, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import BOOKING_ID, CINEMA_ID, SCREEN_ID, SHOWTIME_ID

TICKET_ID: Final = "019a0c1e-7000-7000-8000-000000000001"
GROUP_ID: Final = "019a0c1e-7000-7000-8000-000000000000"
DEVICE_ID: Final = "019a0c1e-7000-7000-8000-0000000000b7"
CODE: Final = (
    "AGFADGQMDZYAA4AAQAAAAAAAAAAACAM2BQPHAADQAAA2AM3S46JKVKPH5D5FZAZWTZE5JZYT7"
    "YOOJXLZDBA3IH7XFD3CW4D2YEP7LXZPG42AFKC3LXU3HWWEHVMGNYHJEDNBXTYLIUHPSWVFBI"
)
USED_AT: Final = "2026-06-01T17:45:00Z"

TICKET: Final[dict[str, Any]] = {
    "id": TICKET_ID,
    "booking_id": BOOKING_ID,
    "showtime_id": SHOWTIME_ID,
    "seat": "F7",
    "category": "regular",
    "type": "adult",
    "status": "valid",
    "blocked": False,
    "token": CODE,
    "group_token": None,
    "used_at": None,
}
BLOCKED: Final[dict[str, Any]] = {**TICKET, "blocked": True}
SCAN_INPUT: Final[dict[str, Any]] = {
    "token": CODE,
    "showtime_id": SHOWTIME_ID,
    "nonce": "door-1-000042",
}
USED: Final[dict[str, Any]] = {**TICKET, "status": "used", "token": None, "used_at": USED_AT}
ADMISSION: Final[dict[str, Any]] = {
    "admitted": True,
    "direction": "entry",
    "ticket": USED,
    "tickets": [USED],
    "checks": ["age 16", "Student card"],
    "refused": [],
}
SCANS_INPUT: Final[dict[str, Any]] = {
    "sent_at": "2026-06-01T18:10:00Z",
    "scans": [{"token": CODE, "at": USED_AT, "nonce": "door-1-000042"}],
}
UPLOADED: Final[dict[str, Any]] = {
    "scans": [
        {
            "nonce": "door-1-000042",
            "outcome": "conflict",
            "at": USED_AT,
            "ticket_ids": [TICKET_ID],
            "code": None,
        }
    ],
    "conflicts": [
        {
            "ticket_id": TICKET_ID,
            "seat": "F7",
            "nonce": "door-1-000042",
            "first_at": USED_AT,
            "first_by": "Door 1",
            "also_at": "2026-06-01T17:52:00Z",
            "also_by": "Door 2",
        }
    ],
}
SCAN_LIST: Final[dict[str, Any]] = {
    "list": {
        "showtime_id": SHOWTIME_ID,
        "cinema_id": CINEMA_ID,
        "screen_id": SCREEN_ID,
        "film": "Stalker",
        "starts_at": "2026-06-01T18:00:00Z",
        "ends_at": "2026-06-01T20:43:00Z",
        "opens_at": "2026-06-01T17:30:00Z",
        "closes_at": "2026-06-01T20:58:00Z",
        "cancelled": False,
        "tickets": [
            {
                "id": TICKET_ID,
                "generation": 1,
                "seat": "F7",
                "state": "valid",
                "checks": ["age 16"],
            }
        ],
        "groups": [],
        "keys": [
            {"key_id": 138, "public_key": "igTQOlMFpkoF5EVSTih4zUxcTb83SpEasZGunIaW8o0"},
        ],
    },
    "key_id": 138,
    "signature": "pC2NZwrz-3TFfvv15Ql9rJN8uEeBVBzh4Ay04_gJ5YF"
    "5cN6bPnMSLM9CjO_-OQbXIy0Ewf2VA8JeCIQo4tURAg",
}
ATTENDANCE: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "sold": 84,
    "used": 1,
    "inside": 1,
    "entries": [
        {
            "ticket_id": TICKET_ID,
            "seat": "F7",
            "type": "adult",
            "inside": True,
            "entered_at": USED_AT,
            "left_at": None,
            "scanner": "Door 1",
        }
    ],
}
DEVICE: Final[dict[str, Any]] = {
    "id": DEVICE_ID,
    "cinema_id": CINEMA_ID,
    "name": "Door 1",
    "created_at": "2026-05-01T09:00:00Z",
    "revoked_at": None,
}
REVOKED: Final[dict[str, Any]] = {**DEVICE, "revoked_at": "2026-06-01T21:00:00Z"}
NEW_DEVICE: Final[dict[str, Any]] = {
    "device": DEVICE,
    "token": "scanner_9pY2v0ksGQ3c8hT5nZx1bW7dLr4mJf6aEoUqKiVtHs0",
}
