from __future__ import annotations

import re
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinema.domain.best_available import find_best_available
from cinema.domain.seatmap import LayoutFocal, SeatPlan, grid_layout, parse_layout
from tests.unit.domain.seat_drawing import draw_layout, draw_plan, draw_status, labels, numbered


def _best(
    plan: SeatPlan,
    status: bytes,
    quantity: int,
    *,
    category: str | None = None,
    accessible: bool = False,
    protect_orphans: bool = False,
) -> str | None:
    found = find_best_available(
        plan,
        status,
        quantity,
        category=None if category is None else plan.categories.index(category),
        accessible=accessible,
        protect_orphans=protect_orphans,
    )
    return labels(plan, found)


def test_an_empty_room_is_filled_from_its_focal_point() -> None:
    plan = parse_layout(grid_layout(8, 12), 1)
    assert _best(plan, bytes(96), 2) == "F6 F7"
    assert _best(plan, bytes(96), 4) == "F5 F6 F7 F8"
    assert _best(plan, bytearray(96), 12) == " ".join(f"F{n}" for n in range(1, 13))


def test_a_focal_point_of_the_layout_is_where_the_best_seats_are() -> None:
    plan = draw_plan("rrrrr", "rrrrr", "rrrrr", focal=LayoutFocal(x=2, y=0))
    assert _best(plan, bytes(15), 2) == "A4 A5"


def test_equally_good_seats_go_by_index() -> None:
    assert _best(draw_plan("rrrr"), bytes(4), 1) == "A2"
    assert _best(draw_plan("rr", "rr", focal=LayoutFocal(y=0.5)), bytes(4), 2) == "A1 A2"
    plan = draw_plan("rrr", "rrr", focal=LayoutFocal(y=1))
    assert _best(plan, draw_status("...", ".h."), 1) == "A2"


def test_held_booked_and_blocked_seats_are_not_offered() -> None:
    assert _best(draw_plan("rrrrrrr"), draw_status("...hbx."), 2) == "A2 A3"
    assert _best(draw_plan("rrrr"), draw_status("hbxh"), 1) is None


def test_a_block_goes_before_an_aisle_however_near() -> None:
    plan = draw_plan("rr rr", "rrrr")
    assert _best(plan, draw_status(".. ..", "...."), 4) == "B1 B2 B3 B4"
    assert _best(plan, draw_status(".. ..", "...h"), 4) == "A1 A2 A3 A4"


def test_a_row_across_its_aisle_goes_before_two_rows() -> None:
    plan = draw_plan("rrr rrr", "rrr rrr")
    assert _best(plan, draw_status("...h..", "..h..."), 5) is not None
    assert _best(plan, draw_status("......", "......"), 5) == "B1 B2 B3 B4 B5"


def test_a_party_no_row_has_room_for_sits_in_neighbouring_rows_close_together() -> None:
    plan = draw_plan("rrrrrr", "rrrrrr", "rrrrrr")
    status = draw_status("..hh..", "hhhh..", "..h...")
    assert _best(plan, status, 5) == "B5 B6 C4 C5 C6"
    assert _best(plan, status, 4) == "B5 B6 C5 C6"
    assert _best(plan, status, 7) == "A5 A6 B5 B6 C4 C5 C6"


def test_the_rows_nearest_the_focal_point_seat_a_split_party() -> None:
    plan = draw_plan("rr", "rr", "rr", "rr", "rr", focal=LayoutFocal(y=1.4))
    assert _best(plan, bytes(10), 4) == "B1 B2 C1 C2"


def test_nobody_is_put_alone_in_a_row_if_another_split_will_do() -> None:
    plan = draw_plan("rrr", "rrr")
    assert _best(plan, bytes(6), 4) == "A1 A2 B1 B2"


def test_a_party_is_not_scattered() -> None:
    assert _best(draw_plan("rrrrr"), draw_status(".h.h."), 2) is None
    assert _best(draw_plan("rr", "rr", "rr"), draw_status("..", "hh", ".."), 4) is None
    assert _best(draw_plan("r", "r", "r", "r", "r"), bytes(5), 4) == "B1 C1 D1 E1"
    assert _best(draw_plan("r", "r", "r", "r", "r"), bytes(5), 5) is None


@pytest.mark.parametrize("quantity", [0, -1, 4])
def test_a_quantity_the_room_cannot_hold_finds_nothing(quantity: int) -> None:
    assert _best(draw_plan("rrr"), bytes(3), quantity) is None
    assert _best(draw_plan("rWr"), bytes(3), quantity, accessible=True) is None


def test_a_category_is_kept_to() -> None:
    plan = draw_plan("rrrr", "pppp", "vvvv")
    assert _best(plan, bytes(12), 2) == "B2 B3"
    assert _best(plan, bytes(12), 2, category="vip") == "C2 C3"
    assert _best(plan, bytes(12), 5, category="regular") is None


def test_orphans_are_avoided_when_protected() -> None:
    plan = draw_plan("rrrrr")
    assert _best(plan, bytes(5), 3) == "A2 A3 A4"
    assert _best(plan, bytes(5), 3, protect_orphans=True) == "A1 A2 A3"


def test_orphans_are_not_protected_when_every_choice_would_leave_one() -> None:
    plan = draw_plan("rrr", "rrr")
    assert _best(plan, bytes(6), 2, protect_orphans=True) == "B1 B2"
    assert _best(plan, bytes(6), 4, protect_orphans=True) == "A1 A2 B1 B2"
    assert _best(draw_plan("rrr rrr"), bytes(6), 5, protect_orphans=True) == "A1 A2 A3 A4 A5"


def test_in_neighbouring_rows_each_row_keeps_the_rule_if_it_can() -> None:
    plan = draw_plan("rrrr", "rrrr", focal=LayoutFocal(x=0, y=0.5))
    assert _best(plan, draw_status(".h..", "...."), 5) == "A3 A4 B2 B3 B4"
    wide = draw_plan("rrrrr", "rrrrr", focal=LayoutFocal(x=0, y=0))
    assert _best(wide, bytes(10), 7) == "A1 A2 A3 A4 B2 B3 B4"
    assert _best(wide, bytes(10), 7, protect_orphans=True) == "A1 A2 A3 A4 B1 B2 B3"


def test_accessible_and_companion_seats_are_kept_for_those_who_ask() -> None:
    plan = draw_plan("rrWCrr")
    assert _best(plan, bytes(6), 2) == "A1 A2"
    assert _best(plan, bytes(6), 3) is None
    assert _best(plan, bytes(6), 1, accessible=True) == "A3"
    assert _best(plan, bytes(6), 2, accessible=True) == "A3 A4"
    assert _best(draw_plan("rrrr"), bytes(4), 1, accessible=True) is None


def test_no_more_accessible_seats_are_used_than_needed() -> None:
    assert _best(draw_plan("rrrWWCrrr"), bytes(9), 2, accessible=True) == "A5 A6"
    assert _best(draw_plan("rWWr"), bytes(4), 3, accessible=True) == "A1 A2 A3"


def test_companion_seats_go_before_nearer_ordinary_ones() -> None:
    assert _best(draw_plan("CWrrrr"), bytes(6), 2, accessible=True) == "A1 A2"


def test_an_accessible_place_across_an_aisle_keeps_the_row_together() -> None:
    assert _best(draw_plan("W rr rr"), bytes(5), 2, accessible=True) == "A1 A2"
    # The companion seat A5 belongs to A4, so nobody comes to it from A1 alone.
    assert _best(draw_plan("W rr WC"), draw_status("...h."), 2, accessible=True) == "A1 A2"
    assert _best(draw_plan("W CW"), draw_status("..."), 2, accessible=True) == "A2 A3"
    assert _best(draw_plan("W CW"), draw_status("..h"), 2, accessible=True) is None


def test_company_that_finds_no_room_in_the_row_sits_as_near_as_it_can() -> None:
    plan = draw_plan("rrrr", "Whrr".replace("h", "r"), "rrrr")
    assert _best(plan, draw_status("....", ".hhh", "...."), 3, accessible=True) == "A1 B1 C1"
    assert _best(plan, draw_status("hhhh", ".h..", "hhhh"), 2, accessible=True) == "B1 B3"
    assert _best(plan, draw_status("hhhh", ".hhh", "hhhh"), 2, accessible=True) is None


def test_the_accessible_seat_whose_company_sits_closest_is_taken_however_near_the_others() -> None:
    plan = draw_plan("Wrrr", "rrrr", "rrrr", "Wrrr", focal=LayoutFocal(y=0))
    far = draw_status(".hh.", "hhhh", "hhhh", ".h..")
    assert _best(plan, far, 2, accessible=True) == "D1 D3"
    farther = draw_status(".h..", "hhhh", "hhhh", ".hh.")
    assert _best(plan, farther, 2, accessible=True) == "A1 A3"


def test_orphans_do_not_keep_a_wheelchair_out() -> None:
    plan = draw_plan("Wrr")
    assert _best(plan, bytes(3), 2, accessible=True, protect_orphans=True) == "A1 A2"


# -- against exhaustive search -------------------------------------------------------------------


class Exhaustive:
    """Every set of free seats of the size asked for, ranked by the words of the docstring."""

    def __init__(self, plan: SeatPlan, drawing: list[str], status: bytes) -> None:
        self.plan = plan
        self.status = status
        self.place: list[tuple[float, float]] = []
        for y, row in enumerate(drawing):
            width = len(row)
            self.place += [(x + 0.5 - width / 2, y) for x, mark in enumerate(row) if mark != " "]
        self.focal = (0.0, (len(drawing) - 1) * 2 / 3)

    def distance(self, seat: int, to: tuple[float, float] | None = None) -> int:
        (x, y), (fx, fy) = self.place[seat], to or self.focal
        return round(1000 * ((x - fx) ** 2 + (y - fy) ** 2) ** 0.5)

    def block(self, seat: int) -> tuple[int, int]:
        return next(block for block in self.plan.blocks if block[0] <= seat < block[1])

    def row(self, seat: int) -> int:
        return next(at for at, (start, end) in enumerate(self.plan.rows) if start <= seat < end)

    def adjacent(self, party: tuple[int, ...]) -> bool:
        return party[-1] - party[0] == len(party) - 1 and self.block(party[0]) == self.block(
            party[-1]
        )

    def consecutive(self, party: tuple[int, ...]) -> bool:
        return party[-1] - party[0] == len(party) - 1 and self.row(party[0]) == self.row(party[-1])

    def groups(self, party: tuple[int, ...]) -> list[tuple[int, ...]] | None:
        rows = sorted({self.row(seat) for seat in party})
        groups = [tuple(seat for seat in party if self.row(seat) == row) for row in rows]
        if rows != list(range(rows[0], rows[-1] + 1)) or not 2 <= len(rows) <= 4:
            return None
        return groups if all(map(self.adjacent, groups)) else None

    def leaves_orphan(self, party: tuple[int, ...]) -> bool:
        for seat, taken in enumerate(self.status):
            start, end = self.block(seat)
            beside = [s for s in (seat - 1, seat + 1) if start <= s < end and not self.status[s]]
            ordinary = not (self.plan.accessible[seat] or self.plan.companion[seat])
            free = not taken and seat not in party
            if free and ordinary and beside and all(other in party for other in beside):
                return True
        return False

    def keeps_row_rule(self, group: tuple[int, ...], category: int | None) -> bool:
        others = combinations(
            [s for s in self.free(category) if self.row(s) == self.row(group[0])], len(group)
        )
        return not self.leaves_orphan(group) or all(
            self.leaves_orphan(other) for other in others if self.may_sit(other)
        )

    def may_sit(self, group: tuple[int, ...]) -> bool:
        return self.adjacent(group) and not any(self.plan.reserved[seat] for seat in group)

    def belongs(self, companion: int, accessible: int) -> bool:
        start, end = self.block(companion)
        return self.row(companion) == self.row(accessible) and (
            start <= accessible < end or not any(self.plan.accessible[start:end])
        )

    def proper(self, party: tuple[int, ...]) -> bool:
        return all(
            any(self.plan.accessible[a] and self.belongs(seat, a) for a in party)
            for seat in party
            if self.plan.companion[seat]
        )

    def free(self, category: int | None) -> list[int]:
        return [
            seat
            for seat, taken in enumerate(self.status)
            if not taken and category in (None, self.plan.category_of[seat])
        ]

    def ordinary(self, quantity: int, category: int | None, protect: bool) -> list[int] | None:
        best: tuple[object, ...] | None = None
        free = [seat for seat in self.free(category) if not self.plan.reserved[seat]]
        for party in combinations(free, quantity):
            cost = sum(map(self.distance, party))
            groups = [party]
            if self.adjacent(party):
                kind = 0
            elif self.consecutive(party):
                kind = 1
            else:
                split = self.groups(party)
                if split is None:
                    continue
                groups = split
                kind = len(groups)
                middles = [(self.place[g[0]][0] + self.place[g[-1]][0]) / 2 for g in groups]
                cost += round(sum(quantity * 1000 * abs(a - b) for a, b in pairwise(middles)))
                cost += sum(10_000 for group in groups if len(group) == 1)
                if protect and not all(self.keeps_row_rule(g, category) for g in groups):
                    continue
            orphan = protect and kind <= 1 and self.leaves_orphan(party)
            ties = [(group[0], len(group)) for group in groups]
            rank = (kind, orphan, cost, ties, party)
            if best is None or rank < best:
                best = rank
        return best and list(best[-1])

    def with_accessible(self, quantity: int, category: int | None) -> list[int] | None:
        best: tuple[object, ...] | None = None
        for party in combinations(self.free(category), quantity):
            accessible = sum(self.plan.accessible[seat] for seat in party)
            companions = sum(self.plan.companion[seat] for seat in party)
            if not accessible or not self.proper(party):
                continue
            if self.consecutive(party):
                kind = 0 if self.adjacent(party) else 1
                cost = sum(map(self.distance, party))
                rank = (kind, accessible, -companions, cost, party)
            else:
                first = next(seat for seat in party if self.plan.accessible[seat])
                others = [seat for seat in party if seat != first]
                if accessible > 1 or any(abs(self.row(s) - self.row(first)) > 1 for s in others):
                    continue
                near = sorted((self.distance(seat, self.place[first]), seat) for seat in others)
                spread = sum(distance for distance, _ in near)
                rank = (2, spread, self.distance(first), first, near, party)
            if best is None or rank < best:
                best = rank
        return best and list(best[-1])


@st.composite
def _rooms(draw: st.DrawFn, marks: str) -> tuple[list[str], bytes]:
    drawing = draw(st.lists(st.text(marks, min_size=1, max_size=8), min_size=1, max_size=5))
    drawing = [row.strip() if "W" in row else row.replace("C", "r").strip() for row in drawing]
    drawing = [row or "r" for row in drawing]
    count = sum(mark != " " for row in drawing for mark in row)
    share = draw(st.sampled_from([[0], [0, 0, 0, 2], [0, 1]]))
    return drawing, bytes(draw(st.lists(st.sampled_from(share), min_size=count, max_size=count)))


@settings(max_examples=250, deadline=None)
@given(_rooms("rrrrrp WC"), st.integers(1, 5), st.booleans(), st.sampled_from([None, None, 0, 1]))
def test_ordinary_seats_are_those_of_exhaustive_search(
    room: tuple[list[str], bytes], quantity: int, protect: bool, category: int | None
) -> None:
    drawing, status = room
    plan = draw_plan(*drawing)
    oracle = Exhaustive(plan, drawing, status)
    while len(oracle.free(None)) > 22:  # Keeps the number of combinations small.
        status = bytes([*status[: status.index(0)], 1, *status[status.index(0) + 1 :]])
        oracle = Exhaustive(plan, drawing, status)
    found = find_best_available(
        plan, status, quantity, category=category, accessible=False, protect_orphans=protect
    )
    assert found == oracle.ordinary(quantity, category, protect)


@settings(max_examples=250, deadline=None)
@given(_rooms("rrrp WWC"), st.integers(1, 4), st.sampled_from([None, None, 0, 1]))
def test_accessible_parties_are_those_of_exhaustive_search(
    room: tuple[list[str], bytes], quantity: int, category: int | None
) -> None:
    drawing, status = room
    plan = draw_plan(*drawing)
    found = find_best_available(
        plan, status, quantity, category=category, accessible=True, protect_orphans=True
    )
    expected = Exhaustive(plan, drawing, status).with_accessible(quantity, category)
    assert found == expected


@settings(max_examples=150, deadline=None)
@given(_rooms("rrrp WWC"), st.integers(1, 4), st.booleans(), st.booleans())
def test_the_choice_is_by_place_and_not_by_label(
    room: tuple[list[str], bytes], quantity: int, accessible: bool, protect: bool
) -> None:
    drawing, status = room
    lettered = parse_layout(numbered(draw_layout(*drawing)), 1)
    chosen, twin = (
        find_best_available(
            plan, status, quantity, category=None, accessible=accessible, protect_orphans=protect
        )
        for plan in (draw_plan(*drawing), lettered)
    )
    assert chosen == twin
    for seat in chosen or []:
        assert re.fullmatch("[1-5][A-H]", lettered.labels[seat])
