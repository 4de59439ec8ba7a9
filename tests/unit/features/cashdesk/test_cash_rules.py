"""Business days, and what drawers come to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.cashdesk.rules import (
    MovedCash,
    Taking,
    business_date,
    day_to_open,
    day_totals,
    drawer,
    totals,
)
from cinema.features.cashdesk.shapes import MethodTotal, SessionTotal

FRIDAY = date(2026, 6, 5)
NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 6, 5, 3, 59, 59, tzinfo=UTC), date(2026, 6, 4)),
        (datetime(2026, 6, 5, 4, 0, tzinfo=UTC), FRIDAY),
        (datetime(2026, 6, 5, 21, 59, tzinfo=UTC), FRIDAY),
        (datetime(2026, 6, 5, 22, 30, tzinfo=UTC), FRIDAY),
    ],
)
def test_a_day_begins_when_the_cinema_says(at: datetime, expected: date) -> None:
    assert business_date(at, "Europe/Berlin", "06:00") == expected


def test_a_day_that_begins_at_midnight_is_the_calendars() -> None:
    assert business_date(datetime(2026, 6, 5, 22, tzinfo=UTC), "Europe/Berlin", "00:00") == date(
        2026, 6, 6
    )


def test_the_clock_that_goes_back_does_not_make_a_second_day() -> None:
    # In the night to 2026-10-25 the hour from 2 to 3 comes twice in Berlin.
    first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    moments = [first + timedelta(minutes=n) for n in range(180)]
    days = [business_date(at, "Europe/Berlin", "02:30") for at in moments]
    assert days == [date(2026, 10, 24)] * 30 + [date(2026, 10, 25)] * 150


def test_a_day_that_begins_in_an_hour_that_is_left_out_begins_behind_it() -> None:
    # In the night to 2027-03-28 the clock goes from 2 to 3 in Berlin.
    first = datetime(2027, 3, 28, 0, 0, tzinfo=UTC)
    moments = [first + timedelta(minutes=n) for n in range(180)]
    days = [business_date(at, "Europe/Berlin", "02:30") for at in moments]
    assert days == [date(2027, 3, 27)] * 90 + [date(2027, 3, 28)] * 90


def test_who_opens_after_the_close_works_for_the_next_day() -> None:
    assert day_to_open(FRIDAY, None) == FRIDAY
    assert day_to_open(FRIDAY, FRIDAY - timedelta(days=3)) == FRIDAY
    assert day_to_open(FRIDAY, FRIDAY) == FRIDAY + timedelta(days=1)


def test_only_cash_is_in_the_drawer() -> None:
    comes_to = drawer(
        10_000,
        [MovedCash("pay_in", 500), MovedCash("pay_out", 300), MovedCash("bank_drop", 2_000)],
        [Taking("cash", 4_000, 1_000), Taking("terminal", 9_000, 0), Taking("cash", 0, 250)],
    )
    assert comes_to.expected == 10_000 + 500 - 300 - 2_000 + 4_000 - 1_000 - 250
    assert comes_to.tenders == [
        MethodTotal(tender="cash", payments=1, taken=4_000, refunds=2, refunded=1_250),
        MethodTotal(tender="terminal", payments=1, taken=9_000, refunds=0, refunded=0),
    ]


def test_a_drawer_that_sold_nothing_has_its_change() -> None:
    comes_to = drawer(10_000, [], [])
    assert (comes_to.expected, comes_to.tenders) == (10_000, [])


TAKINGS = st.lists(
    st.builds(
        Taking,
        tender=st.sampled_from(["cash", "terminal"]),
        taken=st.integers(0, 10**9),
        refunded=st.integers(0, 10**9),
    )
)


def _session(number: int, takings: list[Taking]) -> SessionTotal:
    return SessionTotal(
        session_id=UUID(int=number),
        till="1",
        opened_by=UUID(int=1),
        opened_at=NOW,
        closed_at=NOW,
        opening=0,
        paid_in=0,
        paid_out=0,
        banked=0,
        tenders=totals(takings),
        expected=0,
        counted=0,
        variance=0,
        note="",
    )


@given(st.lists(TAKINGS, max_size=5))
def test_a_day_is_the_sum_of_its_sessions(sessions: list[list[Taking]]) -> None:
    together = [one for takings in sessions for one in takings]
    assert day_totals(_session(*one) for one in enumerate(sessions)) == totals(together)
