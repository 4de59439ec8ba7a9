"""Seating plans of pretix become layouts, and the report says what did not."""

from __future__ import annotations

import re
from itertools import pairwise
from math import cos, pi, sin
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinema.domain.seatmap import (
    MAX_CATEGORIES,
    MAX_ROWS,
    MAX_SEATS_PER_ROW,
    Layout,
    LayoutFocal,
    LayoutRow,
    LayoutSeat,
    SeatPlan,
    parse_layout,
)
from cinema.features.catalog.pretix_export import plan_of
from cinema.features.catalog.pretix_process import (
    Exported,
    ExportTask,
    Imported,
    ImportTask,
    NoLayout,
    answer_to,
)
from cinema.features.catalog.pretix_rules import (
    DROPPED_TOLD,
    NOTES,
    PATHS_TOLD,
    UnusablePlan,
    layout_of,
    read_plan,
)
from cinema.features.catalog.shapes import ImportReport, ScreenSide
from tests.support.pretix_plans import Json, plan, playhouse, row, texts, zone
from tests.unit.features.catalog.pretix_schema import SCHEMA


def imported(document: Json, screen_at: ScreenSide = "top") -> tuple[Layout, ImportReport]:
    layout, report = layout_of(*read_plan(msgspec.json.encode(document)), screen_at)
    assert parse_layout(layout, 1).seat_count == report.seats
    assert sum(report.categories.values()) == sum(one.seats for one in report.rows) == report.seats
    return layout, report


def labels(layout: Layout) -> list[str]:
    return list(parse_layout(layout, 1).labels)


def gaps(layout: Layout) -> list[list[float]]:
    return [[seat.gap_before for seat in row.seats] for row in layout.rows]


def noted(report: ImportReport) -> dict[str, int]:
    assert all(note.message == NOTES[note.code] for note in report.notes)
    return {note.code: note.count for note in report.notes}


def test_a_plain_plan_keeps_its_names() -> None:
    layout, report = imported(
        plan(zone(row("A", texts(1, 4), x=40, y=25), row("B", texts(1, 4), x=40, y=55)))
    )
    assert labels(layout) == ["A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4"]
    assert gaps(layout) == [[0.0] * 4] * 2
    assert layout.focal is None
    assert (report.name, report.seats, report.categories) == ("Plan", 8, {"Stalls": 8})
    assert [(one.zone, one.row, one.label, one.seats) for one in report.rows] == [
        ("Main Area", "A", "A", 4),
        ("Main Area", "B", "B", 4),
    ]
    assert report.notes == []


def test_fields_that_a_layout_does_not_have_are_counted() -> None:
    seats = row("A", texts(1, 3), row_number_position="both", uuid="1", row_label=None)
    seats["seats"][0]["radius"] = 12
    seats["seats"][1]["start_direction"] = "<>"
    seats["seats"][2]["wheelchair"] = True
    areas = [{"shape": "text", "text": {"text": "Stage"}}, {"shape": "circle"}]
    _, report = imported(plan(zone(seats, zone_id="z", areas=areas)))
    assert report.dropped == {
        "category.color": 1,
        "row.row_number_position": 1,
        "row.uuid": 1,
        "seat.radius": 1,
        "seat.seat_guid": 3,
        "seat.start_direction": 1,
        "seat.wheelchair": 1,
        "zone.areas": 2,
        "zone.zone_id": 1,
    }


def test_invented_fields_do_not_fill_the_report() -> None:
    many = {f"field {at}\u202e": at for at in range(200)}
    _, report = imported(plan(zone(row("A" * 300, texts(1, 3), **many), name="Z" * 300)))
    assert len(report.dropped) == DROPPED_TOLD
    assert all(name.isprintable() and len(name) < 120 for name in report.dropped)
    assert all(len(one.row) <= 100 and len(one.zone) <= 100 for one in report.rows)


def test_seats_named_with_their_row_lose_its_name() -> None:
    """The shape of the plan in the tests of pretix itself, but for the seat number 0."""
    layout, report = imported(plan(zone(row("1", ["1-1", "1-2"], x=40, y=25))))
    assert labels(layout) == ["A1", "A2"]
    assert noted(report) == {"SEATS_RENAMED": 1, "ROW_RENAMED": 1}


def test_a_row_0_with_a_seat_0_gets_other_names() -> None:
    layout, report = imported(plan(zone(row("0", ["0-0", "0-1"], x=40, y=25))))
    assert labels(layout) == ["A1", "A2"]
    assert noted(report) == {"SEATS_RENUMBERED": 1, "ROW_RENAMED": 1}


@pytest.mark.parametrize(
    ("name", "numbers", "expected", "notes"),
    [
        ("12", ["1", "2"], ["L1", "L2"], {"ROW_RENAMED"}),
        (12, [1, 2], ["L1", "L2"], {"ROW_RENAMED"}),
        ("012", ["01", "02"], ["L1", "L2"], {"ROW_RENAMED"}),
        ("12", ["A", "C"], ["12A", "12C"], set()),
        ("12", ["b", "AB"], ["12B", "12AB"], set()),
        ("b", ["7"], ["B7"], {"ROW_RENAMED"}),
        ("B", ["A", "C"], ["B1", "B3"], {"LETTERS_TO_NUMBERS"}),
        ("Loge", ["1"], ["A1"], {"ROW_RENAMED"}),
        ("Loge", ["A"], ["1A"], {"ROW_RENAMED"}),
        ("", ["1"], ["A1"], {"ROW_RENAMED"}),
        ("1000", ["1"], ["A1"], {"ROW_RENAMED"}),
        ("B", ["7", "7"], ["B1", "B2"], {"SEATS_RENUMBERED"}),
        ("B", ["1000", "7"], ["B1", "B2"], {"SEATS_RENUMBERED"}),
        ("B", ["ZZZ", "A"], ["B1", "B2"], {"SEATS_RENUMBERED"}),
        ("B", ["1", "x y"], ["B1", "B2"], {"SEATS_RENUMBERED"}),
        ("B", ["B/7", "B/8"], ["B7", "B8"], {"SEATS_RENAMED"}),
        ("B", ["5", "4", "3"], ["B5", "B4", "B3"], set()),
    ],
)
def test_names_stay_as_far_as_they_can(
    name: str, numbers: list[str], expected: list[str], notes: set[str]
) -> None:
    layout, report = imported(plan(zone(row(name, numbers))))
    assert labels(layout) == expected
    assert set(noted(report)) == notes


def test_a_name_that_is_taken_is_given_once() -> None:
    """Numbers come after the letters that are in the plan, wherever they stand in it."""
    document = plan(
        zone(*(row(str(at), texts(1, 3), y=at * 30) for at in (1, 2)), name="Stalls"),
        zone(row("1", texts(1, 3), y=200), row("B", texts(1, 3), y=230), name="Balcony"),
    )
    layout, report = imported(document)
    assert [(one.zone, one.row, one.label) for one in report.rows] == [
        ("Stalls", "1", "A"),
        ("Stalls", "2", "C"),
        ("Balcony", "1", "D"),
        ("Balcony", "B", "B"),
    ]
    assert noted(report)["ROW_RENAMED"] == 3
    assert len(set(labels(layout))) == 12


def test_rows_come_from_the_screen_backwards() -> None:
    document = plan(zone(row("C", texts(1, 3), y=90), row("A", texts(1, 3), y=30)))
    assert [one.label for one in imported(document)[1].rows] == ["A", "C"]
    layout, report = imported(document, "bottom")
    assert [one.label for one in report.rows] == ["C", "A"]
    # Whoever faces the screen sees the other end of the row on the left.
    assert labels(layout)[:3] == ["C3", "C2", "C1"]


def test_zones_and_rows_move_what_is_in_them() -> None:
    layout, _ = imported(
        plan(
            zone(row("B", texts(1, 4), x=-70, y=-300), x=100, y=500),
            zone(row("A", texts(1, 4), x=20, y=40), x=10),
        )
    )
    assert [one.label for one in layout.rows] == ["A", "B"]
    assert gaps(layout) == [[0.0] * 4] * 2


def test_aisles_are_gaps_and_jitter_is_none() -> None:
    crooked = row("A", [*texts(1, 4), "", *texts(5, 8), "", "", *texts(9, 12)])
    for at, seat in enumerate(crooked["seats"]):
        seat["position"]["x"] += (-3, 0, 2)[at % 3]
    layout, report = imported(plan(zone(crooked)))
    (found,) = gaps(layout)
    assert [at for at, gap in enumerate(found) if gap] == [4, 8]
    assert (found[4], found[8]) == pytest.approx((1.0, 2.0), abs=0.3)
    assert report.notes == []


def test_a_row_of_wider_seats_has_no_aisles_between_them() -> None:
    layout, _ = imported(
        plan(
            zone(
                *(row(name, texts(1, 10), y=at * 30) for at, name in enumerate("ABC")),
                row("D", texts(1, 7), y=90, apart=42),
                row("E", texts(1, 4), y=120, apart=60),
                row("F", texts(1, 10), y=150, apart=20),
            )
        )
    )
    inner = [found[1:] for found in gaps(layout)]
    assert inner[3] == [0.0] * 6
    assert inner[4] == [1.0] * 3
    assert inner[5] == [0.0] * 9


def test_rows_stand_where_they_are_drawn() -> None:
    document = plan(
        zone(
            row("A", texts(1, 4), x=120, y=0),
            row("B", texts(1, 10), x=0, y=30),
            row("C", texts(1, 6), x=120, y=60),
        )
    )
    layout, _ = imported(document)
    made = parse_layout(layout, 1)
    for first, second in (("A1", "B5"), ("C1", "B5"), ("A4", "B8"), ("C6", "B10")):
        assert made.x[made.index[first]] == made.x[made.index[second]]


def test_the_best_place_moves_with_the_middle_of_the_room() -> None:
    rows = [row(name, texts(1, 10), x=300, y=at * 30) for at, name in enumerate("ABCDEFG")]
    layout, _ = imported(plan(zone(*rows, row("H", texts(1, 4), x=0, y=210))))
    assert layout.focal == LayoutFocal(x=13.0, y=4.67)
    made = parse_layout(layout, 1)
    nearest = min(range(made.seat_count), key=lambda seat: made.distance_milli[seat])
    assert made.labels[nearest] in {"F5", "F6"}
    assert imported(plan(zone(*rows)))[0].focal is None


def test_parts_of_a_row_beside_each_other_are_one_row() -> None:
    document = plan(
        zone(row("A", texts(1, 3)), row("B", texts(1, 3), y=30), name="Left"),
        zone(row("A", texts(4, 6), x=120), row("B", texts(4, 6), x=120, y=30), name="Right"),
        zone(row("A", texts(7, 9), x=240, y=40), name="Wing"),
    )
    layout, report = imported(document)
    assert labels(layout) == [f"A{at}" for at in range(1, 10)] + [f"B{at}" for at in range(1, 7)]
    assert gaps(layout)[1][1:] == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert noted(report) == {"ROWS_JOINED": 3, "ROW_CURVED": 1}
    assert report.rows[0].zone == "Left + Right + Wing"


def test_rows_of_one_name_are_two_if_they_are_not_beside_each_other() -> None:
    for other in (
        row("A", texts(4, 6), x=0, y=300),
        row("A", texts(3, 6), x=120),
        row("A", texts(4, 6), x=15, y=15),
    ):
        _, report = imported(plan(zone(row("A", texts(1, 3)), other)))
        assert [one.label for one in report.rows] == ["A", "B"]


def test_a_curved_row_is_straight() -> None:
    curved = row("A", texts(1, 9))
    for at, seat in enumerate(curved["seats"]):
        angle = pi * (0.25 + at * 0.5 / 8)
        seat["position"] = {"x": -150 * cos(angle), "y": 150 * sin(angle)}
    layout, report = imported(plan(zone(curved)))
    assert labels(layout) == [f"A{at}" for at in range(1, 10)]
    assert gaps(layout) == [[0.0] * 9]
    assert noted(report) == {"ROW_CURVED": 1}


def test_a_stand_beside_the_room_is_told() -> None:
    turned = row("C", texts(1, 5))
    for at, seat in enumerate(turned["seats"]):
        seat["position"] = {"x": 0, "y": at * 30}
    layout, report = imported(plan(zone(turned, row("A", texts(1, 5), x=200, y=60))))
    assert noted(report) == {"ROW_TURNED": 1, "ROWS_SIDE_BY_SIDE": 1}
    assert gaps(layout)[0][1:] == [0.0] * 4


def test_tables_become_rows() -> None:
    """Eight people at a table in two lines: another shape that plans of pretix often have."""

    def table(number: int) -> Json:
        seats = row(str(number), texts(1, 8), x=(number % 4) * 150, y=(number // 4) * 140)
        for at, seat in enumerate(seats["seats"]):
            seat["position"] = {"x": 60 * (at % 2), "y": 25 * (at // 2)}
            seat["category"] = ""
        return seats

    layout, report = imported(plan(zone(*(table(number) for number in range(1, 9))), categories=()))
    assert report.seats == 64
    assert len(layout.rows) == 8
    assert report.categories == {"regular": 64}
    assert {"CATEGORY_RENAMED", "CATEGORY_UNKNOWN", "ROW_RENAMED"} < set(noted(report))


def test_what_stands_too_close_or_too_far_is_told() -> None:
    near = row("A", texts(1, 8))
    near["seats"][3]["position"]["x"] = near["seats"][2]["position"]["x"] + 5
    far = row("B", texts(1, 8), y=30)
    far["seats"][7]["position"]["x"] = 9000
    rows = [row(name, texts(1, 8), y=at * 30) for at, name in enumerate("CDEF", 2)]
    balcony = row("G", texts(1, 8), y=400)
    layout, report = imported(plan(zone(near, far, *rows, balcony)))
    assert noted(report) == {"SEATS_TOO_CLOSE": 1, "GAP_TOO_WIDE": 2, "ROWS_APART": 1}
    assert gaps(layout)[1][7] == 50.0


def test_empty_rows_are_left_out() -> None:
    _, report = imported(plan(zone(row("A", []), row("B", texts(1, 2)))))
    assert noted(report) == {"EMPTY_ROW": 1}
    assert report.notes[0].paths == ["$.zones[0].rows[0]"]


def test_a_note_names_some_places_and_counts_all() -> None:
    rows = [row("A", [], y=at * 30) for at in range(40)]
    (note,) = imported(plan(zone(*rows, row("B", texts(1, 2)))))[1].notes
    assert (note.count, len(note.paths)) == (40, PATHS_TOLD)


def test_single_seats_have_a_usual_width() -> None:
    layout, _ = imported(plan(zone(row("A", ["1"]), row("B", ["1"], x=60, y=30))))
    assert gaps(layout) == [[0.0], [4.0]]
    # Seats at the very same place do not tell a width.
    layout, _ = imported(plan(zone(row("A", texts(1, 2), apart=0))))
    assert gaps(layout) == [[0.0, 0.0]]


def test_a_theatre_as_an_editor_saves_it() -> None:
    """Stalls in bent rows with an aisle, a balcony that counts its rows anew, boxes, a stage."""
    document = playhouse()
    jsonschema.Draft7Validator(SCHEMA).validate(document)
    layout, report = imported(document)
    assert (report.name, report.seats) == ("Playhouse, great hall", 300)
    assert report.categories == {"Premium": 48, "Standard": 160, "Balcony": 80, "Box": 12}
    stalls = {one.label: one for one in layout.rows if one.label in "ABCDEFGHIJKLM"}
    assert list(stalls) == list("ABCDEFGHIJKLM"), "from the stage backwards, under their own names"
    for one in stalls.values():
        assert [seat.number for seat in one.seats] == list(range(1, 17))
        assert [at for at, seat in enumerate(one.seats[1:], 1) if seat.gap_before] == [8]
    kinds = [(seat.accessible, seat.companion) for seat in stalls["M"].seats[12:]]
    assert kinds == [(True, False), (False, True), (False, True), (True, False)]
    others = [(one.zone, one.row, one.label) for one in report.rows if one.label not in stalls]
    assert sorted(others) == [
        *(("Balcony", str(at), letter) for at, letter in enumerate("PQRST", 1)),
        ("Boxes", "Box 1", "N"),
        ("Boxes", "Box 2", "O"),
    ]
    assert noted(report) == {
        "ROW_RENAMED": 7,
        "ROW_CURVED": 13,
        "ROW_TURNED": 2,
        "ROWS_SIDE_BY_SIDE": 2,
        "ROWS_APART": 1,
    }
    assert report.dropped["zone.areas"] == 3
    assert report.dropped["category.color"] == 6


# --- categories


def test_accessible_seats_are_known_by_the_name_of_their_category() -> None:
    seats = row("A", texts(1, 4))
    for at, category in enumerate(("Stalls (companion)", "Stalls (wheelchair)", "Stalls", "VIP")):
        seats["seats"][at]["category"] = category
    names = ("Stalls", "Stalls (wheelchair)", "Stalls (companion)", "VIP")
    layout, report = imported(plan(zone(seats), categories=names))
    assert [(one.category, one.accessible, one.companion) for one in layout.rows[0].seats] == [
        ("Stalls", False, True),
        ("Stalls", True, False),
        ("Stalls", False, False),
        ("VIP", False, False),
    ]
    assert report.categories == {"Stalls": 3, "VIP": 1}
    assert report.notes == []


def test_a_companion_seat_alone_is_an_ordinary_one() -> None:
    document = plan(
        zone(row("A", texts(1, 2), category="S (companion)")), categories=("S (companion)",)
    )
    layout, report = imported(document)
    assert not any(seat.companion for seat in layout.rows[0].seats)
    assert noted(report) == {"COMPANION_ALONE": 2}


def test_a_mark_without_a_category_is_a_name() -> None:
    document = plan(zone(row("A", texts(1, 2), category=" (wheelchair)")), categories=())
    layout, _ = imported(document)
    assert layout.rows[0].seats[0].category == "(wheelchair)"


def test_long_and_strange_categories_get_names_of_their_own() -> None:
    long = [f"0123456789abcdef0123456789abcdef-{at}" for at in range(3)]
    names = [*long, " VIP\u202e", "VIP", "Cafe\u0301", ""]
    rows = [row(chr(65 + at), ["1"], y=at * 30, category=name) for at, name in enumerate(names)]
    layout, report = imported(plan(zone(*rows), categories=names))
    found = [one.seats[0].category for one in layout.rows]
    assert len(set(found)) == len(names)
    assert found[0] == "0123456789abcdef0123456789abcdef"
    assert found[3:] == ["VIP 2", "VIP", "Caf\xe9", "regular"]
    assert noted(report) == {"CATEGORY_RENAMED": 6}


# --- what cannot be used


def broken(**changes: Any) -> Json:
    return plan(zone(row("A", texts(1, 2)))) | changes


def seat_with(**changes: Any) -> Json:
    document = broken()
    document["zones"][0]["rows"][0]["seats"][1] |= changes
    return document


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([1], "$"),
        (broken(zones="nope"), "$.zones"),
        (broken(zones=[]), "$.zones"),
        (broken(categories=[{}]), "$.categories[0]"),
        (broken(name=1), "$.name"),
        (plan(zone(row("A", []))), "$.zones"),
        (seat_with(position="x"), "$.zones[0].rows[0].seats[1].position"),
        (seat_with(position={"x": 1}), "$.zones[0].rows[0].seats[1].position"),
        (seat_with(position={"x": 1e7, "y": 0}), "$.zones[0].rows[0].seats[1].position"),
        (seat_with(category=None), "$.zones[0].rows[0].seats[1].category"),
        (seat_with(seat_number=1.5), "$.zones[0].rows[0].seats[1].seat_number"),
        (plan(zone(row("A", texts(1, MAX_SEATS_PER_ROW + 1)))), "$.zones[0].rows[0]"),
        (
            plan(zone(row("A", texts(1, 600)), row("A", texts(601, 1200), x=18_030))),
            "$.zones[0].rows[0]",
        ),
        (plan(zone(*(row(at, ["1"], y=at) for at in range(MAX_ROWS + 1)))), "$.zones"),
        (plan(zone(*(row(at, texts(1, 900), y=at * 30) for at in range(56)))), "$.zones"),
        (
            plan(
                zone(*(row(at, ["1"], category=f"c{at}") for at in range(MAX_CATEGORIES + 1))),
                categories=[f"c{at}" for at in range(MAX_CATEGORIES + 1)],
            ),
            "$.categories",
        ),
    ],
)
def test_what_is_no_plan_is_refused_with_its_place(document: Any, path: str) -> None:
    with pytest.raises(UnusablePlan) as refused:
        imported(document)
    assert refused.value.path == path
    assert str(refused.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe{}", b"[" * 50_000, b'{"zones": NaN}', b'{"name": "\xc3\x28"}'],
    ids=["nothing", "cut", "utf-16", "deep", "nan", "bytes"],
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(UnusablePlan) as refused:
        read_plan(content)
    assert refused.value.path == "$"


def test_numbers_without_bounds_are_refused() -> None:
    huge = b"9" * 400
    content = msgspec.json.encode(broken()).replace(b'"x":0', b'"x":' + huge)
    with pytest.raises(UnusablePlan):
        layout_of(*read_plan(content))


# --- there and back


@st.composite
def rooms(draw: st.DrawFn) -> Layout:
    """Layouts whose gaps are aisles, some of whose rows begin at the left."""
    names = draw(
        st.lists(
            st.from_regex(r"\A[A-Z]{1,3}\Z") | st.integers(1, 999).map(str),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    rows = []
    for at, name in enumerate(names):
        count = draw(st.integers(4, 12))
        numbers = draw(st.lists(st.integers(1, 99), min_size=count, max_size=count, unique=True))
        wheelchair = draw(st.integers(0, count - 1)) if draw(st.booleans()) else None
        aisle = draw(st.integers(1, count - 1))
        seats = tuple(
            LayoutSeat(
                number=number,
                category=draw(st.sampled_from(["regular", "vip"])),
                accessible=place == wheelchair,
                companion=wheelchair is not None and place == (wheelchair + 1) % count,
                gap_before=_gap(draw, place, aisle, first=at == 0),
            )
            for place, number in enumerate(numbers)
        )
        rows.append(LayoutRow(label=name, seats=seats))
    return Layout(rows=tuple(rows))


def _gap(draw: st.DrawFn, place: int, aisle: int, *, first: bool) -> float:
    if place == 0:
        return 0.0 if first else draw(st.sampled_from([0.0, 0.0, 1.0, 2.5]))
    return draw(st.sampled_from([0.0, 0.5, 1.0, 3.75])) if place == aisle else 0.0


@settings(max_examples=150, deadline=None)
@given(rooms())
def test_an_import_of_an_export_is_the_layout(layout: Layout) -> None:
    made, report = imported(plan_of(layout, "Room"))
    assert made.rows == layout.rows
    assert report.notes == []
    again, _ = imported(plan_of(made, "Room"))
    assert again == made


@settings(max_examples=60, deadline=None)
@given(rooms())
def test_seats_stand_in_the_layout_as_in_the_plan(layout: Layout) -> None:
    document = plan_of(layout, "Room")
    made = parse_layout(imported(document)[0], 1)
    (room,) = document["zones"]
    drawn = {
        seat["seat_guid"]: seat["position"]["x"] for one in room["rows"] for seat in one["seats"]
    }
    assert set(drawn) == set(made.labels)
    for left, right in pairwise(made.labels):
        assert _apart(made, left, right) == pytest.approx(
            (drawn[right] - drawn[left]) / 30, abs=0.02
        )


def _apart(made: SeatPlan, left: str, right: str) -> float:
    return made.x[made.index[right]] - made.x[made.index[left]]


# --- the page about it, and the process


def test_the_page_lists_each_note() -> None:
    page = (Path(__file__).parents[4] / "docs/seating-plans.md").read_text()
    listed = re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", page, re.MULTILINE)
    assert dict(listed) == NOTES
    assert len(listed) == len(NOTES)


def test_the_process_answers_with_a_layout_a_plan_or_a_refusal() -> None:
    content = msgspec.json.encode(plan(zone(row("A", texts(1, 3)))))
    made = answer_to(ImportTask(screen_at="top"), content)
    assert isinstance(made, Imported)
    out = answer_to(ExportTask(name="Room"), msgspec.json.encode(made.layout))
    assert isinstance(out, Exported)
    assert msgspec.json.decode(out.plan)["name"] == "Room"
    assert answer_to(ImportTask(screen_at="top"), b"[]") == NoLayout(
        message="Expected `object`, got `array`", path="$"
    )
    # Rows with numbers have three digits.
    nameless = plan(zone(*(row("", ["A"], y=at * 30) for at in range(MAX_ROWS))))
    refused = answer_to(ImportTask(screen_at="top"), msgspec.json.encode(nameless))
    assert isinstance(refused, NoLayout)
    assert refused.path == "$.zones"
