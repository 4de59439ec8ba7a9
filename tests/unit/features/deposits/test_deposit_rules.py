"""How much a deposit is, and when none can be taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.deposits.rules import Agreed, ToPay, agreed, remind_at, share_of, why_not

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "percent", "share"), [(4000, 25, 1000), (1001, 50, 501), (1, 49, 0), (1, 50, 1)]
)
def test_a_share_is_rounded_half_up(minor: int, percent: int, share: int) -> None:
    assert share_of(minor, percent) == share


@given(st.integers(0, 10**9), st.integers(1, 99), st.integers(0, 100))
def test_what_is_kept_is_never_more_than_the_deposit_and_that_never_more_than_the_total(
    total: int, percent: int, kept: int
) -> None:
    terms = agreed(total, percent, kept)
    assert 0 <= terms.keeps_minor <= terms.amount_minor <= total


@pytest.mark.parametrize(
    ("changed", "amount", "reason"),
    [
        ({}, 1000, None),
        ({}, 0, "too_small"),
        ({}, 4000, "too_small"),
        ({"part_paid": True}, 1000, "part_paid"),
        ({"part_paid": True, "waits": True}, 1000, "waits"),
        ({"part_paid": True, "status": "expired"}, 1000, "ended"),
        ({"status": "confirmed"}, 1000, "ended"),
        ({"status": "confirmed", "has_deposit": True}, 1000, "has_deposit"),
    ],
)
def test_why_no_deposit_can_be_taken(
    changed: dict[str, Any], amount: int, reason: str | None
) -> None:
    standing: dict[str, Any] = {"status": "pending", "total_minor": 4000}
    standing |= {"part_paid": False, "has_deposit": False, "waits": False, **changed}
    deposit = Agreed(amount_minor=amount, keeps_minor=0)
    assert why_not(ToPay(**standing), deposit) == reason


def test_nobody_is_reminded_of_what_is_due_sooner_than_that() -> None:
    due = NOW + timedelta(hours=72)
    assert remind_at(due, 71, NOW) == NOW + timedelta(hours=1)
    assert remind_at(due, 72, NOW) is None
    assert remind_at(None, 1, NOW) is None
