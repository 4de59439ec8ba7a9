"""The seat plans of the demo's five screens, in the shapes of real rooms.

A row is drawn from left to right, as seen by somebody who faces the screen: `r`egular, `p`remium,
`v`ip, `W` for a wheelchair space, `C` for its companion seat (both regular), and a space for an
aisle or another gap of one seat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cinema.domain.seatmap import (
    DEFAULT_CATEGORY,
    NO_GAP,
    Layout,
    LayoutFocal,
    LayoutRow,
    LayoutSeat,
    grid_layout,
    row_label,
)

_CATEGORY_OF_MARK = {"p": "premium", "v": "vip"}


class DemoPlan(NamedTuple):
    """A screen's name and its layout."""

    screen_name: str
    layout: Layout


def demo_plans() -> dict[str, DemoPlan]:
    """The five plans, by short name."""
    return {
        "classic": DemoPlan("Screen 1", grid_layout(8, 12)),
        "grand": DemoPlan("Grand Hall", _grand_hall()),
        "lounge": DemoPlan("The Lounge", _lounge()),
        "studio": DemoPlan("Studio", _studio()),
        "scope": DemoPlan("Scope", _scope()),
    }


def _grand_hall() -> Layout:
    """348 seats in three blocks, rows lengthening backwards; the best rows are premium and vip."""
    return _drawn(
        "rrr rrrrrrrrrr rrr",
        "rrrr rrrrrrrrrr rrrr",
        "rrrr rrrrrrrrrrrr rrrr",
        "rrrrr rrrrrrrrrrrr rrrrr",
        "CWWC rrrrrrrrrrrr CWWC",
        "rrrrr pppppppppppp rrrrr",
        "rrrrr pppppppppppp rrrrr",
        "rrrrr pppppppppppp rrrrr",
        "rrrrr pppppppppppp rrrrr",
        "rrrrr pppppppppppppp rrrrr",
        "rrrr  vvvvvvvvvv  rrrr",
        "rrrr  vvvvvvvvvv  rrrr",
        "rrrrr pppppppppppppp rrrrr",
        "rrrrr pppppppppppppp rrrrr",
        "rrrrrrr rrrrrrrrrrrrrr rrrrrrr",
        "rrrrrrr rrrrrrrrrrrrrr rrrrrrr",
        focal=LayoutFocal(x=0, y=10.5),
    )


def _lounge() -> Layout:
    """38 places: recliners in pairs with a table between, and one wheelchair space in front."""
    return _drawn(
        "vv vv WC",
        "vv vv vv vv",
        "vv vv vv vv",
        "vv vv vv vv",
        "vv vv vv vv",
    )


def _studio() -> Layout:
    """150 seats on both sides of a centre aisle; rows have numbers, and seats letters."""
    return _drawn(
        "rrrr rrrr",
        "rrrrr rrrrr",
        *["rrrrrr rrrrrr"] * 7,
        *["pppppp pppppp"] * 3,
        "CWrrrr rrrrWC",
        row_name=lambda at: str(at + 1),
    )


def _scope() -> Layout:
    """220 seats, with wheelchair spaces at the level entrances in front and at the back."""
    return _drawn(
        "WC rrrrrrrr CW",
        "rr rrrrrrrrrr rr",
        *["rrr rrrrrrrrrr rrr"] * 6,
        *["rrr pppppppppp rrr"] * 4,
        "rrrr pppppppppp rrrr",
        "CWWC rrrrrrrr CWWC",
    )


def _drawn(
    *rows: str,
    focal: LayoutFocal | None = None,
    row_name: Callable[[int], str] = row_label,
) -> Layout:
    return Layout(
        rows=tuple(
            LayoutRow(label=row_name(at), seats=tuple(_seats(row))) for at, row in enumerate(rows)
        ),
        focal=focal,
    )


def _seats(row: str) -> Iterator[LayoutSeat]:
    gap = NO_GAP
    number = 0
    for mark in row:
        if mark == " ":
            gap += 1
            continue
        number += 1
        yield LayoutSeat(
            number=number,
            category=_CATEGORY_OF_MARK.get(mark, DEFAULT_CATEGORY),
            accessible=mark == "W",
            companion=mark == "C",
            gap_before=gap,
        )
        gap = NO_GAP
