from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.pricing.amounts import half_up, included_tax, part_of, shared_out, to_step

AMOUNTS = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(0, 7, 0), (1, 2, 1), (3, 2, 2), (149, 100, 1), (150, 100, 2), (-1, 2, 0), (-3, 2, -1)],
)
def test_halves_go_up(numerator: int, denominator: int, rounded: int) -> None:
    assert half_up(numerator, denominator) == rounded


def test_large_amounts_are_exact() -> None:
    # As floats these would be one off.
    assert part_of(9_007_199_254_740_993, 10_000) == 9_007_199_254_740_993
    assert included_tax(10**18 + 7, 0) == 0


@pytest.mark.parametrize(
    ("amount", "step", "rounded"), [(1024, 50, 1000), (1025, 50, 1050), (1, 1, 1), (4, 10, 0)]
)
def test_an_amount_is_rounded_to_the_nearest_step(amount: int, step: int, rounded: int) -> None:
    assert to_step(amount, step) == rounded


@pytest.mark.parametrize(
    ("gross", "rate", "tax"),
    [
        (1190, 1900, 190),
        (1000, 1900, 160),  # 159.66
        (950, 700, 62),  # 62.15
        (107, 700, 7),
        (1800, 1000, 164),  # 163.63
        (1000, 0, 0),
    ],
)
def test_the_tax_in_a_gross_amount(gross: int, rate: int, tax: int) -> None:
    assert included_tax(gross, rate) == tax


def test_largest_remainders_get_the_missing_units() -> None:
    assert shared_out(100, [1, 1, 1]) == [34, 33, 33]
    assert shared_out(10, [5, 3, 3]) == [4, 3, 3]  # 4.54, 2.72, 2.72
    assert shared_out(0, [5, 3]) == [0, 0]
    assert shared_out(0, [0, 0]) == [0, 0]


def test_an_amount_without_anybody_to_bear_it_is_a_bug() -> None:
    with pytest.raises(ValueError, match="nothing that bears"):
        shared_out(1, [0, 0])


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=20))
def test_parts_add_up_and_stay_within_their_weights(amount: int, weights: list[int]) -> None:
    amount = min(amount, sum(weights))
    parts = shared_out(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
