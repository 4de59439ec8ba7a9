"""The seating plans of pretix, version 0.0.1 of their schema, as far as they are read and written.

Fields that are not here are not kept; the report of an import counts them. Editors of other makers
write numbers where the schema has text, and names of rows and seats may be any text.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

MEDIA_TYPE: Final = "application/json"

WHEELCHAIR: Final = " (wheelchair)"
COMPANION: Final = " (companion)"
"""What is behind the name of a category for seats that are accessible, and those beside them: a
plan of pretix has no other place for it."""


class PretixPosition(msgspec.Struct, frozen=True):
    """A place in pixels, to the right and down, from whatever the thing is part of."""

    x: float
    y: float


ORIGIN: Final = PretixPosition(0.0, 0.0)


class PretixSeat(msgspec.Struct, frozen=True, kw_only=True):
    """A seat of a row."""

    seat_number: str | int
    position: PretixPosition
    category: str


class PretixRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a zone, or a table."""

    row_number: str | int
    seats: list[PretixSeat]
    position: PretixPosition = ORIGIN


class PretixZone(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the room, such as the stalls or a balcony."""

    rows: list[PretixRow] = []
    position: PretixPosition = ORIGIN
    name: str = ""


class PretixCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A category of seats."""

    name: str


class PretixPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it is read."""

    zones: list[PretixZone]
    categories: list[PretixCategory] = []
    name: str = ""


KEPT: Final[dict[type[msgspec.Struct], tuple[str, ...]]] = {
    PretixPlan: (*PretixPlan.__struct_fields__, "size"),
    PretixZone: PretixZone.__struct_fields__,
    PretixRow: PretixRow.__struct_fields__,
    PretixSeat: PretixSeat.__struct_fields__,
    PretixCategory: PretixCategory.__struct_fields__,
}
"""The fields of each thing that say something about the layout made of it."""

Document = dict[str, Any]
"""A plan as JSON has it."""
