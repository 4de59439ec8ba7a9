"""Examples of reviews, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import MOVIE_ID, REVIEW_ID, USER_ID

INPUT: Final[dict[str, Any]] = {"rating": 5, "text": "I held my breath to the last picture."}
REVIEW: Final[dict[str, Any]] = {
    "id": REVIEW_ID,
    "movie_id": MOVIE_ID,
    "author": "Ada",
    **INPUT,
    "created_at": "2026-06-03T21:10:00Z",
    "updated_at": None,
}
OWN: Final[dict[str, Any]] = {**REVIEW, "status": "published", "reason": ""}
CHANGED: Final[dict[str, Any]] = {**OWN, "rating": 4, "updated_at": "2026-06-04T08:00:00Z"}
DELETED: Final[dict[str, Any]] = {"id": REVIEW_ID, "movie_id": MOVIE_ID}
REPORTED: Final[dict[str, Any]] = {"id": REVIEW_ID, "reported": True}
DECISION: Final[dict[str, Any]] = {"status": "rejected", "reason": "It tells how the film ends."}
MODERATED: Final[dict[str, Any]] = {
    **OWN,
    "status": "pending",
    "user_id": USER_ID,
    "reports": 3,
    "reported_for": ["spoiler"],
    "decided_at": None,
    "decided_by": None,
}
REJECTED: Final[dict[str, Any]] = {
    **MODERATED,
    **DECISION,
    "reports": 0,
    "reported_for": [],
    "decided_at": "2026-06-04T09:00:00Z",
    "decided_by": USER_ID,
}
