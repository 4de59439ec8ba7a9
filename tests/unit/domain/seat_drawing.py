"""Seat plans and their status drawn as text, one string a row from the screen backwards.

In a plan: `r`egular, `p`remium, `v`ip, `W`heelchair (accessible, regular), `C`ompanion (regular);
a space is an aisle one seat wide. In a status: `.` is free, any of `hbx` taken; spaces are skipped.
"""

from __future__ import annotations

import msgspec

from cinema.domain.seatmap import (
    BLOCKED,
    BOOKED,
    HELD,
    Layout,
    LayoutFocal,
    LayoutRow,
    LayoutSeat,
    SeatPlan,
    parse_layout,
    row_label,
)

_CATEGORIES = {"r": "regular", "p": "premium", "v": "vip", "W": "regular", "C": "regular"}
_STATUSES = {".": 0, "h": HELD, "b": BOOKED, "x": BLOCKED}


def draw_layout(*rows: str, focal: LayoutFocal | None = None) -> Layout:
    return Layout(
        rows=tuple(_row(row_label(at), drawing) for at, drawing in enumerate(rows)), focal=focal
    )


def numbered(layout: Layout) -> Layout:
    """The same room with numbers for rows and letters for seats."""
    return msgspec.structs.replace(
        layout,
        rows=tuple(
            msgspec.structs.replace(row, label=str(at)) for at, row in enumerate(layout.rows, 1)
        ),
    )


def draw_plan(*rows: str, focal: LayoutFocal | None = None, version: int = 1) -> SeatPlan:
    return parse_layout(draw_layout(*rows, focal=focal), version)


def draw_status(*rows: str) -> bytes:
    return bytes(_STATUSES[mark] for row in rows for mark in row if mark != " ")


def seats(plan: SeatPlan, labels: str) -> list[int]:
    return [plan.index[label] for label in labels.split()]


def labels(plan: SeatPlan, chosen: list[int] | None) -> str | None:
    return None if chosen is None else " ".join(plan.labels[seat] for seat in chosen)


def _row(label: str, drawing: str) -> LayoutRow:
    row: list[LayoutSeat] = []
    gap = 0.0
    for mark in drawing:
        if mark == " ":
            gap += 1.0
            continue
        row.append(
            LayoutSeat(
                number=len(row) + 1,
                category=_CATEGORIES[mark],
                accessible=mark == "W",
                companion=mark == "C",
                gap_before=gap,
            )
        )
        gap = 0.0
    return LayoutRow(label=label, seats=tuple(row))
