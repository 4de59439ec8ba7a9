from __future__ import annotations

import msgspec
import pytest

from cinema.domain.money import CURRENCY_DIGITS, MAX_AMOUNT_MINOR, Money


def test_money_is_an_amount_in_minor_units_and_a_currency() -> None:
    money = msgspec.json.decode(b'{"amount": 1250, "currency": "EUR"}', type=Money)
    assert money == Money(1250, "EUR")
    assert msgspec.json.encode(money) == b'{"amount":1250,"currency":"EUR"}'


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="Unknown currency 'XXX'"):
        Money(1, "XXX")


@pytest.mark.parametrize(
    "body",
    [
        '{"amount": 1, "currency": "QQQ"}',
        '{"amount": 1, "currency": "eur"}',
        '{"amount": 1, "currency": "EUR\\n"}',
        '{"amount": -1, "currency": "EUR"}',
        '{"amount": 1.5, "currency": "EUR"}',
        f'{{"amount": {MAX_AMOUNT_MINOR + 1}, "currency": "EUR"}}',
        '{"amount": 1, "currency": "EUR", "vat": 2}',
        '{"amount": 1}',
    ],
)
def test_money_that_is_none_does_not_decode(body: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Money)


def test_every_currency_has_its_digits() -> None:
    assert {CURRENCY_DIGITS[code] for code in ("EUR", "USD", "GBP", "CHF")} == {2}
    assert (CURRENCY_DIGITS["JPY"], CURRENCY_DIGITS["KWD"]) == (0, 3)
    assert all(len(code) == 3 and code.isupper() for code in CURRENCY_DIGITS)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1205, "EUR"), "12.05 EUR"),
        (Money(7, "USD"), "0.07 USD"),
        (Money(1800, "JPY"), "1800 JPY"),
        (Money(12345, "KWD"), "12.345 KWD"),
    ],
)
def test_money_reads_in_major_units(money: Money, text: str) -> None:
    assert str(money) == text
