"""Examples of jobs, as they stand in the documentation."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import JOB_ID, USER_ID

JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "kind": "account_export",
    "status": "running",
    "total": 120,
    "done": 80,
    "failed": 0,
    "remaining": 40,
    "result": None,
    "reason": None,
    "created_at": "2026-06-01T17:31:00Z",
    "updated_at": "2026-06-01T17:31:02Z",
    "ended_at": None,
}
FAILED: Final[dict[str, Any]] = {
    **JOB,
    "status": "failed",
    "ended_at": "2026-06-01T18:40:00Z",
    "owner_id": USER_ID,
    "cinema_id": None,
    "attempts": 21,
    "failures": 20,
    "due_at": None,
    "node": "",
    "last_error": "RETRY",
    "request_id": "1f0c2d8e91b74c53",
}
WAITING: Final = {
    **FAILED,
    "status": "queued",
    "failures": 0,
    "ended_at": None,
    "due_at": "2026-06-02T08:00:00Z",
}
