"""The versions of the seat plan that a run goes through."""

from __future__ import annotations

from typing import Final

from cinema.domain.seatmap import Layout, LayoutRow, SeatPlan, grid_layout, parse_layout

_SEATS_MORE: Final = ((0, 0), (1, 0), (1, 1), (0, 1), (2, 0), (0, 0))
"""By version: how many seats each of the two rows has beyond the run's columns.

What changes in the first row gives every seat of the second another index; where a row gets
shorter its last seats are gone.
"""


def seat_plans(columns: int) -> tuple[SeatPlan, ...]:
    """All versions, from 1 on."""
    return tuple(
        parse_layout(Layout(rows=(_row(0, columns + first), _row(1, columns + second))), version)
        for version, (first, second) in enumerate(_SEATS_MORE, 1)
    )


def _row(number: int, seats: int) -> LayoutRow:
    return grid_layout(number + 1, seats).rows[number]
