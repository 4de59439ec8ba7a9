"""The history of a showtime as operators see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import CURSOR_CHARS, PAGE_DEFAULT, PAGE_LIMIT
from cinema.domain.money import Money
from cinema.domain.seatmap import SeatStatus
from cinema.features.operations.shapes import SeatCounts

Seq = Annotated[int, Meta(ge=0)]


class OfferShown(msgspec.Struct, frozen=True, kw_only=True):
    """Seats that an event holds for somebody who waited; none are named in another plan."""

    hold_id: UUID
    customer_id: UUID
    seats: list[str]


class EventShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of the journal; fields that do not apply to its kind are left out.

    `seats` are those that it changed (an extension: those that stay held). `kept` are those that
    stay when a part of a hold or booking ends; `left` are those that a booking had before it got
    `seats`; `refund` goes back. `command_id` is the digest of the client's key if `keyed`, and
    empty if the clock caused the event. `offers` are what those who waited got of the free seats.
    `event` is `Unreadable` if the stored bytes are damaged.
    """

    seq: int
    epoch: int
    at: datetime
    event: str
    command_id: str = ""
    keyed: bool = False
    seats: list[str] = []
    kept: list[str] = []
    left: list[str] = []
    hold_id: UUID | None = None
    customer_id: UUID | None = None
    booking_id: UUID | None = None
    exchange_id: UUID | None = None
    code: str | None = None
    payment_id: UUID | None = None
    payment_method: str | None = None
    total: Money | None = None
    refund: Money | None = None
    expires_at: datetime | None = None
    old_layout_version: int | None = None
    layout_version: int | None = None
    version: int | None = None
    starts_at: datetime | None = None
    base_price: Money | None = None
    reason: str | None = None
    bookings: int | None = None
    offers: list[OfferShown] = []


class SeatAt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A seat at a time, and its customer if it was held or booked."""

    label: str
    row: str
    number: int
    category: str
    status: SeatStatus
    hold_id: UUID | None = None
    booking_id: UUID | None = None
    customer_id: UUID | None = None
    letter: str | None = None


class SeatsAt(msgspec.Struct, frozen=True, kw_only=True):
    """The seat map after the event `seq`, recorded `at`; both are absent before the first event.

    `epoch` is also absent if the journal no longer has that event.
    """

    showtime_id: UUID
    seq: int
    epoch: int | None
    at: datetime | None
    layout_version: int
    paused: bool
    counts: SeatCounts
    seats: list[SeatAt]


class SeatChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The effect of one event on one seat; without a `status` a new plan has removed the seat."""

    seq: int
    epoch: int
    at: datetime
    event: str
    status: SeatStatus | None = None
    hold_id: UUID | None = None
    booking_id: UUID | None = None
    customer_id: UUID | None = None


class HistoryMeta(msgspec.Struct, frozen=True, kw_only=True):
    """Where the list continues; the journal has the events from `first_seq` to `last_seq`."""

    next_cursor: str | None
    first_seq: int
    last_seq: int


class JournalQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events: from a seq on, or the `last` few."""

    from_seq: Seq = 0
    last: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT
    cursor: Annotated[str, Meta(max_length=CURSOR_CHARS)] | None = None


class SeatsAtQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At which event or time; without either, now."""

    seq: Seq | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None


class SeatHistoryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a seat's history."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT
    cursor: Annotated[str, Meta(max_length=CURSOR_CHARS)] | None = None
