"""Examples of webhooks, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import (
    BOOKING_ID,
    CINEMA_ID,
    DELIVERY_ID,
    EVENT_ID,
    WEBHOOK_ID,
)

INPUT: Final[dict[str, Any]] = {
    "url": "https://partner.example/cinema-events",
    "types": ["booking.confirmed", "booking.cancelled"],
    "cinema_id": CINEMA_ID,
    "description": "Car park of the centre",
}
WEBHOOK: Final[dict[str, Any]] = {
    **INPUT,
    "id": WEBHOOK_ID,
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": None,
    "failing_since": None,
    "last_error": None,
    "last_delivered_at": "2026-06-01T17:31:01Z",
    "previous_secret_until": None,
    "created_at": "2026-05-01T08:00:00Z",
}
_SECRET: Final = "whsec_QmVlUG9wY29ybkFuZEZpbG1zQXJlR29vZEZvclVzIQ=="  # noqa: S105  (an example)
CREATED: Final[dict[str, Any]] = {
    "webhook": {**WEBHOOK, "last_delivered_at": None},
    "secret": _SECRET,
}
ROTATED: Final[dict[str, Any]] = {
    "webhook": {**WEBHOOK, "previous_secret_until": "2026-06-02T17:31:00Z"},
    "secret": _SECRET,
}
GONE: Final = {"id": WEBHOOK_ID}
DELIVERY: Final[dict[str, Any]] = {
    "id": DELIVERY_ID,
    "event_id": EVENT_ID,
    "type": "booking.confirmed",
    "position": 4711,
    "booking_id": BOOKING_ID,
    "status": "delivered",
    "attempts": 1,
    "next_try_at": None,
    "ended_at": "2026-06-01T17:31:01Z",
    "last_status": 204,
    "last_error": None,
}
WAITING: Final[dict[str, Any]] = {
    **DELIVERY,
    "status": "waiting",
    "attempts": 0,
    "next_try_at": "2026-06-02T08:00:00Z",
    "ended_at": None,
}
