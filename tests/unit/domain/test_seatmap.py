from __future__ import annotations

import itertools
import re
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.seatmap import (
    MAX_CATEGORIES,
    MAX_ROWS,
    MAX_SEATS,
    STATUS_NAMES,
    Layout,
    LayoutError,
    LayoutFocal,
    LayoutRow,
    LayoutSeat,
    changed_seats,
    grid_layout,
    parse_layout,
    row_label,
    seat_mapping,
)
from tests.unit.domain.seat_drawing import draw_layout, draw_plan, numbered


def _seat(number: int, **marks: object) -> LayoutSeat:
    return msgspec.convert({"number": number, "category": "regular", **marks}, LayoutSeat)


def _layout(*seats: LayoutSeat, label: str = "A") -> Layout:
    return Layout(rows=(LayoutRow(label=label, seats=seats),))


def test_status_names_follow_the_status_bytes() -> None:
    assert STATUS_NAMES == ("available", "held", "booked", "blocked")


def test_seats_are_indexed_in_row_order_and_found_by_label() -> None:
    plan = draw_plan("rr r", "pv", version=7)
    assert (plan.version, plan.seat_count) == (7, 5)
    assert plan.labels == ("A1", "A2", "A3", "B1", "B2")
    assert [plan.index[label] for label in plan.labels] == [0, 1, 2, 3, 4]
    assert list(plan.numbers) == [1, 2, 3, 1, 2]
    assert list(plan.row_of) == [0, 0, 0, 1, 1]
    assert (plan.rows, plan.row_labels) == (((0, 3), (3, 5)), ("A", "B"))
    assert plan.categories == ("regular", "premium", "vip")
    assert plan.category_of == bytes([0, 0, 0, 1, 2])


def test_a_plan_is_shown_short_in_logs_and_failures() -> None:
    assert repr(draw_plan("rr r", "pv", version=7)) == "SeatPlan(version=7, seat_count=5)"


def test_an_aisle_splits_a_row_into_blocks_and_a_leading_gap_does_not() -> None:
    plan = draw_plan(" rr r", "rrr")
    assert plan.blocks == ((0, 2), (2, 3), (3, 6))
    assert list(plan.block_of) == [0, 0, 1, 2, 2, 2]
    assert plan.blocks_of_row(0) == ((0, 2), (2, 3))
    assert plan.blocks_of_row(1) == ((3, 6),)


def test_rows_are_centred_with_their_gaps() -> None:
    plan = draw_plan("rr r", "rr", "  rr")
    assert list(plan.x) == [-1.5, -0.5, 1.5, -0.5, 0.5, 0.5, 1.5]
    assert list(plan.y) == [0, 0, 0, 1, 1, 2, 2]


def test_focal_point_is_central_and_two_thirds_back_by_default() -> None:
    plan = draw_plan("rrr", "rrr", "rrr", "rrr")
    assert plan.distance_milli[plan.index["C2"]] == 0
    assert plan.distance_milli[plan.index["C1"]] == 1000
    assert plan.distance_milli[plan.index["A2"]] == 2000
    assert plan.blocks_by_distance[0] == plan.rows_by_distance[0] == (0, 6, 9)


def test_a_layout_may_name_its_focal_point() -> None:
    plan = draw_plan("rrr", "rrr", focal=LayoutFocal(x=1, y=0))
    assert plan.distance_milli[plan.index["A3"]] == 0
    assert plan.distance_milli[plan.index["B2"]] == 1414
    assert list(plan.distance_before_milli[:3]) == [0, 2000, 3000]


def test_accessible_and_companion_seats_are_marked() -> None:
    plan = draw_plan("rWCr")
    assert plan.accessible == bytes([0, 1, 0, 0])
    assert plan.companion == bytes([0, 0, 1, 0])
    assert plan.reserved == bytes([0, 1, 1, 0])


_PRINTABLE = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=32)


@st.composite
def _layouts(draw: st.DrawFn) -> Layout:
    names = draw(st.lists(_PRINTABLE, min_size=1, max_size=4))
    rows = []
    for label in draw(
        st.lists(
            st.from_regex(r"\A[A-Z]{1,3}\Z") | st.integers(1, 999).map(str),
            min_size=1,
            max_size=5,
            unique=True,
        )
    ):
        numbers = draw(st.lists(st.integers(1, 999), min_size=1, max_size=8, unique=True))
        kinds = draw(
            st.lists(st.sampled_from("rrWC"), min_size=len(numbers), max_size=len(numbers))
        )
        rows.append(
            LayoutRow(
                label=label,
                seats=tuple(
                    LayoutSeat(
                        number=number,
                        category=draw(st.sampled_from(names)),
                        accessible=kind == "W",
                        companion=kind == "C" and "W" in kinds,
                        gap_before=draw(st.sampled_from([0.0, 0.0, 0.3, 1.5, 2.0])),
                    )
                    for number, kind in zip(numbers, kinds, strict=True)
                ),
            )
        )
    focal = draw(st.none() | st.builds(LayoutFocal, x=st.floats(-9, 9), y=st.floats(0, 9)))
    return Layout(rows=tuple(rows), focal=focal)


@given(_layouts())
def test_a_plan_gives_back_the_layout_it_was_parsed_from(layout: Layout) -> None:
    plan = parse_layout(layout, 1)
    assert plan.to_layout() == layout
    assert msgspec.json.decode(msgspec.json.encode(plan.to_layout()), type=Layout) == layout
    ranges = [*plan.blocks]
    assert [start for start, _ in ranges[1:]] == [end for _, end in ranges[:-1]]
    assert all(plan.row_of[start] == plan.row_of[end - 1] for start, end in ranges)


@given(_layouts())
def test_each_seat_has_a_label_of_its_own_that_tells_its_row(layout: Layout) -> None:
    plan = parse_layout(layout, 1)
    assert len(plan.index) == plan.seat_count
    for seat, label in enumerate(plan.labels):
        parts = re.fullmatch("([A-Z]{1,3})([0-9]{1,3})|([0-9]{1,3})([A-Z]{1,3})", label)
        assert parts is not None
        row, own = (part for part in parts.groups() if part is not None)
        assert row == plan.row_labels[plan.row_of[seat]]
        assert own == (
            _in_letters(plan.numbers[seat]) if row.isdigit() else str(plan.numbers[seat])
        )
        assert plan.lettered[seat] == row.isdigit()


def _in_letters(number: int) -> str:
    """By counting: A to Z, AA to ZZ, AAA and on."""
    names = (
        "".join(letters)
        for length in (1, 2, 3)
        for letters in itertools.product(string.ascii_uppercase, repeat=length)
    )
    return next(itertools.islice(names, number - 1, None))


def test_rows_with_numbers_have_seats_with_letters() -> None:
    plan = parse_layout(numbered(draw_layout("rr", "r rr")), 1)
    assert plan.labels == ("1A", "1B", "2A", "2B", "2C")
    assert plan.lettered == bytes([1, 1, 1, 1, 1])
    mixed = Layout(rows=(*draw_layout("rr").rows, *numbered(draw_layout("r")).rows))
    assert parse_layout(mixed, 1).labels == ("A1", "A2", "1A")
    assert parse_layout(mixed, 1).lettered == bytes([0, 0, 1])
    wide = _layout(_seat(26), _seat(27), _seat(999), label="999")
    assert parse_layout(wide, 1).labels == ("999Z", "999AA", "999ALK")


def test_a_seat_twice_is_named_by_its_label() -> None:
    with pytest.raises(LayoutError, match="Duplicate seat 12C"):
        parse_layout(_layout(_seat(3), _seat(3), label="12"), 1)


@pytest.mark.parametrize(
    ("layout", "path"),
    [
        (Layout(rows=()), "$.rows"),
        (_layout(), "$.rows[0].seats"),
        (_layout(_seat(1), label="a"), "$.rows[0].label"),
        (_layout(_seat(1), label="ABCD"), "$.rows[0].label"),
        (_layout(_seat(1), label="A\n"), "$.rows[0].label"),
        (_layout(_seat(1), label="0"), "$.rows[0].label"),
        (_layout(_seat(1), label="012"), "$.rows[0].label"),
        (_layout(_seat(1), label="1000"), "$.rows[0].label"),
        (_layout(_seat(1), label="1A"), "$.rows[0].label"),
        (_layout(_seat(1), label="A1"), "$.rows[0].label"),
        (_layout(_seat(1), label="١"), "$.rows[0].label"),
        (_layout(_seat(1), label="12\n"), "$.rows[0].label"),
        (_layout(LayoutSeat(number=0, category="vip")), "$.rows[0].seats[0].number"),
        (_layout(LayoutSeat(number=1000, category="vip")), "$.rows[0].seats[0].number"),
        (_layout(_seat(1), LayoutSeat(number=2, category="")), "$.rows[0].seats[1].category"),
        (_layout(LayoutSeat(number=1, category="v" * 33)), "$.rows[0].seats[0].category"),
        (_layout(_seat(1, category="vip ")), "$.rows[0].seats[0].category"),
        (_layout(_seat(1, category="v\x00p")), "$.rows[0].seats[0].category"),
        (
            _layout(LayoutSeat(number=1, category="vip", gap_before=-1)),
            "$.rows[0].seats[0].gap_before",
        ),
        (
            _layout(LayoutSeat(number=1, category="vip", gap_before=float("nan"))),
            "$.rows[0].seats[0].gap_before",
        ),
        (_layout(_seat(1), _seat(2), _seat(1)), "$.rows[0].seats[2].number"),
        (_layout(_seat(1, accessible=True, companion=True)), "$.rows[0].seats[0].companion"),
        (_layout(_seat(1), _seat(2, companion=True)), "$.rows[0].seats[1]"),
        (Layout(rows=(*_layout(_seat(1)).rows, *_layout(_seat(2)).rows)), "$.rows[1].label"),
        (Layout(rows=_layout(_seat(1)).rows, focal=LayoutFocal(y=-1)), "$.focal.y"),
    ],
)
def test_an_impossible_layout_is_refused_with_its_place(layout: Layout, path: str) -> None:
    with pytest.raises(LayoutError) as refused:
        parse_layout(layout, 1)
    assert refused.value.path == path
    assert refused.value.message
    assert path in str(refused.value)


def test_a_layout_with_too_many_seats_is_refused() -> None:
    seats = tuple(_seat(number) for number in range(1, 1 + MAX_SEATS // MAX_ROWS + 1))
    layout = Layout(
        rows=tuple(LayoutRow(label=row_label(at), seats=seats) for at in range(MAX_ROWS))
    )
    with pytest.raises(LayoutError, match="at most 50000 seats"):
        parse_layout(layout, 1)


def test_a_layout_with_too_many_categories_is_refused() -> None:
    seats = [_seat(number, category=f"c{number}") for number in range(1, MAX_CATEGORIES + 2)]
    assert parse_layout(_layout(*seats[:-1]), 1).categories[-1] == f"c{MAX_CATEGORIES}"
    with pytest.raises(LayoutError, match="at most 64 categories"):
        parse_layout(_layout(*seats), 1)


def test_the_largest_grid_has_a_plan() -> None:
    plan = parse_layout(grid_layout(MAX_ROWS, MAX_SEATS // MAX_ROWS), 1)
    assert plan.seat_count == MAX_SEATS
    assert plan.index["ALL50"] == MAX_SEATS - 1


def test_a_grid_is_regular_seats_in_lettered_rows() -> None:
    plan = parse_layout(grid_layout(8, 12), 1)
    assert (plan.seat_count, plan.categories, len(plan.blocks)) == (96, ("regular",), 8)
    assert (plan.labels[0], plan.labels[-1]) == ("A1", "H12")


@pytest.mark.parametrize(
    ("rows", "columns", "path"),
    [(0, 5, "$.rows"), (1001, 1, "$.rows"), (5, 0, "$.columns"), (5, 1000, "$.columns"),
     (1000, 51, "$")],
)  # fmt: skip
def test_a_grid_out_of_bounds_is_refused(rows: int, columns: int, path: str) -> None:
    with pytest.raises(LayoutError) as refused:
        grid_layout(rows, columns)
    assert refused.value.path == path


def test_row_labels_go_on_after_z() -> None:
    positions = [0, 25, 26, 51, 52, 701, 702]
    assert [row_label(at) for at in positions] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_changed_seats_are_those_gone_or_sold_as_something_else() -> None:
    old = draw_plan("rrrr", "rWC", "rr")
    new = draw_plan("rr rp", "rrW", "rrr")
    assert changed_seats(old, new) == ["A4", "B2", "B3"]
    assert changed_seats(old, draw_plan("rrrr", "rWC")) == ["C1", "C2"]
    assert changed_seats(old, old) == []


def test_changed_seats_come_in_the_order_of_the_room() -> None:
    old = draw_plan("r" * 11)
    assert changed_seats(old, draw_plan("r")) == [f"A{number}" for number in range(2, 12)]
    lettered = parse_layout(numbered(draw_layout("r" * 28)), 1)
    fewer = parse_layout(numbered(draw_layout("r" * 25)), 1)
    assert changed_seats(lettered, fewer) == ["1Z", "1AA", "1AB"]


def test_seat_mapping_finds_each_old_seat_in_the_new_plan() -> None:
    old, new = draw_plan("rrr", "rr"), draw_plan("rr", "rrr")
    assert seat_mapping(old, new) == [0, 1, -1, 2, 3]


def test_layout_omits_what_a_seat_is_not() -> None:
    encoded = msgspec.json.encode(draw_plan("r W").to_layout())
    assert encoded == (
        b'{"rows":[{"label":"A","seats":[{"number":1,"category":"regular"},'
        b'{"number":2,"category":"regular","accessible":true,"gap_before":1.0}]}]}'
    )
