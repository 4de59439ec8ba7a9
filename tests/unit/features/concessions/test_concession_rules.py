"""What a product must not say, and what can be sold of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cinema.domain.pricing.quotes import OrderedProduct as Sold
from cinema.domain.rejections import Refused
from cinema.features.concessions.rules import (
    PICK_UP_ALPHABET,
    PICK_UP_CHARS,
    check_choices,
    check_product,
    chosen,
    is_on_sale,
    new_pick_up_code,
    pick_up_key,
)
from cinema.features.concessions.shapes import ConcessionChoice, Product, ProductFields

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
POPCORN, WATER = UUID(int=1), UUID(int=2)
RATES = {"standard": 1900}


def product(product_id: UUID = POPCORN, **changes: Any) -> Product:
    fields = {
        "id": product_id,
        "cinema_id": UUID(int=9),
        "name": "Popcorn",
        "names": {},
        "category": "popcorn",
        "price": 650,
        "currency": "EUR",
        "tax": "standard",
        "on_sale_from": None,
        "on_sale_until": None,
        "active": True,
    }
    return Product(**{**fields, **changes})


def choice(product_id: UUID = POPCORN, quantity: int = 1) -> ConcessionChoice:
    return ConcessionChoice(product_id=product_id, quantity=quantity)


@pytest.mark.parametrize(
    ("changes", "sold"),
    [
        ({}, True),
        ({"active": False}, False),
        ({"currency": "JPY"}, False),
        ({"on_sale_from": NOW}, True),
        ({"on_sale_from": NOW + HOUR}, False),
        ({"on_sale_until": NOW}, False),
        ({"on_sale_from": NOW - HOUR, "on_sale_until": NOW + HOUR}, True),
    ],
)
def test_a_product_is_sold_in_its_time_and_currency(changes: dict[str, Any], sold: bool) -> None:
    assert is_on_sale(product(**changes), "EUR", NOW) is sold


def test_what_was_chosen_is_sold_at_the_prices_and_rates_of_now() -> None:
    known = {POPCORN: product(), WATER: product(WATER, name="Water", price=0, tax="gone")}
    assert chosen([choice(quantity=3), choice(WATER)], known, RATES, "EUR", NOW) == (
        Sold(str(POPCORN), "Popcorn", 3, 650, "standard", 1900),
        Sold(str(WATER), "Water", 1, 0),
    )


@pytest.mark.parametrize("known", [{}, {POPCORN: product(active=False)}])
def test_a_product_that_is_not_sold_is_named(known: dict[UUID, Product]) -> None:
    with pytest.raises(Refused) as refused:
        chosen([choice(), choice(WATER)], {WATER: product(WATER), **known}, RATES, "EUR", NOW)
    assert refused.value.rejection.code == "UNKNOWN_PRODUCT"
    assert refused.value.rejection.details == {"products": [str(POPCORN)]}


def test_no_more_is_sold_than_a_seat_can_cost() -> None:
    with pytest.raises(Refused, match="VALIDATION_ERROR"):
        chosen([choice(quantity=50)], {POPCORN: product(price=10**8)}, RATES, "EUR", NOW)


def test_a_product_that_is_named_twice_is_refused() -> None:
    check_choices([choice(), choice(WATER)], "$.concessions")
    with pytest.raises(Refused) as refused:
        check_choices([choice(), choice(quantity=2)], "$.concessions")
    assert refused.value.rejection.details == {"path": "$.concessions"}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"tax": "luxury"}, "$.tax"),
        ({"on_sale_from": NOW, "on_sale_until": NOW}, "$.on_sale_until"),
    ],
)
def test_a_product_that_can_never_be_sold_is_refused(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused) as refused:
        check_product(ProductFields(name="Popcorn", price=1, **changes), RATES)
    assert refused.value.rejection.details == {"path": path}


def test_a_product_may_have_no_tax_and_half_a_window() -> None:
    check_product(ProductFields(name="Popcorn", price=1, on_sale_from=NOW), {})
    check_product(ProductFields(name="Popcorn", price=1, tax="standard"), RATES)


def test_codes_are_short_and_read_without_doubt() -> None:
    codes = {new_pick_up_code() for _ in range(200)}
    assert len(codes) > 190
    assert {len(code) for code in codes} == {PICK_UP_CHARS}
    assert set("".join(codes)) <= set(PICK_UP_ALPHABET)
    assert not set(PICK_UP_ALPHABET) & set("01ILO")
    assert pick_up_key(" 7kq2m ") == "7KQ2M"
