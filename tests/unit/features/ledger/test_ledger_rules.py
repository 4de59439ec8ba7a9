"""What things mean for the accounts, and what goes back."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.catalog.shapes import RefundStep
from cinema.features.ledger.methods import ASK_NOBODY, MethodRegistry
from cinema.features.ledger.refund_rules import (
    ALL,
    NOTHING,
    Share,
    given_back,
    paid_status,
    share_at,
)
from cinema.features.ledger.rules import (
    ACCOUNT_OF,
    ACCOUNTS,
    account_of,
    earned_on,
    lines,
    moved,
    sale,
)
from cinema.storage.database.migrate import MIGRATIONS

AMOUNTS = st.integers(0, 10**12)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_sale_sums_to_zero_and_its_customer_owes_all_of_it(
    net_minor: int, tax_minor: int, fees_minor: int
) -> None:
    total_minor = net_minor + tax_minor + fees_minor
    made = sale(total_minor, tax_minor, fees_minor, "deferred")
    if not total_minor:
        assert made is None
        return
    assert made is not None
    assert sum(made.amounts) == 0
    assert 0 not in made.amounts
    by_account = dict(zip(made.accounts, made.amounts, strict=True))
    assert by_account["customer"] == total_minor
    assert by_account.get("tax", 0) == -tax_minor
    assert by_account.get("fees", 0) == -fees_minor
    assert by_account.get("deferred", 0) == -net_minor


def test_money_moves_between_two_accounts_or_not_at_all() -> None:
    made = moved(700, to="stripe", of="customer")
    assert made is not None
    assert (made.accounts, made.amounts) == (["stripe", "customer"], [700, -700])
    assert moved(0, to="stripe", of="customer") is None
    assert lines() is None


def test_a_ticket_is_earned_when_its_showtime_starts() -> None:
    assert earned_on(99, 100) == "deferred"
    assert earned_on(100, 100) == "revenue"


def test_each_method_has_an_account_that_the_table_knows() -> None:
    names = {
        *MethodRegistry(demo=True).names(),
        "stripe",
        "gift_card",
        "points",
        "exchange",
        "series",
    }
    assert names == set(ACCOUNT_OF)
    assert set(ACCOUNT_OF.values()) < ACCOUNTS
    assert set(ASK_NOBODY) < names
    checks = [
        check
        for migration in sorted(MIGRATIONS.glob("*.sql"))
        for check in re.findall(r"accounts <@ array\[(.*?)\]", migration.read_text(), re.DOTALL)
    ]
    check = checks[-1]
    assert set(re.findall(r"'(\w+)'", check)) == ACCOUNTS
    assert account_of("barter") == "cash"


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (48.0, Share(10_000, fees=True)),
        (47.999, Share(5_000, fees=False)),
        (2.0, Share(5_000, fees=False)),
        (1.999, NOTHING),
        (-5.0, NOTHING),
    ],
)
def test_the_first_step_that_is_not_over_counts(hours: float, expected: Share) -> None:
    policy = [
        RefundStep(hours_before=48, percent=100, fees=True),
        RefundStep(hours_before=2, percent=50),
    ]
    assert share_at(policy, hours * 3600) == expected
    assert share_at([], hours * 3600) == NOTHING


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_what_goes_back_is_rounded_half_up(price_minor: int, percent: int) -> None:
    back = given_back(price_minor, Share(percent * 100, fees=False))
    assert 0 <= back <= price_minor
    assert (
        -50 < price_minor * percent - back * 100 <= 50 or back * 100 - price_minor * percent == 50
    )
    assert given_back(price_minor, ALL) == price_minor
    assert given_back(price_minor, NOTHING) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 100)), max_size=6, unique_by=lambda x: x[0]
    ),
    st.floats(-10_000, 4_000_000),
    st.floats(0, 1_000_000),
)
def test_whoever_gives_back_earlier_gets_no_less(
    steps: list[tuple[int, int]], before_s: float, earlier_s: float
) -> None:
    hours = sorted((hour for hour, _ in steps), reverse=True)
    percents = sorted((percent for _, percent in steps), reverse=True)
    policy = [RefundStep(hours_before=h, percent=p) for h, p in zip(hours, percents, strict=True)]
    assert all(a.hours_before > b.hours_before for a, b in pairwise(policy))
    now, then = share_at(policy, before_s), share_at(policy, before_s + earlier_s)
    assert then.of_price_bp >= now.of_price_bp


@pytest.mark.parametrize(
    ("paid", "back", "status"),
    [
        (1000, 0, "succeeded"),
        (1000, 1, "partially_refunded"),
        (1000, 1000, "refunded"),
        (0, 0, "succeeded"),
    ],
)
def test_the_status_of_a_payment_follows_from_what_goes_back(
    paid: int, back: int, status: str
) -> None:
    assert paid_status(paid, back) == status
