"""Intervals of experiments are those of the literature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.reports.experiment_rules import difference, share


@pytest.mark.parametrize(
    ("reached", "of", "low", "high"),
    [
        # Newcombe, Two-sided confidence intervals for the single proportion (1998), table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_the_interval_of_wilson(reached: int, of: int, low: float, high: float) -> None:
    found = share(reached, of)
    assert found is not None
    assert found.value == reached / of
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("one", "control", "low", "high"),
    [
        # Newcombe, Interval estimation for the difference (1998), table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
def test_a_difference_has_the_interval_of_newcombe(
    one: tuple[int, int], control: tuple[int, int], low: float, high: float
) -> None:
    found = difference(share(*one), share(*control))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 500), st.integers(0, 500))
def test_intervals_contain_their_values_and_no_impossible_ones(
    of: int, reached: int, control_of: int, control: int
) -> None:
    one, other = share(min(reached, of), of), share(min(control, control_of), control_of)
    assert one is not None
    assert other is not None
    for interval in (one, other):
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
    apart, mirrored = difference(one, other), difference(other, one)
    assert apart is not None
    assert mirrored is not None
    assert -1 <= apart.low <= apart.value <= apart.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((-apart.high, -apart.low))


def test_of_nobody_there_is_no_share_and_no_difference() -> None:
    assert share(0, 0) is None
    assert difference(share(1, 2), None) is None
    assert difference(None, share(1, 2)) is None
