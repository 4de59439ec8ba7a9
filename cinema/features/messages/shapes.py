"""Messages as admins see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.paging import PageQuery

MessageStatus = Literal["waiting", "sent", "dropped", "dead"]


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message and its outcome; its content is not shown, since there are links in it."""

    id: UUID
    kind: str
    to: str
    language: str
    status: MessageStatus
    created_at: datetime
    attempts: int
    next_try_at: datetime | None
    ended_at: datetime | None
    last_error: str | None


class MessageQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages."""

    status: Annotated[
        MessageStatus,
        Meta(
            description="`dead`: given up; an admin can send it again. `waiting`: will be sent, "
            "maybe after failures. `dropped`: no longer useful when its turn came."
        ),
    ] = "dead"
