"""The price of a seat: the showtime's base price times the factor of the seat's category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

CATEGORY_FACTOR_PERCENT: Mapping[str, int] = MappingProxyType(
    {"regular": 100, "premium": 125, "vip": 160}
)


def category_prices(
    base_minor: int, categories: Sequence[str], overrides: Mapping[str, int]
) -> tuple[int, ...]:
    """The price of each category in minor units, in the order given.

    An override is the category's whole price; a category without a factor costs the base price.
    Halves of a minor unit round up.
    """
    return tuple(
        overrides[category]
        if category in overrides
        else (base_minor * CATEGORY_FACTOR_PERCENT.get(category, 100) + 50) // 100
        for category in categories
    )
