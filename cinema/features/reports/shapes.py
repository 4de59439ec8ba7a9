"""Distributor returns as clients send and see them, and as they are kept."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

from cinema.domain.limits_catalog import PAGE_DEFAULT
from cinema.domain.paging import Cursor, Limit

ReportForm = Literal["json", "csv"]


class ReturnInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Draw a return of a film for days that are over, both included."""

    movie_id: UUID
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which figures: of a film at a cinema, both days included."""

    cinema_id: UUID
    film: UUID
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")


class ReturnsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which returns of a cinema."""

    film: UUID | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Admissions of one day, screen and ticket type, and what was paid, in minor units.

    `gross` has the `tax` in it; fees are not the distributor's. A correction is the difference to
    what was told before, so its figures may be negative.
    """

    day: date
    screen_id: UUID
    screen: str
    type: str
    admissions: int
    gross: int
    tax: int
    net: int
    correction: bool = False


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """A return; `number` and `id` are null for figures that nobody has drawn yet."""

    id: UUID | None
    number: int | None
    cinema_id: UUID
    cinema: str
    movie_id: UUID
    film: str
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    drawn_at: datetime | None
    currency: str
    lines: list[Figures]
    admissions: int
    gross: int
    tax: int
    net: int
