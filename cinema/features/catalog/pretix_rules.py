"""From a seating plan of pretix to a layout, with a report of what a layout cannot say.

A plan of pretix is a drawing: every seat has its place in pixels. A layout has rows from the screen
backwards, and in each row seats and gaps in widths of a seat. So

- rows of the same name beside each other are one row with aisles, rows come in the order of their
  distance to the screen, and each is one farther back than the one before;
- the width of a seat is the distance of most neighbours (the median). A row whose seats are evenly
  a bit wider has a width of its own;
- what is wider by a quarter of a seat or more is a gap;
- a row that is not in the middle gets a gap before its first seat. The row farthest to the left
  gets none, and the best place to sit moves with the middle of the room.

Names stay if they can be labels here (`domain/seatmap.py`); otherwise rows get the letters of their
number, or the next that are free, and seats their number from left to right.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, pairwise
from math import hypot
from statistics import median
from typing import Any, Final, NamedTuple

import msgspec

from cinema.domain.seatmap import (
    DEFAULT_CATEGORY,
    DEFAULT_FOCAL_DEPTH,
    MAX_CATEGORIES,
    MAX_CATEGORY_CHARS,
    MAX_GAP_SEATS,
    MAX_ROWS,
    MAX_SEATS,
    MAX_SEATS_PER_ROW,
    NO_GAP,
    Layout,
    LayoutFocal,
    LayoutRow,
    LayoutSeat,
    letters_of,
)
from cinema.features.catalog.pretix_shapes import (
    COMPANION,
    KEPT,
    WHEELCHAIR,
    PretixCategory,
    PretixPlan,
    PretixRow,
    PretixSeat,
    PretixZone,
)
from cinema.features.catalog.shapes import ImportedRow, ImportNote, ImportReport, ScreenSide

POSITION_MAX: Final = 1_000_000.0
"""Pixels from the origin; what is farther away is a typing error."""

USUAL_SEAT_PX: Final = 30.0
"""The width of a seat in a plan that does not tell it, because no row has two seats."""

GAP_LEAST_SEATS: Final = 0.25
"""Whoever draws by hand does not meet the pixel: what is narrower is no aisle."""

OWN_WIDTH_MOST: Final = 1.45
OWN_WIDTH_LEAST: Final = 3
"""How much wider than those of other rows the seats of a row may be, and how many neighbours show
it; otherwise they have gaps between them."""

JOINED_MOST_SEATS: Final = 6
"""How much nearer to the screen the wings of a row may be than its middle, in widths of a seat."""

FOCAL_SHIFT_LEAST_SEATS: Final = 0.5
"""A middle that is nearer to that of the rows is no other one."""

PATHS_TOLD: Final = 10
"""Places that a note names, at most; it counts all of them."""

DROPPED_TOLD: Final = 50
NAME_CHARS: Final = 100
"""Kinds of fields that a report counts, and the characters of a name in it, at most."""

_NUMBER: Final = re.compile("0*([1-9][0-9]{0,2})")
_LETTERS: Final = re.compile("[A-Za-z]{1,3}")
_BETWEEN: Final = " -\u2013_./:"

NOTES: Final = {
    "EMPTY_ROW": "Rows without seats are left out.",
    "ROWS_JOINED": "Rows of the same name beside each other are one row with aisles.",
    "ROW_RENAMED": "Rows have letters and their seats numbers, or the other way round, and each "
    "name is there once: these rows have another name.",
    "SEATS_RENAMED": "The name of the row is left out of the names of its seats.",
    "SEATS_RENUMBERED": "The seats have numbers from left to right instead of their names.",
    "LETTERS_TO_NUMBERS": "The row has letters, so its seats have numbers: A is 1.",
    "CATEGORY_RENAMED": "The name of the category is shortened or cleaned.",
    "CATEGORY_UNKNOWN": "The plan does not list this category; it is kept.",
    "COMPANION_ALONE": "A companion seat needs an accessible one in its row; this is none.",
    "ROW_CURVED": "The row is drawn straight.",
    "ROW_TURNED": "The row goes away from the screen: its seats are side by side now.",
    "ROWS_SIDE_BY_SIDE": "Rows with different names stand beside each other: one is behind the "
    "other now.",
    "ROWS_APART": "The way between rows is not kept: each is one farther back.",
    "SEATS_TOO_CLOSE": "These seats overlap; they are side by side now.",
    "GAP_TOO_WIDE": f"A gap has at most {MAX_GAP_SEATS} seats.",
}
"""What a report can say of rows and seats, besides the fields that are not kept."""


class UnusablePlan(Exception):
    """No layout can be made of this; `path` says where it fails."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class _SeatInPlan(NamedTuple):
    x: float
    y: float
    number: str
    category: str
    path: str


class _Row(msgspec.Struct, kw_only=True):
    zone: str
    name: str
    path: str
    seats: list[_SeatInPlan]
    lettered: bool = False
    numbers: list[int] = []
    label: str = ""

    @property
    def x(self) -> float:
        """The middle between its ends."""
        return (self.seats[0].x + self.seats[-1].x) / 2

    @property
    def y(self) -> float:
        """How far it is from the screen, on average."""
        return sum(seat.y for seat in self.seats) / len(self.seats)


class _Notes:
    def __init__(self) -> None:
        self._paths: dict[str, list[str]] = {}

    def add(self, code: str, path: str) -> None:
        self._paths.setdefault(code, []).append(path)

    def told(self) -> list[ImportNote]:
        return [
            ImportNote(
                code=code,
                message=message,
                count=len(self._paths[code]),
                paths=self._paths[code][:PATHS_TOLD],
            )
            for code, message in NOTES.items()
            if code in self._paths
        ]


def read_plan(content: bytes) -> tuple[PretixPlan, dict[str, int]]:
    """The plan of a file, and how often which of its fields are not kept. Raises `UnusablePlan`."""
    try:
        document = msgspec.json.decode(content)
        plan = msgspec.convert(document, PretixPlan)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise UnusablePlan(message, path.rstrip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        raise UnusablePlan("This is not JSON.", "$") from None
    return plan, _dropped(document)


def layout_of(
    plan: PretixPlan, dropped: dict[str, int], screen_at: ScreenSide = "top"
) -> tuple[Layout, ImportReport]:
    """The layout of a plan, and what it does not say. Raises `UnusablePlan`."""
    notes = _Notes()
    rows = list(_rows(plan, notes, -1.0 if screen_at == "bottom" else 1.0))
    if not rows:
        raise UnusablePlan("There are no seats in this plan.", "$.zones")
    for row in rows:
        _straighten(row)
    width_px = _width(at for row in rows for at in _distances(row))
    rows = _joined(rows, width_px, notes)
    _check_sizes(rows)
    rows.sort(key=lambda row: (row.y, row.x))
    _look_at_places(rows, width_px, notes)
    for row in rows:
        _number(row, notes)
    _name(rows, notes)
    categories = _Categories(plan, notes)
    gaps = [_gaps(row, width_px, notes) for row in rows]
    middles = [row.x / width_px for row in rows]
    layout = Layout(
        rows=tuple(
            _layout_row(row, gap, middle - min(middles), categories, notes)
            for row, gap, middle in zip(rows, gaps, middles, strict=True)
        ),
        focal=_focal(rows, middles),
    )
    return layout, _report(plan, layout, rows, dropped, notes)


def _report(
    plan: PretixPlan, layout: Layout, rows: list[_Row], dropped: dict[str, int], notes: _Notes
) -> ImportReport:
    categories = Counter(seat.category for row in layout.rows for seat in row.seats)
    return ImportReport(
        name=_shown(plan.name),
        seats=categories.total(),
        rows=[
            ImportedRow(
                zone=_shown(row.zone), row=_shown(row.name), label=row.label, seats=len(row.seats)
            )
            for row in rows
        ],
        categories=dict(categories),
        dropped=dropped,
        notes=notes.told(),
    )


def _shown(text: str) -> str:
    return _cleaned(text)[:NAME_CHARS]


def _cleaned(text: str) -> str:
    """Text that may be shown: composed, printable, without spaces at its ends."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(mark for mark in composed if mark.isprintable()).strip()


def _dropped(document: dict[str, Any]) -> dict[str, int]:
    """How often a field is there that is not kept, as in `seat.radius`; lists count each item."""
    counted: Counter[str] = Counter()

    def look(kind: type[msgspec.Struct], name: str, thing: dict[str, Any]) -> None:
        for field in thing.keys() - KEPT[kind]:
            value = thing[field]
            if value is not None:
                times = len(value) if isinstance(value, list) else 1
                counted[f"{name}.{_shown(field)}"] += times

    look(PretixPlan, "plan", document)
    for category in document.get("categories", []):
        look(PretixCategory, "category", category)
    for zone in document["zones"]:
        look(PretixZone, "zone", zone)
        for row in zone.get("rows", []):
            look(PretixRow, "row", row)
            for seat in row["seats"]:
                look(PretixSeat, "seat", seat)
    kept = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:DROPPED_TOLD]
    return dict(sorted(kept))


def _rows(plan: PretixPlan, notes: _Notes, sign: float) -> Iterator[_Row]:
    """The rows with seats, and where each seat is in the room."""
    for zone_at, zone in enumerate(plan.zones):
        for row_at, row in enumerate(zone.rows):
            path = f"$.zones[{zone_at}].rows[{row_at}]"
            if not row.seats:
                notes.add("EMPTY_ROW", path)
                continue
            if len(row.seats) > MAX_SEATS_PER_ROW:
                raise UnusablePlan(f"A row has at most {MAX_SEATS_PER_ROW} seats.", path)
            x, y = zone.position.x + row.position.x, zone.position.y + row.position.y
            seats = [
                _SeatInPlan(
                    sign * (x + seat.position.x),
                    sign * (y + seat.position.y),
                    str(seat.seat_number).strip(),
                    seat.category,
                    f"{path}.seats[{at}]",
                )
                for at, seat in enumerate(row.seats)
            ]
            for seat in seats:
                if not (abs(seat.x) <= POSITION_MAX and abs(seat.y) <= POSITION_MAX):
                    raise UnusablePlan(
                        f"Places are at most {POSITION_MAX:.0f} pixels away.",
                        f"{seat.path}.position",
                    )
            yield _Row(zone=zone.name, name=str(row.row_number).strip(), path=path, seats=seats)


def _spreads(row: _Row) -> tuple[float, float]:
    xs, ys = [seat.x for seat in row.seats], [seat.y for seat in row.seats]
    return max(xs) - min(xs), max(ys) - min(ys)


def _straighten(row: _Row) -> None:
    """Put the seats into the order in which they stand side by side."""
    wide, deep = _spreads(row)
    row.seats.sort(key=lambda seat: (seat.y, seat.x) if deep > wide else (seat.x, seat.y))


def _distances(row: _Row) -> list[float]:
    return [hypot(right.x - left.x, right.y - left.y) for left, right in pairwise(row.seats)]


def _width(distances: Iterable[float], otherwise: float = USUAL_SEAT_PX) -> float:
    """The distance of neighbours in the middle: as long as most have no aisle between them."""
    apart = sorted(distance for distance in distances if distance > 1e-6)
    return apart[(len(apart) - 1) // 2] if apart else otherwise


def _joined(rows: list[_Row], width_px: float, notes: _Notes) -> list[_Row]:
    """Rows of one name that stand beside each other, and have no seat of the same name, as one."""
    joined: list[_Row] = []
    by_name: dict[str, list[_Row]] = {}
    for row in rows:
        before = by_name.setdefault(row.name, []) if row.name else []
        whole = next((other for other in before if _beside(other, row, width_px)), None)
        if whole is None:
            joined.append(row)
            before.append(row)
            continue
        notes.add("ROWS_JOINED", row.path)
        whole.seats = sorted(whole.seats + row.seats, key=lambda seat: (seat.x, seat.y))
        if row.zone != whole.zone:
            whole.zone = " + ".join(dict.fromkeys([*whole.zone.split(" + "), row.zone]))
    return joined


def _beside(left: _Row, right: _Row, width_px: float) -> bool:
    if abs(left.y - right.y) > JOINED_MOST_SEATS * width_px:
        return False
    places = [[seat.x for seat in row.seats] for row in (left, right)]
    first, second = sorted((min(xs), max(xs)) for xs in places)
    if first[1] >= second[0]:
        return False
    return {seat.number for seat in left.seats}.isdisjoint(seat.number for seat in right.seats)


def _check_sizes(rows: list[_Row]) -> None:
    if len(rows) > MAX_ROWS:
        raise UnusablePlan(f"A layout has at most {MAX_ROWS} rows.", "$.zones")
    if sum(len(row.seats) for row in rows) > MAX_SEATS:
        raise UnusablePlan(f"A layout has at most {MAX_SEATS} seats.", "$.zones")
    for row in rows:
        if len(row.seats) > MAX_SEATS_PER_ROW:
            raise UnusablePlan(f"A row has at most {MAX_SEATS_PER_ROW} seats.", row.path)


def _look_at_places(rows: list[_Row], width_px: float, notes: _Notes) -> None:
    """Note what is drawn in a way that rows of a layout are not."""
    for row in rows:
        wide, deep = _spreads(row)
        if deep > wide:
            notes.add("ROW_TURNED", row.path)
        elif deep > width_px / 2:
            notes.add("ROW_CURVED", row.path)
        for seat, distance in zip(row.seats[1:], _distances(row), strict=True):
            if distance < width_px / 2:
                notes.add("SEATS_TOO_CLOSE", seat.path)
    ways = [(later.y - earlier.y, later.path) for earlier, later in pairwise(rows)]
    apart = [way for way, _ in ways if way >= width_px / 2]
    for way, path in ways:
        if way < width_px / 2:
            notes.add("ROWS_SIDE_BY_SIDE", path)
        elif way > 1.5 * median(apart):
            notes.add("ROWS_APART", path)


def _number(row: _Row, notes: _Notes) -> None:
    """Give the seats numbers: their own, those of their letters, or from left to right."""
    texts = [seat.number for seat in row.seats]
    shorter = [_without(row.name, text) for text in texts]
    for names in (texts, shorter):
        read = _read(names, _NUMBER), _read(names, _LETTERS)
        numbers = read[0] or read[1]
        if numbers is not None:
            if names is not texts and names != texts:
                notes.add("SEATS_RENAMED", row.path)
            row.numbers, row.lettered = numbers, read[0] is None
            return
    notes.add("SEATS_RENUMBERED", row.path)
    row.numbers = list(range(1, len(texts) + 1))


def _without(name: str, text: str) -> str:
    """The name of a seat without that of its row, as in `F-7`."""
    return text.removeprefix(name).lstrip(_BETWEEN) if name else text


def _read(names: Sequence[str], form: re.Pattern[str]) -> list[int] | None:
    """The numbers of names that all have a form, if they are different and not too high."""
    found = [form.fullmatch(name) for name in names]
    numbers = [
        int(one[1]) if form is _NUMBER else _number_of(one[0]) for one in found if one is not None
    ]
    whole = len(numbers) == len(names) == len(set(numbers))
    return numbers if whole and max(numbers) <= MAX_SEATS_PER_ROW else None


def _number_of(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _name(rows: list[_Row], notes: _Notes) -> None:
    """Give the rows labels: their own names first, then what is made of these, then free ones."""
    free_letters = (letters_of(number) for number in count(1))
    free_numbers = (str(number) for number in count(1))
    taken: set[str] = set()
    wanted = [_wanted(row) for row in rows]
    for exactly in (True, False):
        for row, label in zip(rows, wanted, strict=True):
            if row.label or label in taken or not label or (label == row.name) is not exactly:
                continue
            row.label = label
            taken.add(label)
    for row in rows:
        if not row.label:
            free = free_numbers if row.lettered else free_letters
            row.label = next(label for label in free if label not in taken)
            taken.add(row.label)
        if row.label.isdigit() is not row.lettered:
            row.lettered = False
            notes.add("LETTERS_TO_NUMBERS", row.path)
        if row.label != row.name:
            notes.add("ROW_RENAMED", row.path)


def _wanted(row: _Row) -> str:
    """The label that is nearest to a row's name; empty if there is none."""
    if _LETTERS.fullmatch(row.name):
        return row.name.upper()
    number = _NUMBER.fullmatch(row.name)
    if number is None:
        return ""
    return number[1] if row.lettered else letters_of(int(number[1]))


class _Categories:
    """The categories of a layout by the names that the plan has for them."""

    def __init__(self, plan: PretixPlan, notes: _Notes) -> None:
        self._listed = {category.name for category in plan.categories}
        self._notes = notes
        self._known: dict[str, tuple[str, bool, bool]] = {}
        self._names: set[str] = set()

    def of(self, seat: _SeatInPlan) -> tuple[str, bool, bool]:
        """The category, and whether the seat is accessible, and a companion's."""
        known = self._known.get(seat.category)
        if known is None:
            known = self._known[seat.category] = self._new(seat.category, f"{seat.path}.category")
        return known

    def _new(self, given: str, path: str) -> tuple[str, bool, bool]:
        if given not in self._listed:
            self._notes.add("CATEGORY_UNKNOWN", path)
        base = given.removesuffix(WHEELCHAIR).removesuffix(COMPANION)
        marked = bool(base) and base != given
        name = self._named(base if marked else given, path)
        return name, marked and given.endswith(WHEELCHAIR), marked and given.endswith(COMPANION)

    def _named(self, given: str, path: str) -> str:
        name = _cleaned(given)[:MAX_CATEGORY_CHARS].strip() or DEFAULT_CATEGORY
        if name == given:
            self._names.add(name)
            return self._counted(name)
        self._notes.add("CATEGORY_RENAMED", path)
        for number in count(2):
            if name not in self._names and name not in self._listed:
                break
            tail = f" {number}"
            name = name[: MAX_CATEGORY_CHARS - len(tail)].strip() + tail
        self._names.add(name)
        return self._counted(name)

    def _counted(self, name: str) -> str:
        if len(self._names) > MAX_CATEGORIES:
            raise UnusablePlan(f"A layout has at most {MAX_CATEGORIES} categories.", "$.categories")
        return name


def _gaps(row: _Row, width_px: float, notes: _Notes) -> list[float]:
    """The gap before each seat but the first, in widths of a seat."""
    distances = _distances(row)
    own_px = _width(distances, width_px)
    if own_px > width_px and (
        len(distances) < OWN_WIDTH_LEAST or own_px > OWN_WIDTH_MOST * width_px
    ):
        own_px = width_px
    return [
        _gap(distance / own_px - 1, seat.path, notes)
        for seat, distance in zip(row.seats[1:], distances, strict=True)
    ]


def _gap(seats: float, path: str, notes: _Notes) -> float:
    if seats < GAP_LEAST_SEATS:
        return NO_GAP
    if seats > MAX_GAP_SEATS:
        notes.add("GAP_TOO_WIDE", path)
        return float(MAX_GAP_SEATS)
    return round(seats, 2)


def _focal(rows: list[_Row], middles: list[float]) -> LayoutFocal | None:
    """The best place, if the middle of the room is not that of the row farthest to the left."""
    middle = median(at for row, at in zip(rows, middles, strict=True) for _ in row.seats)
    shift = round(middle - min(middles), 2)
    if shift < FOCAL_SHIFT_LEAST_SEATS:
        return None
    return LayoutFocal(x=shift, y=round((len(rows) - 1) * DEFAULT_FOCAL_DEPTH, 2))


def _layout_row(
    row: _Row, gaps: list[float], right: float, categories: _Categories, notes: _Notes
) -> LayoutRow:
    """A row; it stands `right` seats to the right of the one farthest to the left."""
    found = [categories.of(seat) for seat in row.seats]
    has_accessible = any(accessible for _, accessible, _ in found)
    before = [_gap(2 * right, row.seats[0].path, notes), *gaps]
    seats = []
    for seat, number, gap, (category, accessible, companion) in zip(
        row.seats, row.numbers, before, found, strict=True
    ):
        if companion and not has_accessible:
            notes.add("COMPANION_ALONE", seat.path)
        seats.append(
            LayoutSeat(
                number=number,
                category=category,
                accessible=accessible,
                companion=companion and has_accessible,
                gap_before=gap or NO_GAP,
            )
        )
    return LayoutRow(label=row.label, seats=tuple(seats))
