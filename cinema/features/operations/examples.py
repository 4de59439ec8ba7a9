"""Examples of the control endpoint, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import HOLD_ID, SHOWTIME_ID, USER_ID
from cinema.features.seats.examples import TOTAL

NODE_ID: Final = "5f0c2d8e-91b7-4c53-a6d0-3e7f18c9b240"
ADDRESS: Final = "10.0.0.11:8080"

NODE: Final[dict[str, Any]] = {
    "node_id": NODE_ID,
    "address": ADDRESS,
    "weight": 100,
    "draining": False,
    "this": True,
    "reachable": True,
    "status": {
        "version": "0.1.0",
        "view_version": 7,
        "frozen": False,
        "pid": 17,
        "started_at": "2026-06-01T09:00:00Z",
        "uptime_s": 30_600.4,
        "draining": False,
        "residents": 412,
        "phases": {"serving": 411, "passivating": 1},
        "mailbox_depth": 3,
        "lanes": 1,
        "log_level": "info",
        "watchers": 1_280,
        "requests": 4_120_311,
        "errors": 2,
    },
}
RING: Final[dict[str, Any]] = {
    "view_version": 7,
    "members": [
        {
            "node_id": NODE_ID,
            "address": ADDRESS,
            "weight": 100,
            "draining": False,
            "share": 0.334121,
        }
    ],
    "owner": {"showtime_id": SHOWTIME_ID, "node_id": NODE_ID, "address": ADDRESS},
}
ACTOR: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "node_id": NODE_ID,
    "phase": "serving",
    "epoch": 3,
    "seq": 42,
    "durable_seq": 42,
    "mailbox_depth": 0,
    "idle_s": 1.2,
    "last_used_at": "2026-06-01T17:29:58.800000Z",
    "lane": 0,
    "watched": True,
    "failures": 0,
    "holds": 1,
    "bookings": 12,
    "next_due_at": "2026-06-01T17:40:00Z",
}
SHOWTIME: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "resident": True,
    "epoch": 3,
    "seq": 42,
    "snapshot_seq": 0,
    "memory": {
        "node_id": NODE_ID,
        "phase": "serving",
        "durable_seq": 42,
        "mailbox_depth": 3,
        "mailbox": {"HoldSeats": 2, "ReadSeats": 1},
        "answers_waiting": 0,
        "unwritten_events": 0,
        "in_flight_seq": 0,
        "snapshot_pending": False,
        "lease_age_ms": 120,
        "lease_fresh": True,
        "doubts": 0,
        "lane": 0,
        "idle_s": 1.2,
        "watched": True,
        "failures": 0,
    },
    "state": {
        "at": "2026-06-01T17:30:00Z",
        "layout_version": 1,
        "paused": False,
        "seats": {"available": 70, "held": 2, "booked": 23, "blocked": 1},
        "holds": 1,
        "ended_holds": 14,
        "bookings": 12,
        "stored_replies": 20,
        "next_due_at": "2026-06-01T17:40:00Z",
        "live_holds": [
            {
                "hold_id": HOLD_ID,
                "customer_id": USER_ID,
                "seats": ["F7", "F8"],
                "placed_at": "2026-06-01T17:30:00Z",
                "expires_at": "2026-06-01T17:40:00Z",
            }
        ],
    },
    "problem": None,
    "unreachable": [],
}
PASSIVATED: Final = {"showtime_id": SHOWTIME_ID, "node_id": NODE_ID, "was_resident": True}
DRAINING: Final = {"node_id": NODE_ID, "draining": True}
LOG_LEVEL_INPUT: Final = {"level": "debug"}
LOG_LEVEL: Final = {"node_id": NODE_ID, "level": "info"}
EVENT: Final[dict[str, Any]] = {
    "seq": 42,
    "epoch": 3,
    "at": "2026-06-01T17:30:00.120000Z",
    "event": "SeatsHeld",
    "command_id": "5b0ad1c7f3d24c0c9b8f6f0f6a3d2e11",
    "keyed": True,
    "seats": ["F7", "F8"],
    "hold_id": HOLD_ID,
    "customer_id": USER_ID,
    "total": TOTAL,
    "expires_at": "2026-06-01T17:40:00.120000Z",
}
SEATS_AT: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "seq": 42,
    "epoch": 3,
    "at": "2026-06-01T17:30:00.120000Z",
    "layout_version": 1,
    "paused": False,
    "counts": {"available": 1, "held": 1, "booked": 0, "blocked": 0},
    "seats": [
        {
            "label": "F7",
            "row": "F",
            "number": 7,
            "category": "regular",
            "status": "held",
            "hold_id": HOLD_ID,
            "customer_id": USER_ID,
        },
        {"label": "F9", "row": "F", "number": 9, "category": "regular", "status": "available"},
    ],
}
SEAT_CHANGE: Final[dict[str, Any]] = {
    "seq": 42,
    "epoch": 3,
    "at": "2026-06-01T17:30:00.120000Z",
    "event": "SeatsHeld",
    "status": "held",
    "hold_id": HOLD_ID,
    "customer_id": USER_ID,
}
HISTORY_META: Final = {"next_cursor": None, "first_seq": 1, "last_seq": 42}
SEATS_INPUT: Final = {"seats": ["F7", "F8"]}
INTERVENED: Final[dict[str, Any]] = {
    "showtime_id": SHOWTIME_ID,
    "epoch": 3,
    "seq": 43,
    "at": "2026-06-01T17:31:00Z",
    "recorded": True,
    "seats": ["F7", "F8"],
}
SWITCHED: Final[dict[str, Any]] = {**INTERVENED, "seats": []}
