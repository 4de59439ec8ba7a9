"""From a layout to a seating plan of pretix that is drawn as the room is.

All of a layout is in the plan but its focal point. An import gives the layout back, unless it has
gaps narrower than a quarter of a seat.
"""

from __future__ import annotations

from typing import Any, Final

from cinema.domain.seatmap import (
    Layout,
    LayoutRow,
    has_letters,
    letters_of,
    parse_layout,
    seat_label,
)
from cinema.features.catalog.pretix_shapes import COMPANION, WHEELCHAIR, Document

SEAT_PX: Final = 30
RADIUS_PX: Final = 12
MARGIN_PX: Final = 60
SCREEN_PX: Final = 20
"""The width of a seat, its circle, what is around the seats, and the depth of the screen."""

_COLORS: Final = (
    "#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#eeca3b", "#9d755d"
)  # fmt: skip


def plan_of(layout: Layout, name: str) -> Document:
    """The plan as JSON."""
    plan = parse_layout(layout, 1)
    left, right = min(plan.x), max(plan.x)
    width = round((right - left) * SEAT_PX) + 2 * MARGIN_PX
    height = (len(layout.rows) - 1) * SEAT_PX + 2 * MARGIN_PX + SCREEN_PX
    rows = [
        _row(row, [(plan.x[seat] - left) * SEAT_PX for seat in range(*places)], at * SEAT_PX)
        for at, (row, places) in enumerate(zip(layout.rows, plan.rows, strict=True))
    ]
    used = dict.fromkeys(seat["category"] for row in rows for seat in row["seats"])
    return {
        "name": name,
        "size": {"width": width, "height": height},
        "categories": [
            {"name": category, "color": _COLORS[at % len(_COLORS)]}
            for at, category in enumerate(used)
        ],
        "zones": [
            {
                "name": name,
                "zone_id": "room",
                "position": {"x": MARGIN_PX, "y": MARGIN_PX + SCREEN_PX},
                "rows": rows,
                "areas": [_screen(width - 2 * MARGIN_PX)],
            }
        ],
    }


def _row(row: LayoutRow, places_px: list[float], y_px: int) -> dict[str, Any]:
    return {
        "row_number": row.label,
        "row_number_position": "both",
        "position": {"x": 0, "y": y_px},
        "seats": [
            {
                # Labels have two characters or more, as their schema asks for.
                "seat_guid": seat_label(row.label, seat.number),
                "seat_number": letters_of(seat.number)
                if has_letters(row.label)
                else str(seat.number),
                "position": {"x": round(x_px, 2), "y": 0},
                "radius": RADIUS_PX,
                "category": seat.category
                + WHEELCHAIR * seat.accessible
                + COMPANION * seat.companion,
            }
            for seat, x_px in zip(row.seats, places_px, strict=True)
        ],
    }


def _screen(width_px: int) -> dict[str, Any]:
    """The screen, which is drawn in front of the first row."""
    return {
        "shape": "rectangle",
        "color": "#dddddd",
        "border_color": "#888888",
        "position": {"x": 0, "y": -MARGIN_PX},
        "rotation": 0,
        "rectangle": {"width": max(width_px, SEAT_PX), "height": SCREEN_PX},
        "text": {
            "position": {"x": max(width_px, SEAT_PX) / 2, "y": SCREEN_PX / 2},
            "color": "#333333",
            "text": "Screen",
        },
    }
