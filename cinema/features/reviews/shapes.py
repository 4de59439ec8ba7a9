"""Reviews as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import PAGE_DEFAULT
from cinema.domain.paging import Cursor, Limit

ReviewStatus = Literal["pending", "published", "rejected"]
ReportReason = Literal["spam", "offensive", "spoiler", "other"]

TEXT_CHARS: Final = 2000
"""Longest text of a review, in characters after composition (NFC)."""

REASON_CHARS: Final = 300

Rating = Annotated[int, Meta(ge=1, le=5)]
ReviewText = Annotated[str, Meta(max_length=2 * TEXT_CHARS)]


class ReviewInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rating, with a text or without one."""

    rating: Rating
    text: ReviewText = ""


class ReviewChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a review; what is left out stays."""

    rating: Rating | None = None
    text: ReviewText | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A published review; `author` is a first name, and empty if there is none."""

    id: UUID
    movie_id: UUID
    author: str
    rating: int
    text: str
    created_at: datetime
    updated_at: datetime | None


class OwnReview(Review, frozen=True, kw_only=True):
    """A review as its author sees it; `reason` says why it was rejected."""

    status: ReviewStatus
    reason: str


class ModeratedReview(OwnReview, frozen=True, kw_only=True):
    """A review as moderators see it.

    `reports` counts who has reported it since it was decided last.
    """

    user_id: UUID
    reports: int
    reported_for: list[ReportReason]
    decided_at: datetime | None
    decided_by: UUID | None


class ReviewDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A review that is gone."""

    id: UUID
    movie_id: UUID


class ReportInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why somebody should look at a review."""

    reason: ReportReason


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A review that the caller has reported, now or before."""

    id: UUID
    reported: bool = True


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish or reject a review; the author reads the `reason` of a rejection."""

    status: Literal["published", "rejected"]
    reason: Annotated[str, Meta(max_length=REASON_CHARS)] = ""


class ModerationQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which reviews, and which part of the list."""

    status: ReviewStatus = "pending"
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None
