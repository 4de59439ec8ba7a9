"""Places in wait lists as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.features.seats.shapes import Hold

EntryStatus = Literal["waiting", "offered", "left"]


class WaitlistInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The seats to wait for; with `together` they are adjacent, or in neighbouring rows."""

    quantity: Annotated[int, Meta(ge=1, le=100)]
    category: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    accessible: bool = False
    together: bool = False


class WaitlistEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a wait list.

    `position` counts from 1, while it is `waiting`. `offer` is the hold that it has become, once it
    is `offered`; that hold has the `id` of the entry.
    """

    id: UUID
    showtime_id: UUID
    status: EntryStatus
    position: int | None
    quantity: int
    category: str | None
    accessible: bool
    together: bool
    joined_at: datetime
    offer: Hold | None


class WaitlistEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a wait list that was given up."""

    id: UUID
    showtime_id: UUID
    status: EntryStatus


class ListedEntry(WaitlistEntry, frozen=True, kw_only=True):
    """A place in a wait list as staff see it; `customer_id` is an account's or a guest's."""

    customer_id: UUID
