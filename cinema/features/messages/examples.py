"""Examples of messages, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import MESSAGE_ID

DEAD: Final[dict[str, Any]] = {
    "id": MESSAGE_ID,
    "kind": "account_verification",
    "to": "ada@example.com",
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
