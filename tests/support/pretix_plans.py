"""Seating plans as others draw them, made by code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def row(
    name: str | int,
    numbers: Sequence[str | int],
    *,
    x: float = 0,
    y: float = 0,
    apart: float = 30,
    category: str = "Stalls",
    **fields: Any,
) -> Json:
    """A straight row; `numbers` has an empty text where an aisle of one seat is."""
    seats = [
        {
            "seat_guid": f"{name}-{number}",
            "seat_number": number,
            "position": {"x": at * apart, "y": 0},
            "category": category,
        }
        for at, number in enumerate(numbers)
        if number != ""
    ]
    return {"row_number": name, "position": {"x": x, "y": y}, "seats": seats, **fields}


def texts(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def zone(*rows: Json, name: str = "Main Area", x: float = 0, y: float = 0, **fields: Any) -> Json:
    return {"name": name, "position": {"x": x, "y": y}, "rows": list(rows), **fields}


def plan(*zones: Json, categories: Sequence[str] = ("Stalls",), name: str = "Plan") -> Json:
    return {
        "name": name,
        "categories": [{"name": category, "color": "#33ffff"} for category in categories],
        "zones": list(zones),
        "size": {"width": 600, "height": 500},
    }


SEAT_PX = 32


def _bent(name: str, count: int, category: str, *, y: float) -> Json:
    """A row of the stalls as an editor saves it: bent towards the stage, an aisle in its middle."""
    seats = []
    for at in range(count):
        from_middle = at - (count - 1) / 2
        aisle = SEAT_PX * 0.75 * (1 if from_middle > 0 else -1)
        seats.append(
            {
                "seat_guid": f"stalls-{name}-{at + 1}",
                "uuid": f"5d1b-{name}-{at + 1:02}",
                "seat_number": str(at + 1),
                "position": {
                    "x": round(from_middle * SEAT_PX + aisle, 2),
                    "y": round(-0.35 * from_middle**2, 2),
                },
                "category": category,
            }
        )
    return {
        "row_number": name,
        "row_label": "Row",
        "seat_label": "Seat",
        "row_number_position": "both",
        "position": {"x": 0, "y": y},
        "uuid": f"7c3e-{name}",
        "seats": seats,
    }


def _box(name: str, *, x: float) -> Json:
    """Six seats behind each other at the side of the stalls."""
    seats = [
        {
            "seat_guid": f"{name}-{at}",
            "seat_number": str(at),
            "position": {"x": 0, "y": at * SEAT_PX},
            "category": "Box",
        }
        for at in range(1, 7)
    ]
    return {"row_number": name, "row_label": None, "position": {"x": x, "y": 60}, "seats": seats}


def _text(text: str, *, x: float, y: float) -> Json:
    return {
        "shape": "text",
        "color": "#000000",
        "border_color": "#000000",
        "rotation": 0,
        "position": {"x": x, "y": y},
        "text": {"position": {"x": 0, "y": 0}, "color": "#000000", "text": text, "size": 18},
    }


def playhouse() -> Json:
    """A theatre of 300 seats as an editor draws it: stalls, balcony, boxes, a stage."""
    prices = {"A": "Premium", "B": "Premium", "C": "Premium"}
    stalls = [
        _bent(name, 16, prices.get(name, "Standard"), y=at * 36)
        for at, name in enumerate("ABCDEFGHIJKLM")
    ]
    for at, kind in enumerate(("wheelchair", "companion", "companion", "wheelchair"), 12):
        stalls[-1]["seats"][at]["category"] = f"Standard ({kind})"
    balcony = [
        row(str(at + 1), texts(1, 16), x=-240, y=at * 40, apart=SEAT_PX, category="Balcony")
        for at in range(5)
    ]
    stage = {
        "shape": "rectangle",
        "color": "#cccccc",
        "border_color": "#333333",
        "rotation": 0,
        "position": {"x": -200, "y": -160},
        "rectangle": {"width": 400, "height": 80},
        "text": {"position": {"x": 200, "y": 40}, "color": "#333333", "text": "Stage", "size": 24},
    }
    exit_ = {
        "shape": "polygon",
        "color": "#00aa00",
        "border_color": "#007700",
        "rotation": 0,
        "position": {"x": 330, "y": 460},
        "polygon": {"points": [{"x": 0, "y": 0}, {"x": 30, "y": 0}, {"x": 15, "y": 20}]},
    }
    colors = {
        "Premium": "#7f4a91",
        "Standard": "#3b82f6",
        "Standard (wheelchair)": "#0f766e",
        "Standard (companion)": "#5eead4",
        "Balcony": "#f59e0b",
        "Box": "#dc2626",
    }
    return {
        "name": "Playhouse, great hall",
        "categories": [{"name": name, "color": color} for name, color in colors.items()],
        "zones": [
            zone(*stalls, name="Stalls", x=600, y=240, zone_id="stalls", areas=[stage, exit_]),
            zone(
                *balcony,
                name="Balcony",
                x=600,
                y=860,
                zone_id="balcony",
                areas=[_text("Balcony", x=-40, y=-40)],
            ),
            zone(
                _box("Box 1", x=0),
                _box("Box 2", x=600),
                name="Boxes",
                x=300,
                y=240,
                zone_id="boxes",
            ),
        ],
        "size": {"width": 1200, "height": 1100},
    }
