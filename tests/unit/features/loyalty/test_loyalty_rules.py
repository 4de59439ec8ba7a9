"""What is earned, and until when it can be used."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.loyalty.rules import Earning, months_later


@pytest.mark.parametrize(
    ("percent", "paid", "earned", "due", "change"),
    [
        (5, 1000, 0, 50, 50),
        (5, 1019, 0, 50, 50),
        (5, 19, 0, 0, 0),
        (5, 1000, 50, 50, 0),
        (5, 600, 50, 30, -20),
        (5, 0, 50, 0, -50),
        (5, -10, 0, 0, 0),
        (100, 7, 0, 7, 7),
        (0, 1000, 20, 0, -20),
    ],
)
def test_a_booking_earns_a_share_of_what_is_left_of_its_payment(
    percent: int, paid: int, earned: int, due: int, change: int
) -> None:
    earning = Earning(percent=percent, paid_minor=paid, earned_minor=earned)
    assert (earning.due_minor, earning.change_minor) == (due, change)


@given(st.integers(0, 100), st.lists(st.integers(0, 10**9), max_size=8))
def test_however_money_goes_back_the_same_is_earned_in_the_end(
    percent: int, left: list[int]
) -> None:
    earned = 0
    for paid in left:
        earning = Earning(percent=percent, paid_minor=paid, earned_minor=earned)
        earned += earning.change_minor
        assert 0 <= earned <= paid
        assert earned == paid * percent // 100


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (datetime(2026, 6, 1, 12, tzinfo=UTC), 24, datetime(2028, 6, 1, 12, tzinfo=UTC)),
        (datetime(2026, 12, 31, tzinfo=UTC), 2, datetime(2027, 2, 28, tzinfo=UTC)),
        (datetime(2027, 12, 31, tzinfo=UTC), 2, datetime(2028, 2, 29, tzinfo=UTC)),
        (datetime(2026, 11, 30, tzinfo=UTC), 1, datetime(2026, 12, 30, tzinfo=UTC)),
        (datetime(2026, 12, 15, tzinfo=UTC), 1, datetime(2027, 1, 15, tzinfo=UTC)),
    ],
)
def test_points_are_good_until_the_same_day_of_a_later_month(
    day: datetime, months: int, later: datetime
) -> None:
    assert months_later(day, months) == later
