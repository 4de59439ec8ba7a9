"""Amounts as Stripe's API takes them: mostly ISO 4217's minor units, with a few exceptions.

Source: Stripe's documentation of currencies ("special cases").
"""

from __future__ import annotations

from typing import Final

from cinema.domain.money import CURRENCY_DIGITS

_TIMES_100: Final = frozenset({"ISK", "UGX"})
"""Currencies without digits whose amounts Stripe still takes with two: 500 is 5 ISK."""

_WHOLE_UNITS: Final = frozenset({"MGA"})
"""Currencies with two digits whose amounts Stripe takes in whole units."""

_NOT_SUPPORTED: Final = frozenset({"IQD", "LYD", "CUP", "IRR", "KPW", "SDG", "SSP", "SYP", "VED"})

AMOUNT_LIMIT: Final = 99_999_999
"""The largest amount of one payment: eight digits."""

_LEAST: Final = {
    "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250,
    "EUR": 50, "GBP": 30, "HKD": 400, "HUF": 17_500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200,
    "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
}  # fmt: skip
"""The smallest payments that Stripe takes, in its units; other currencies are converted there."""


class NotPayable(ValueError):
    """Stripe takes no payment of this amount; the text says why."""


def stripe_amount(amount_minor: int, currency: str, *, least: int | None = None) -> int:
    """An amount in the units of Stripe. Raises `NotPayable`.

    The last digit of an amount with three digits has to be 0: networks of cards know only two.
    `least` is that of a payment in this currency; refunds have none.
    """
    if currency in _NOT_SUPPORTED or currency not in CURRENCY_DIGITS:
        raise NotPayable(f"Cards cannot pay in {currency}.")
    amount = amount_minor
    if currency in _TIMES_100:
        amount = amount_minor * 100
    elif currency in _WHOLE_UNITS:
        amount, rest = divmod(amount_minor, 100)
        if rest:
            raise NotPayable(f"Amounts in {currency} have to be whole for payments by card.")
    elif CURRENCY_DIGITS[currency] == 3 and amount_minor % 10:
        raise NotPayable(f"The last digit of amounts in {currency} has to be 0 for cards.")
    if least is None:
        least = least_amount(currency)
    if not least <= amount <= AMOUNT_LIMIT:
        raise NotPayable("Cards cannot pay an amount of this size.")
    return amount


def minor_amount(amount: int, currency: str) -> int:
    """An amount that Stripe names, in minor units; `currency` in capitals.

    What does not divide is rounded down, and then differs from whatever it is compared with.
    """
    if currency in _TIMES_100:
        return amount // 100
    return amount * 100 if currency in _WHOLE_UNITS else amount


def least_amount(currency: str) -> int:
    """The smallest payment in a currency, in the units of Stripe."""
    return _LEAST.get(currency, 1)
