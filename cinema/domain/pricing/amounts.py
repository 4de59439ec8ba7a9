"""Exact arithmetic with amounts: whole minor units, parts in hundredths of a percent, no floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WHOLE: Final = 10_000
"""Hundredths of a percent in the whole: 1900 is 19 %."""


def half_up(numerator: int, denominator: int) -> int:
    """The nearest whole number to a fraction; halves go up. The denominator is positive."""
    return (2 * numerator + denominator) // (2 * denominator)


def part_of(amount_minor: int, hundredths: int) -> int:
    """So many hundredths of a percent of an amount, halves up."""
    return half_up(amount_minor * hundredths, WHOLE)


def to_step(amount_minor: int, step_minor: int) -> int:
    """The nearest multiple of a step, halves up."""
    return half_up(amount_minor, step_minor) * step_minor


def included_tax(gross_minor: int, rate: int) -> int:
    """The tax in a gross amount; `rate` in hundredths of a percent of the net amount."""
    return half_up(gross_minor * rate, WHOLE + rate)


def shared_out(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """An amount in parts in proportion to weights, by the method of largest remainders.

    The parts add up to the amount. Of equal remainders the first gets the missing unit. If the
    amount is at most the sum of the weights, no part is above its weight. All are 0 if the weights
    are; then there must be nothing to share out.
    """
    whole = sum(weights)
    if not whole:
        if amount_minor:
            raise ValueError("there is nothing that bears this amount")
        return [0] * len(weights)
    parts = [amount_minor * weight // whole for weight in weights]
    missing = amount_minor - sum(parts)
    if missing:
        by_remainder = sorted(
            range(len(weights)), key=lambda at: (-(amount_minor * weights[at] % whole), at)
        )
        for at in by_remainder[:missing]:
            parts[at] += 1
    return parts
