"""Jobs as their owners and admins see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.paging import PageQuery

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job and its progress; `done` and `failed` count its parts."""

    id: UUID
    kind: str
    status: Annotated[
        JobStatus,
        Meta(
            description="`queued`: not begun, or to be continued. `failed`: given up; an admin "
            "can have it continued."
        ),
    ]
    total: Annotated[int | None, Meta(description="Null until it is known.")]
    done: int
    failed: int
    remaining: int | None
    result: dict[str, Any] | None
    reason: Annotated[str | None, Meta(description="Why it failed, if that can be shown.")]
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class AdminJob(Job, frozen=True, kw_only=True):
    """A job with the fields that only admins see."""

    owner_id: UUID | None
    cinema_id: UUID | None
    attempts: int
    failures: int
    due_at: datetime | None
    node: str
    last_error: str | None
    request_id: str


class JobQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs."""

    status: JobStatus = "failed"
