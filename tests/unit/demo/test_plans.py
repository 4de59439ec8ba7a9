from __future__ import annotations

import pytest

from cinema.demo.plans import demo_plans
from cinema.domain.best_available import find_best_available
from cinema.domain.seatmap import SeatPlan, parse_layout

PLANS = {name: parse_layout(plan.layout, 1) for name, plan in demo_plans().items()}


def test_there_are_five_screens_with_their_own_names() -> None:
    assert len({plan.screen_name for plan in demo_plans().values()}) == 5
    sizes = {name: plan.seat_count for name, plan in PLANS.items()}
    assert sizes == {"classic": 96, "grand": 348, "lounge": 38, "studio": 150, "scope": 220}


def test_the_default_plan_is_eight_rows_of_twelve() -> None:
    assert [end - start for start, end in PLANS["classic"].rows] == [12] * 8


def test_the_grand_hall_has_aisles_three_categories_and_accessible_seats() -> None:
    grand = PLANS["grand"]
    assert len(grand.blocks) == 3 * len(grand.rows)
    assert set(grand.categories) == {"regular", "premium", "vip"}
    assert (sum(grand.accessible), sum(grand.companion)) == (4, 4)
    assert len({end - start for start, end in grand.rows}) > 4


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_survives_its_layout(plan: SeatPlan) -> None:
    assert parse_layout(plan.to_layout(), 1).to_layout() == plan.to_layout()


@pytest.mark.parametrize(
    ("name", "quantity", "accessible", "seats"),
    [
        ("classic", 2, False, "F6 F7"),
        ("grand", 2, False, "K9 K10"),
        ("grand", 2, True, "E3 E4"),
        ("lounge", 2, False, "D3 D4"),
        ("studio", 3, False, "9D 9E 9F"),
        ("scope", 2, True, "N3 N4"),
    ],
)
def test_best_available_offers_what_people_would_pick(
    name: str, quantity: int, accessible: bool, seats: str
) -> None:
    plan = PLANS[name]
    found = find_best_available(
        plan,
        bytes(plan.seat_count),
        quantity,
        category=None,
        accessible=accessible,
        protect_orphans=True,
    )
    assert found is not None
    assert " ".join(plan.labels[seat] for seat in found) == seats
