"""How sure the results of an experiment are: pure.

A share has the score interval of Wilson (Probable inference, JASA 22, 1927), which holds for few
customers and for shares near nothing. The difference of two shares has the interval that Newcombe
makes of two of these (Interval estimation for the difference between independent proportions,
Statistics in Medicine 17, 1998, method 10).
"""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

Z_95: Final = 1.959963984540054
"""The standard normal distribution lies within so much of 0 in 95 of 100 cases."""


class Interval(NamedTuple):
    """A number, and between which numbers it lies with 95 % confidence."""

    value: float
    low: float
    high: float


def share(reached: int, of: int) -> Interval | None:
    """How many of all were reached; None of nobody."""
    if of == 0:
        return None
    part, squared = reached / of, Z_95 * Z_95
    middle = (part + squared / (2 * of)) / (1 + squared / of)
    spread = Z_95 / (1 + squared / of) * sqrt(part * (1 - part) / of + squared / (4 * of * of))
    # At the ends it is exact, whatever rounding makes of it.
    low = 0.0 if reached == 0 else middle - spread
    high = 1.0 if reached == of else middle + spread
    return Interval(part, low, high)


def difference(one: Interval | None, control: Interval | None) -> Interval | None:
    """How much more of one arm were reached than of control."""
    if one is None or control is None:
        return None
    value = one.value - control.value
    below = sqrt((one.value - one.low) ** 2 + (control.high - control.value) ** 2)
    above = sqrt((one.high - one.value) ** 2 + (control.value - control.low) ** 2)
    return Interval(value, value - below, value + above)
