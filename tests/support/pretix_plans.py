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
