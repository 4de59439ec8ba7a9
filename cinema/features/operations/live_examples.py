"""Examples of what happens right now."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.operations.examples import ADDRESS, NODE_ID

LIVE: Final[dict[str, Any]] = {
    "at": "2026-06-01T17:30:00Z",
    "nodes": [
        {
            "node_id": NODE_ID,
            "address": ADDRESS,
            "draining": False,
            "counts": {
                "version": "0.1.0",
                "uptime_s": 30_600.4,
                "showtimes": 412,
                "waiting": 3,
                "watchers": 1_280,
                "requests": 4_120_311,
                "errors": 2,
            },
        }
    ],
    "minutes": [
        {"ago": 0, "bookings": 14, "tickets": 31},
        {"ago": 1, "bookings": 11, "tickets": 24},
    ],
}
