from __future__ import annotations

from cinema.domain.pricing.categories import category_prices


def test_categories_cost_their_factor_of_the_base_price() -> None:
    assert category_prices(1000, ("regular", "premium", "vip"), {}) == (1000, 1250, 1600)


def test_halves_of_a_minor_unit_round_up() -> None:
    assert category_prices(1250, ("premium",), {}) == (1563,)  # 1562.5
    assert category_prices(1249, ("premium",), {}) == (1561,)  # 1561.25
    assert category_prices(3, ("vip",), {}) == (5,)  # 4.8


def test_an_unknown_category_costs_the_base_price() -> None:
    assert category_prices(990, ("sofa", "regular"), {}) == (990, 990)


def test_an_override_is_the_whole_price_even_if_free() -> None:
    assert category_prices(1000, ("vip", "regular"), {"regular": 0, "vip": 2000}) == (2000, 0)
