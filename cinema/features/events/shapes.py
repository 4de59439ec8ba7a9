"""Public events, and how they are asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

EventType = Literal[
    "booking.confirmed",
    "booking.changed",
    "booking.cancelled",
    "refund.created",
    "refund.succeeded",
    "refund.failed",
    "showtime.rescheduled",
    "showtime.moved",
    "showtime.cancelled",
    "ticket.admitted",
    "ticket.left",
    "ticket.unscanned",
    "ticket.reissued",
    "ticket.blocked",
    "ticket.unblocked",
]

EVENTS_AT_ONCE: Final = 500
"""Most events in one answer."""

WAIT_LIMIT_S: Final = 25
"""Longest wait for a new event: shorter than the idle time of common balancers."""

POSITION_LIMIT: Final = 2**53 - 1
"""The largest number that every client reads exactly."""

Position = Annotated[int, Meta(ge=0, le=POSITION_LIMIT)]


class PublicEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened; `data` depends on `type` (docs/webhooks.md).

    `position` rises over all events, with gaps; `sequence` counts the events of a booking, or of a
    showtime where `booking_id` is null, from 1 without gaps.
    """

    id: UUID
    type: EventType
    timestamp: datetime
    position: int
    sequence: int
    cinema_id: UUID | None
    showtime_id: UUID
    booking_id: UUID | None
    data: dict[str, Any]


class EventQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events, and whether to wait for one."""

    after: Annotated[
        Position,
        Meta(description="Events behind this position: `meta.next_after` of the last answer."),
    ] = 0
    limit: Annotated[int, Meta(ge=1, le=EVENTS_AT_ONCE)] = 100
    wait_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=WAIT_LIMIT_S,
            description="If there is no event yet, how long to wait for one before the answer is "
            "an empty list.",
        ),
    ] = 0
    type: Annotated[EventType | None, Meta(description="Only events of this type.")] = None
    cinema_id: Annotated[UUID | None, Meta(description="Only events of this cinema.")] = None


class EventMeta(msgspec.Struct, frozen=True):
    """`next_after` is the `?after=` of the next request, also of one after an empty answer."""

    next_after: int


class EventPage(msgspec.Struct, frozen=True):
    """Events in their order, and where the next page begins."""

    items: list[PublicEvent]
    next_after: int
