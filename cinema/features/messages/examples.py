"""Examples of messages, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import MESSAGE_ID

DEAD: Final[dict[str, Any]] = {
    "id": MESSAGE_ID,
    "kind": "account_verification",
    "to": "ada@example.com",
    "channel": "mail",
    "language": "en",
    "status": "dead",
    "created_at": "2026-06-01T17:31:00Z",
    "attempts": 1,
    "next_try_at": None,
    "ended_at": "2026-06-01T17:31:01Z",
    "last_error": "550 no such mailbox",
}
WAITING: Final = {
    **DEAD,
    "status": "waiting",
    "attempts": 0,
    "next_try_at": "2026-06-02T08:00:00Z",
    "ended_at": None,
    "last_error": None,
}
CHOICES_INPUT: Final = {
    "off": ["refund_sent"],
    "sms": ["booking_reminder"],
    "phone": "+4930123456",
}
CHOICES: Final = {
    **CHOICES_INPUT,
    "by_sms": ["booking_reminder", "waitlist_offer"],
    "optional": [
        *("booking_confirmed", "booking_reminder", "payment_due", "refund_sent"),
        "waitlist_offer",
    ],
}
CHOICES_OF_USER: Final = {
    name: value for name, value in CHOICES.items() if name in {"off", "sms", "optional"}
}
TURNED_OFF: Final[dict[str, Any]] = {"kind": "booking_reminder", "off": True}
KIND: Final = {"kind": "booking_reminder", "optional": True}
PREVIEW: Final = {
    "kind": "account_deletion_scheduled",
    "language": "en",
    "subject": "Your account will be deleted",
    "text": "Hello Ada, …",
    "html": "<!doctype html>…",
}
