"""Showtimes as clients send and see them."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812  (a field below is named `date`)
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import PAGE_DEFAULT, SCHEDULE_AHEAD_DAYS
from cinema.domain.money import Money
from cinema.domain.paging import Cursor, Limit
from cinema.domain.sale_rules import ShowtimeRules
from cinema.features.catalog.shapes import Instant, LanguageTag, PriceMinor, SeatCategory

ShowtimeStatus = Literal["scheduled", "rescheduled", "cancelled"]
AvailabilityLevel = Literal["available", "few_left", "sold_out"]

_ID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IDS_MAX: Final = 100
IdList = Annotated[
    str,
    Meta(
        pattern=f"^{_ID}(,{_ID}){{0,{_IDS_MAX - 1}}}$",
        max_length=37 * _IDS_MAX - 1,
        description=f"Up to {_IDS_MAX} ids with commas between them.",
        examples=["019a0c1e-7000-7000-8000-000000000004"],
    ),
]


class SalesInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a showtime is on sale; each bound has a default."""

    opens_at: Instant | None = None
    closes_at: Instant | None = None


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """When a showtime is on sale, and whether sales are paused by hand.

    Members, who have an account with a verified address, can hold seats from `early_access_at` on.
    """

    opens_at: datetime
    closes_at: datetime
    paused: bool
    early_access_at: datetime | None = None


class ShowtimeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new showtime; its end follows from the film's runtime.

    `price_overrides` gives a seat category its own price, minor units, instead of a factor on
    the base price.
    """

    movie_id: UUID
    screen_id: UUID
    cinema_id: UUID | None = None
    starts_at: Annotated[
        datetime, Meta(tz=True, description=f"At most {SCHEDULE_AHEAD_DAYS} days ahead.")
    ]
    base_price: Money
    price_overrides: Annotated[dict[SeatCategory, PriceMinor], Meta(max_length=64)] = {}
    format: Annotated[str, Meta(min_length=1, max_length=16)] = "2D"
    language: LanguageTag
    sales: SalesInput = SalesInput()
    rules: ShowtimeRules = ShowtimeRules()


class Showtime(msgspec.Struct, frozen=True, kw_only=True):
    """One showing of a film on a screen; advertisements are part of it.

    `rescheduled`: its start has moved by more than half an hour since seats were sold; until
    `free_refund_until` whoever booked before may give all of it back. `version` is in the `ETag`.
    """

    id: UUID
    movie_id: UUID
    cinema_id: UUID
    screen_id: UUID
    layout_version: int
    starts_at: datetime
    ends_at: datetime
    base_price: Money
    format: str
    language: str
    status: ShowtimeStatus
    sales: Sales
    price_overrides: dict[str, int] = {}
    rules: ShowtimeRules = ShowtimeRules()
    free_refund_until: datetime | None = None
    cancel_reason: str | None = None
    version: int = 1


class LayoutChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which layout a showtime is to sell: the current one of its screen."""

    layout_version: Annotated[int, Meta(ge=1)]


class LayoutChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The layout that a showtime sells; `version` is that of the showtime, as in its `ETag`."""

    id: UUID
    layout_version: int
    version: int


class CancelQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a showtime does not take place, as its customers are told."""

    reason: Annotated[str, Meta(max_length=500, examples=["The projector is broken."])] = ""


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime that does not take place; `job_id` cancels the `bookings` that it had."""

    id: UUID
    status: Literal["cancelled"] = "cancelled"
    reason: str
    bookings: int
    job_id: UUID | None


class CalendarQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far ahead a calendar goes."""

    days: Annotated[int, Meta(ge=1, le=60)] = 14


class ShowtimeQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which showtimes. Days are local days of each cinema; without a day: not over yet."""

    date: Date | None = None
    date_from: Date | None = None
    date_to: Date | None = None
    cinema_id: UUID | None = None
    movie_id: UUID | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class ShowtimeAvailabilityQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Which showtimes a page shows."""

    ids: IdList

    def asked(self) -> list[UUID]:
        """The ids."""
        return [UUID(one) for one in self.ids.split(",")]


class MovieAvailabilityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which films a page shows, and which of their showtimes count; the day is each cinema's."""

    ids: IdList
    date: Date | None = None
    cinema_id: UUID | None = None

    def asked(self) -> list[UUID]:
        """The ids."""
        return [UUID(one) for one in self.ids.split(",")]


class ShowtimeAvailability(msgspec.Struct, frozen=True, kw_only=True):
    """`few_left`: at most four seats, or one in ten, are free."""

    showtime_id: UUID
    level: AvailabilityLevel


class MovieAvailability(msgspec.Struct, frozen=True, kw_only=True):
    """The best level of a film's showtimes."""

    movie_id: UUID
    level: AvailabilityLevel
