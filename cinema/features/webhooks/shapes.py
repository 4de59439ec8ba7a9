"""Webhooks as admins send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cinema.domain.paging import PageQuery
from cinema.features.events.shapes import EventType, Position

URL_CHARS: Final = 2048
DESCRIPTION_CHARS: Final = 200

REPLAYED_AT_ONCE: Final = 1000
"""Most events that one request sends again."""

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=URL_CHARS,
        description="Where events are sent, as https://…, without user, password or fragment.",
    ),
]
Types = Annotated[
    list[EventType], Meta(max_length=50, description="Only these types; empty for all.")
]
Description = Annotated[str, Meta(max_length=DESCRIPTION_CHARS)]

DeliveryStatus = Literal["waiting", "delivered", "failed"]


class WebhookInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new webhook: of all cinemas, or of one."""

    url: Url
    types: Types = []
    cinema_id: UUID | None = None
    description: Description = ""


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays.

    `enabled` true also ends the rest after failures: what waits is sent at once.
    """

    url: Url | UnsetType = UNSET
    types: Types | UnsetType = UNSET
    cinema_id: UUID | UnsetType | None = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of events; `failing_since` is null while it takes them.

    One that has failed for five days is disabled, and `disabled_reason` says so.
    """

    id: UUID
    url: str
    description: str
    types: list[EventType]
    cinema_id: UUID | None
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None
    last_error: str | None
    last_delivered_at: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and its secret, which nobody can look up later."""

    webhook: Webhook
    secret: str


class WebhookGone(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that was deleted."""

    id: UUID


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event for a webhook, and what became of it."""

    id: UUID
    event_id: UUID
    type: EventType
    position: int
    booking_id: UUID | None
    status: DeliveryStatus
    attempts: int
    next_try_at: datetime | None
    ended_at: datetime | None
    last_status: int | None
    last_error: str | None


class DeliveryQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries."""

    status: Annotated[
        DeliveryStatus | None,
        Meta(description="`failed`: given up. `waiting`: will be sent, maybe after failures."),
    ] = None


class ReplayInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send events behind a position again; with `failed_only` those that were given up."""

    after: Position = 0
    until: Annotated[
        Position | None, Meta(description="The last position; null for all there are now.")
    ] = None
    failed_only: bool = False


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events will be sent; `next_after` is where to go on, null if that was all."""

    deliveries: int
    next_after: int | None
