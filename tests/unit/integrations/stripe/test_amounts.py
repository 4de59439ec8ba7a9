"""Amounts in the units of Stripe."""

from __future__ import annotations

import pytest

from cinema.domain.money import CURRENCY_DIGITS
from cinema.integrations.stripe.amounts import NotPayable, minor_amount, stripe_amount


@pytest.mark.parametrize(
    ("amount_minor", "currency", "amount"),
    [
        (1250, "EUR", 1250),
        (500, "JPY", 500),
        (5120, "KWD", 5120),
        (1000, "BHD", 1000),
        (5, "ISK", 500),
        (5000, "UGX", 500_000),
        (500_000, "MGA", 5000),
        (50, "EUR", 50),
        (99_999_999, "USD", 99_999_999),
        (7, "CRC", 7),
    ],
)
def test_amounts_are_minor_units_but_for_a_few_currencies(
    amount_minor: int, currency: str, amount: int
) -> None:
    assert stripe_amount(amount_minor, currency) == amount
    assert minor_amount(amount, currency) == amount_minor


@pytest.mark.parametrize(
    ("amount_minor", "currency"),
    [
        (5124, "KWD"),
        (5121, "TND"),
        (150, "MGA"),
        (0, "EUR"),
        (0, "CRC"),
        (49, "EUR"),
        (49, "JPY"),
        (100_000_000, "EUR"),
        (1_000_000, "ISK"),
        (1000, "IQD"),
        (1000, "XXX"),
    ],
)
def test_what_cards_cannot_pay_says_why(amount_minor: int, currency: str) -> None:
    with pytest.raises(NotPayable):
        stripe_amount(amount_minor, currency)


def test_no_currency_is_charged_a_hundredfold() -> None:
    for currency in CURRENCY_DIGITS:
        try:
            amount = stripe_amount(100_000, currency)
        except NotPayable:
            continue
        assert minor_amount(amount, currency) == 100_000
