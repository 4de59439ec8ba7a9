"""What tickets cost for other seats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.pricing.amounts import included_tax
from cinema.features.bookings.rules import new_prices
from cinema.features.bookings.shapes import SeatChangeInput

AMOUNTS = st.integers(0, 10**7)


@pytest.mark.parametrize(
    ("paid", "listed", "prices", "tax_minor"),
    [
        # 250 more, with 16.4 of it at 7 %.
        ([(1000, 65)], [(1000, 1250)], (1250,), 16),
        # A discount of 200 stays 200.
        ([(800, 52)], [(1000, 1250)], (1050,), 16),
        ([(800, 52)], [(1250, 1000)], (550,), 0),
        # What costs less than nothing costs nothing.
        ([(100, 7)], [(1250, 1000)], (0,), 0),
        # A free ticket is free everywhere.
        ([(0, 0)], [(0, 0)], (0,), 0),
        # Dearer and cheaper ones are set off: 250 − 250.
        ([(1000, 65), (1250, 82)], [(1000, 1250), (1250, 1000)], (1250, 1000), 0),
        ([(PRICE_LIMIT_MINOR, 0)], [(0, 1)], (PRICE_LIMIT_MINOR,), 0),
    ],
)
def test_a_price_changes_by_what_the_list_prices_differ_in(
    paid: list[tuple[int, int]],
    listed: list[tuple[int, int]],
    prices: tuple[int, ...],
    tax_minor: int,
) -> None:
    made = new_prices(paid, listed, 700)
    assert (made.prices, made.tax_minor) == (prices, tax_minor)


def test_without_a_tax_nothing_is_said_of_taxes() -> None:
    made = new_prices([(1000, 0)], [(1000, 1250)], 0)
    assert (made.taxes, made.tax_minor) == ((), 0)


@given(
    st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=5),
    st.sampled_from([0, 700, 1900, 10_000]),
)
def test_taxes_are_those_before_and_that_of_the_difference(
    tickets: list[tuple[int, int, int]], tax_rate: int
) -> None:
    """For all currencies: minor units have no size."""
    paid = [(price, included_tax(price, tax_rate)) for price, _, _ in tickets]
    made = new_prices(paid, [(before, after) for _, before, after in tickets], tax_rate)
    before_minor, after_minor = sum(price for price, _ in paid), sum(made.prices)
    taxes = made.taxes or (0,) * len(tickets)
    assert all(0 <= tax <= price for tax, price in zip(taxes, made.prices, strict=True))
    assert all(price >= 0 for price in made.prices)
    tax_before = sum(tax for _, tax in paid)
    if after_minor > before_minor:
        assert made.tax_minor == included_tax(after_minor - before_minor, tax_rate)
        assert sum(taxes) == tax_before + made.tax_minor
    else:
        assert made.tax_minor == 0
        assert sum(taxes) <= tax_before


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_who_changes_there_and_back_pays_no_less_than_before(
    price: int, here: int, there: int
) -> None:
    (away,) = new_prices([(price, 0)], [(here, there)], 0).prices
    (back,) = new_prices([(away, 0)], [(there, here)], 0).prices
    assert back >= price


def wish(left: str, chosen: str) -> SeatChangeInput:
    return SeatChangeInput(left=left.split(), chosen=chosen.split())


def test_the_same_pairs_in_another_order_are_the_same_request() -> None:
    assert wish("A1 A2", "B1 B2").meaning() == wish("A2 A1", "B2 B1").meaning()
    assert wish("A1 A2", "B1 B2").meaning() != wish("A1 A2", "B2 B1").meaning()
    assert wish("A1", "B1 B2").meaning() != wish("A1", "B2 B1 B3").meaning()
