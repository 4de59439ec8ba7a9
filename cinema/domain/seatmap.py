"""Seat maps: the layout that a client draws, and the small, immutable plan that the kernel uses.

Geometry, in seat widths: a seat has the width one, a gap adds its own width, and every row is
centred on x = 0, including a gap before its first seat. The first row is the one nearest to the
screen, at y = 0, and each row is one farther back. So the distance to the next row is the same as
to the next seat.

A seat's label is that of its row and then its own: a number behind letters (`F7`), a letter behind
a number (`12C`). So a label always says where the row ends. Of a seat with a letter, `number` is
the place of its letter in the alphabet.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate, pairwise
from typing import Annotated, Final, Literal

import msgspec

AVAILABLE, HELD, BOOKED, BLOCKED = range(4)
SeatStatus = Literal["available", "held", "booked", "blocked"]
STATUS_NAMES: Final[tuple[SeatStatus, ...]] = ("available", "held", "booked", "blocked")

MAX_SEATS = 50_000  # Seat indexes are 16 bits wide in commands, events and snapshots.
MAX_ROWS = 1_000
MAX_SEATS_PER_ROW = 999
MAX_CATEGORIES = 64
MAX_CATEGORY_CHARS = 32
MAX_GAP_SEATS = 50
MAX_FOCAL_X_SEATS = 2_000

DEFAULT_CATEGORY = "regular"
NO_GAP = 0.0  # One object: msgspec omits a default by identity.
DEFAULT_FOCAL_DEPTH = 2 / 3  # The best place for sight and sound: two thirds of the way back.

_ROW_LABEL = re.compile("[A-Z]{1,3}|[1-9][0-9]{0,2}")


class LayoutError(ValueError):
    """A layout that is not valid; `path` says where, as in `$.rows[2].seats[0].number`."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(f"{message} - at `{path}`")
        self.message = message
        self.path = path


class LayoutSeat(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One seat; `gap_before` is the width of the aisle on its left, in seats (0: none)."""

    number: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=MAX_SEATS_PER_ROW,
            description="In a row with a number, which letter the seat has: 3 is C.",
        ),
    ]
    category: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CATEGORY_CHARS)]
    accessible: bool = False
    companion: bool = False
    gap_before: Annotated[float, msgspec.Meta(ge=0, le=MAX_GAP_SEATS)] = NO_GAP


class LayoutRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row from left to right, as seen by somebody who faces the screen."""

    label: Annotated[
        str,
        msgspec.Meta(
            pattern="^([A-Z]{1,3}|[1-9][0-9]{0,2})$",
            description="Letters, for seats with numbers (`F7`), or a number, for seats with "
            "letters (`12C`).",
        ),
    ]
    seats: Annotated[
        tuple[LayoutSeat, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS_PER_ROW)
    ]


class LayoutFocal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The best place to sit: `x` seats right of the centre line, `y` rows behind the first."""

    x: Annotated[float, msgspec.Meta(ge=-MAX_FOCAL_X_SEATS, le=MAX_FOCAL_X_SEATS)] = 0.0
    y: Annotated[float, msgspec.Meta(ge=0, le=MAX_ROWS)]


class Layout(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The fixed part of a screen as clients send and get it; rows from the screen backwards."""

    rows: Annotated[tuple[LayoutRow, ...], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]
    focal: LayoutFocal | None = None

    def meaning(self) -> object:
        """The whole layout as plain tuples; own code, because a screen has up to 50,000 seats."""
        return (
            None if self.focal is None else (self.focal.x + 0.0, self.focal.y + 0.0),
            [
                (
                    row.label,
                    [
                        (
                            seat.number,
                            seat.category,
                            seat.accessible,
                            seat.companion,
                            seat.gap_before + 0.0,  # -0.0 is another bit pattern.
                        )
                        for seat in row.seats
                    ],
                )
                for row in self.rows
            ],
        )


class SeatPlan(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One version of a screen's seats, indexed 0..n-1 in row order; shared by its showtimes.

    `blocks` are half-open ranges of seats with no aisle between them; `rows` likewise of whole
    rows. Distances are to the focal point, in thousandths of a seat width, so that sums and ties
    are exact; `distance_before_milli[i]` is the sum over the seats before i (n + 1 entries).
    `blocks_by_distance` and `rows_by_distance` hold (nearest seat's distance, start, end).
    Equality is identity.
    """

    version: int
    seat_count: int
    labels: tuple[str, ...]
    index: dict[str, int]
    categories: tuple[str, ...]
    category_of: bytes
    accessible: bytes
    companion: bytes
    reserved: bytes  # 1 where accessible or companion
    lettered: bytes  # 1 where the seat has a letter, in a row with a number
    row_labels: tuple[str, ...]
    rows: tuple[tuple[int, int], ...]
    row_of: array[int]
    numbers: array[int]
    blocks: tuple[tuple[int, int], ...]
    block_of: array[int]
    gaps: tuple[tuple[int, float], ...]  # (seat, width) where there is one before it
    focal: LayoutFocal | None
    x: array[float]
    y: array[float]
    distance_milli: array[int]
    distance_before_milli: array[int]
    blocks_by_distance: tuple[tuple[int, int, int], ...]
    rows_by_distance: tuple[tuple[int, int, int], ...]

    def blocks_of_row(self, row: int) -> tuple[tuple[int, int], ...]:
        """The blocks of a row from left to right."""
        start, end = self.rows[row]
        return self.blocks[self.block_of[start] : self.block_of[end - 1] + 1]

    def __repr__(self) -> str:
        return f"SeatPlan(version={self.version}, seat_count={self.seat_count})"

    def to_layout(self) -> Layout:
        """The layout this plan was parsed from."""
        gaps = dict(self.gaps)
        rows = tuple(
            LayoutRow(
                label=label,
                seats=tuple(
                    LayoutSeat(
                        number=self.numbers[seat],
                        category=self.categories[self.category_of[seat]],
                        accessible=bool(self.accessible[seat]),
                        companion=bool(self.companion[seat]),
                        gap_before=gaps.get(seat, NO_GAP),
                    )
                    for seat in range(start, end)
                ),
            )
            for label, (start, end) in zip(self.row_labels, self.rows, strict=True)
        )
        return Layout(rows=rows, focal=self.focal)


def parse_layout(layout: Layout, version: int) -> SeatPlan:
    """The plan of a layout; raises `LayoutError` for the first problem."""
    _check(layout)
    seats = [seat for row in layout.rows for seat in row.seats]
    row_ends = list(accumulate((len(row.seats) for row in layout.rows), initial=0))
    rows = tuple(pairwise(row_ends))
    categories = tuple(dict.fromkeys(seat.category for seat in seats))
    category_at = {name: position for position, name in enumerate(categories)}
    labels = tuple(seat_label(row.label, seat.number) for row in layout.rows for seat in row.seats)
    cuts = sorted({*row_ends, *(i for i, seat in enumerate(seats) if seat.gap_before)})
    blocks = tuple(pairwise(cuts))
    x = array("f", (at for row in layout.rows for at in _row_places(row)))
    y = array("f", (at for at, (start, end) in enumerate(rows) for _ in range(start, end)))
    focal = layout.focal or LayoutFocal(y=(len(rows) - 1) * DEFAULT_FOCAL_DEPTH)
    distances = array(
        "I",
        (
            round(1000 * ((seat_x - focal.x) ** 2 + (seat_y - focal.y) ** 2) ** 0.5)
            for seat_x, seat_y in zip(x, y, strict=True)
        ),
    )
    return SeatPlan(
        version=version,
        seat_count=len(seats),
        labels=labels,
        index={label: seat for seat, label in enumerate(labels)},
        categories=categories,
        category_of=bytes(category_at[seat.category] for seat in seats),
        accessible=bytes(seat.accessible for seat in seats),
        companion=bytes(seat.companion for seat in seats),
        reserved=bytes(seat.accessible or seat.companion for seat in seats),
        lettered=bytes(has_letters(row.label) for row in layout.rows for _ in row.seats),
        row_labels=tuple(row.label for row in layout.rows),
        rows=rows,
        row_of=_owners(rows),
        numbers=array("H", (seat.number for seat in seats)),
        blocks=blocks,
        block_of=_owners(blocks),
        gaps=tuple((i, seat.gap_before) for i, seat in enumerate(seats) if seat.gap_before),
        focal=layout.focal,
        x=x,
        y=y,
        distance_milli=distances,
        distance_before_milli=array("Q", accumulate(distances, initial=0)),
        blocks_by_distance=_by_distance(blocks, distances),
        rows_by_distance=_by_distance(rows, distances),
    )


def grid_layout(rows: int, columns: int) -> Layout:
    """A plain rectangle of regular seats, rows A, B, … from the screen backwards."""
    if not 1 <= rows <= MAX_ROWS:
        raise LayoutError(f"Expected 1 to {MAX_ROWS} rows", "$.rows")
    if not 1 <= columns <= MAX_SEATS_PER_ROW:
        raise LayoutError(f"Expected 1 to {MAX_SEATS_PER_ROW} columns", "$.columns")
    if rows * columns > MAX_SEATS:
        raise LayoutError(f"Expected at most {MAX_SEATS} seats", "$")
    seats = tuple(
        LayoutSeat(number=number, category=DEFAULT_CATEGORY) for number in range(1, columns + 1)
    )
    return Layout(rows=tuple(LayoutRow(label=row_label(at), seats=seats) for at in range(rows)))


def row_label(position: int) -> str:
    """The letters of the row at a position: 0 is A, 25 is Z, 26 is AA."""
    return letters_of(position + 1)


def has_letters(row: str) -> bool:
    """Whether the seats of a row have letters: they do if the row has a number."""
    return row[:1].isdigit()


def seat_label(row: str, number: int) -> str:
    """The label of a seat, from that of its row: `F7`, `12C`."""
    return f"{row}{letters_of(number) if has_letters(row) else number}"


def letters_of(number: int) -> str:
    """A number in letters: 1 is A, 26 is Z, 27 is AA."""
    letters = ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def changed_seats(old: SeatPlan, new: SeatPlan) -> list[str]:
    """Labels that are missing, or whose category, accessible or companion mark differs, in order.

    A customer of such a seat bought something that the new plan does not have. The position of a
    seat, and its neighbours, are not part of what was bought.
    """
    return [
        label
        for label, seat in old.index.items()
        if (twin := new.index.get(label)) is None or _sold_as(old, seat) != _sold_as(new, twin)
    ]


def seat_mapping(old: SeatPlan, new: SeatPlan) -> list[int]:
    """The index in `new` of every seat of `old`, or -1 if it is missing."""
    return [new.index.get(label, -1) for label in old.labels]


def _sold_as(plan: SeatPlan, seat: int) -> tuple[str, int, int]:
    category = plan.categories[plan.category_of[seat]]
    return category, plan.accessible[seat], plan.companion[seat]


def _check(layout: Layout) -> None:
    try:  # A layout that was built in code has not passed a decoder, so its types are checked here.
        msgspec.convert(msgspec.to_builtins(layout), Layout)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise LayoutError(message, path.rstrip("`")) from None
    row_labels: set[str] = set()
    for at, row in enumerate(layout.rows):
        # `$` in the type's pattern also matches before a newline.
        if not _ROW_LABEL.fullmatch(row.label):
            raise LayoutError(
                "Expected 1 to 3 capital letters, or a number from 1 to 999",
                f"$.rows[{at}].label",
            )
        if row.label in row_labels:
            raise LayoutError(f"Duplicate row {row.label}", f"$.rows[{at}].label")
        row_labels.add(row.label)
        _check_row(row, f"$.rows[{at}]")
    if sum(len(row.seats) for row in layout.rows) > MAX_SEATS:
        raise LayoutError(f"Expected at most {MAX_SEATS} seats", "$.rows")
    if len({seat.category for row in layout.rows for seat in row.seats}) > MAX_CATEGORIES:
        raise LayoutError(f"Expected at most {MAX_CATEGORIES} categories", "$.rows")


def _check_row(row: LayoutRow, path: str) -> None:
    numbers: set[int] = set()
    has_accessible = any(seat.accessible for seat in row.seats)
    for at, seat in enumerate(row.seats):
        where = f"{path}.seats[{at}]"
        if seat.number in numbers:
            label = seat_label(row.label, seat.number)
            raise LayoutError(f"Duplicate seat {label}", f"{where}.number")
        numbers.add(seat.number)
        if not seat.category.isprintable() or seat.category != seat.category.strip():
            raise LayoutError(
                "Expected a printable name without spaces at its ends", f"{where}.category"
            )
        if seat.companion and seat.accessible:
            raise LayoutError("A seat is accessible or companion, not both", f"{where}.companion")
        if seat.companion and not has_accessible:
            raise LayoutError("A companion seat needs an accessible one in its row", where)


def _row_places(row: LayoutRow) -> list[float]:
    """The x of each seat's middle."""
    ends = list(accumulate(1 + seat.gap_before for seat in row.seats))
    half_width = ends[-1] / 2
    return [end - 0.5 - half_width for end in ends]


def _owners(ranges: tuple[tuple[int, int], ...]) -> array[int]:
    return array("H", (at for at, (start, end) in enumerate(ranges) for _ in range(start, end)))


def _by_distance(
    ranges: tuple[tuple[int, int], ...], distances: array[int]
) -> tuple[tuple[int, int, int], ...]:
    return tuple(sorted((min(distances[start:end]), start, end) for start, end in ranges))
