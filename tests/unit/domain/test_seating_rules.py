from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.seating_rules import companion_violations, leaves_orphan, orphaned_seats
from cinema.domain.seatmap import SeatPlan
from tests.unit.domain.seat_drawing import draw_plan, draw_status, labels, seats


def _orphans(plan: SeatPlan, status: bytes, chosen: str) -> str | None:
    return labels(plan, orphaned_seats(plan, status, seats(plan, chosen)))


@pytest.mark.parametrize(
    ("chosen", "orphans"),
    [
        ("A1 A2", ""),
        ("A2 A3", "A1"),  # at the wall
        ("A6 A7", "A8"),
        ("A3 A4", ""),
        ("A1 A3", "A2"),  # between two of the chosen
        ("A2 A4 A5 A7", "A1 A3 A6 A8"),
    ],
)
def test_a_choice_leaves_no_single_seat(chosen: str, orphans: str) -> None:
    plan = draw_plan("rrrrrrrr")
    assert _orphans(plan, bytes(8), chosen) == orphans


def test_a_held_booked_or_blocked_seat_is_not_free_company() -> None:
    plan = draw_plan("rrrrrrrrr")
    for mark in "hbx":
        assert _orphans(plan, draw_status(f"{mark}........"), "A3 A4") == "A2"


def test_an_aisle_ends_a_row() -> None:
    plan = draw_plan("rrrr rrrr")
    assert _orphans(plan, bytes(8), "A5 A6") == ""
    assert _orphans(plan, bytes(8), "A6 A7") == "A5 A8"
    assert _orphans(plan, bytes(8), "A2 A3") == "A1 A4"


def test_a_seat_that_was_alone_before_does_not_count() -> None:
    plan = draw_plan("rrrrrrr")
    assert _orphans(plan, draw_status(".h....."), "A3 A4") == ""


def test_the_rule_is_lifted_where_no_choice_of_that_size_in_the_row_keeps_it() -> None:
    plan = draw_plan("rrr", "rrrr")
    assert _orphans(plan, bytes(7), "A1 A2") == ""
    assert _orphans(plan, bytes(7), "B2 B3") == "B1 B4"
    assert _orphans(plan, bytes(7), "A1 A2 B2 B3") == "B1 B4"


def test_a_lone_seat_elsewhere_in_the_row_is_an_alternative_for_one() -> None:
    plan = draw_plan("rr r")
    assert _orphans(plan, bytes(3), "A1") == "A2"
    assert _orphans(plan, draw_status("..h"), "A1") == ""


def test_groups_apart_keep_the_rule_if_they_fit_together_elsewhere() -> None:
    plan = draw_plan("rrr rrr")
    assert _orphans(plan, bytes(6), "A1 A2 A4 A5") == ""  # Two pairs leave a single each way.
    assert _orphans(plan, bytes(6), "A1 A3 A4 A5") == "A2 A6"  # 1 + 1 + 2: three and one fit.
    assert _orphans(draw_plan("rrr rrr"), draw_status("... ..h"), "A1 A2 A4") == "A3 A5"
    wide = draw_plan("rrr rrrrrr")
    assert _orphans(wide, bytes(9), "A1 A2 A4 A5") == "A3"


def test_a_choice_with_an_accessible_seat_is_exempt() -> None:
    plan = draw_plan("WCrrrr")
    assert _orphans(plan, bytes(6), "A1 A2 A4") == ""
    assert _orphans(plan, bytes(6), "A4 A5") == "A6"


def test_accessible_and_companion_seats_are_never_orphans_but_are_company() -> None:
    plan = draw_plan("WCrrrr")
    assert _orphans(plan, bytes(6), "A3 A4") == ""
    assert _orphans(plan, draw_status("h....."), "A3 A4") == ""  # The companion seat is alone.
    assert _orphans(plan, bytes(6), "A4 A5 A6") == ""  # A3 has the companion seat beside it.
    assert _orphans(plan, draw_status("hh...."), "A4") == "A3"


def test_a_run_beside_a_free_companion_seat_is_an_alternative() -> None:
    plan = draw_plan("rrr WCrrr")  # A6 would keep the companion seat A5 beside it.
    assert _orphans(plan, bytes(8), "A1 A2") == "A3"
    assert _orphans(plan, draw_status("....h..."), "A1 A2") == ""


@pytest.mark.parametrize(
    ("drawing", "chosen", "violations"),
    [
        ("WCCrr", "A2", "A2"),
        ("WCCrr", "A2 A3 A4", "A2 A3"),
        ("WCCrr", "A1 A2 A3", ""),
        ("WCCrr", "A4 A5", ""),
        ("WC rr WC", "A1 A6", "A6"),  # Its own accessible seat is A5.
        ("WC rr WC", "A5 A6", ""),
        ("W CC", "A1 A2", ""),  # No accessible seat in its block: the row's will do.
    ],
)
def test_a_companion_seat_goes_with_its_accessible_one(
    drawing: str, chosen: str, violations: str
) -> None:
    plan = draw_plan(drawing)
    assert labels(plan, companion_violations(plan, seats(plan, chosen))) == violations


def test_an_accessible_seat_in_another_row_is_not_enough() -> None:
    plan = draw_plan("WC", "WC")
    assert labels(plan, companion_violations(plan, seats(plan, "A1 B2"))) == "B2"


# -- against a naive oracle ----------------------------------------------------------------------


def _neighbours(plan: SeatPlan, seat: int) -> list[int]:
    start, end = next(block for block in plan.blocks if block[0] <= seat < block[1])
    return [other for other in (seat - 1, seat + 1) if start <= other < end]


def naive_newly_alone(plan: SeatPlan, status: bytes, chosen: set[int]) -> list[int]:
    alone = []
    for seat in range(plan.seat_count):
        if status[seat] or seat in chosen or plan.accessible[seat] or plan.companion[seat]:
            continue
        free_before = [other for other in _neighbours(plan, seat) if not status[other]]
        if free_before and all(other in chosen for other in free_before):
            alone.append(seat)
    return alone


def _runs(plan: SeatPlan, chosen: tuple[int, ...]) -> list[int]:
    sizes: list[int] = []
    for seat in chosen:
        if seat - 1 in chosen and seat - 1 in _neighbours(plan, seat):
            sizes[-1] += 1
        else:
            sizes.append(1)
    return sizes


def _composes(groups: list[int], runs: list[int]) -> bool:
    """Whether the groups fill the runs exactly, several to a run if need be."""
    if not groups:
        return not any(runs)
    return any(
        _composes(groups[1:], [*runs[:at], run - groups[0], *runs[at + 1 :]])
        for at, run in enumerate(runs)
        if run >= groups[0]
    )


def naive_orphaned(plan: SeatPlan, status: bytes, chosen: list[int]) -> list[int]:
    if any(plan.accessible[seat] for seat in chosen):
        return []
    kept = []
    for start, end in plan.rows:
        mine = tuple(sorted(seat for seat in chosen if start <= seat < end))
        orphans = [s for s in naive_newly_alone(plan, status, set(chosen)) if start <= s < end]
        ordinary = [s for s in range(start, end) if not status[s] and not plan.reserved[s]]
        groups = _runs(plan, mine)
        if any(
            _composes(groups, _runs(plan, other))
            and not naive_newly_alone(plan, status, set(other))
            for other in combinations(ordinary, len(mine))
        ):
            kept += orphans
    return kept


@st.composite
def _choices(draw: st.DrawFn) -> tuple[SeatPlan, bytes, list[int]]:
    rows = draw(st.lists(st.text("rrrrr WC", min_size=1, max_size=9), min_size=1, max_size=2))
    rows = [row if "W" in row else row.replace("C", "r") for row in rows]
    rows = [row if row.strip() else "r" for row in rows]
    plan = draw_plan(*rows)
    count = plan.seat_count
    status = bytes(draw(st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=count, max_size=count)))
    free = [seat for seat in range(count) if not status[seat]]
    chosen = draw(st.lists(st.sampled_from(free), unique=True, max_size=5)) if free else []
    return plan, status, chosen


@given(_choices())
def test_orphans_are_those_of_the_naive_oracle(choice: tuple[SeatPlan, bytes, list[int]]) -> None:
    plan, status, chosen = choice
    assert orphaned_seats(plan, status, chosen) == naive_orphaned(plan, status, chosen)


@given(_choices(), st.data())
def test_a_range_leaves_an_orphan_when_the_oracle_says_so(
    choice: tuple[SeatPlan, bytes, list[int]], data: st.DataObject
) -> None:
    plan, status, _ = choice
    ranges = [
        (start, end)
        for row_start, row_end in plan.rows
        for start in range(row_start, row_end)
        for end in range(start + 1, row_end + 1)
        if not any(status[start:end])
    ]
    if ranges:
        start, end = data.draw(st.sampled_from(ranges))
        alone = naive_newly_alone(plan, status, set(range(start, end)))
        assert leaves_orphan(plan, status, start, end) == bool(alone)
