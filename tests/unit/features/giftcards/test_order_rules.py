"""What an order of a gift card may say, and when it is sent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cinema.domain.money import Money
from cinema.domain.rejections import Refused
from cinema.features.giftcards.order_rules import (
    LONGEST_WAIT_S,
    check_amount,
    deliver_at,
    source_of_refund,
    tidied,
    wait_after,
)
from cinema.features.giftcards.rules import NewCode, code_of, seed_of_order, seed_of_refund
from cinema.features.giftcards.shapes import CardOrderInput, OrderPayment, Recipient

NOW = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def placed(**values: Any) -> CardOrderInput:
    given: dict[str, Any] = {
        "cinema_id": UUID(int=1),
        "amount": Money(5000, "EUR"),
        "payment": OrderPayment(method="demo"),
        "recipient": Recipient(email="grace@example.com"),
    }
    return CardOrderInput(**(given | values))


def refused_path(refused: pytest.ExceptionInfo[Refused]) -> Any:
    assert refused.value.rejection.code == "VALIDATION_ERROR"
    return (refused.value.rejection.details or {})["path"]


def test_a_card_without_a_day_is_sent_at_once() -> None:
    assert deliver_at(None, BERLIN, NOW) == NOW


def test_a_card_is_sent_in_the_morning_of_its_day_at_the_cinema() -> None:
    sent = deliver_at(date(2026, 6, 9), BERLIN, NOW)
    assert sent == datetime(2026, 6, 9, 6, tzinfo=UTC)
    winter = deliver_at(date(2026, 12, 24), BERLIN, NOW)
    assert winter == datetime(2026, 12, 24, 7, tzinfo=UTC)


def test_today_is_the_day_of_the_cinema_and_later_than_its_morning_is_at_once() -> None:
    # In Berlin it is half past midnight of the next day.
    assert deliver_at(date(2026, 6, 2), BERLIN, NOW) == datetime(2026, 6, 2, 6, tzinfo=UTC)
    noon = datetime(2026, 6, 2, 10, tzinfo=UTC)
    assert deliver_at(date(2026, 6, 2), BERLIN, noon) == noon


@pytest.mark.parametrize("day", [date(2026, 6, 1), date(2027, 6, 3), date.max, date.min])
def test_a_day_that_is_over_or_far_away_is_refused(day: date) -> None:
    with pytest.raises(Refused) as refused:
        deliver_at(day, BERLIN, NOW)
    assert refused_path(refused) == "$.deliver_on"


def test_the_last_day_is_a_year_ahead() -> None:
    assert deliver_at(date(2027, 6, 2), BERLIN, NOW).date() == date(2027, 6, 2)


@pytest.mark.parametrize(
    ("amount", "path"),
    [
        (Money(5000, "JPY"), "$.amount.currency"),
        (Money(499, "EUR"), "$.amount.amount"),
        (Money(9001, "EUR"), "$.amount.amount"),
    ],
)
def test_an_amount_has_bounds_and_the_currency_of_the_cinema(amount: Money, path: str) -> None:
    with pytest.raises(Refused) as refused:
        check_amount(amount, "EUR", 9000)
    assert refused_path(refused) == path


def test_both_bounds_of_an_amount_can_be_ordered() -> None:
    check_amount(Money(500, "EUR"), "EUR", 9000)
    check_amount(Money(9000, "EUR"), "EUR", 9000)


def test_texts_are_kept_without_space_around_them() -> None:
    tidy = tidied(
        placed(
            recipient=Recipient(email=" grace@example.com ", name=" Grace "),
            sender_name=" Ada",
            message=" One\r\ntwo \n",
        )
    )
    assert tidy.recipient == Recipient(email="grace@example.com", name="Grace")
    assert (tidy.sender_name, tidy.message) == ("Ada", "One\ntwo")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        tidied(placed(recipient=Recipient(email="grace")))
    assert refused_path(refused) == "$.recipient.email"


def test_waits_double_up_to_a_bound() -> None:
    assert [wait_after(failures) for failures in (1, 2, 3)] == [
        timedelta(seconds=2),
        timedelta(seconds=4),
        timedelta(seconds=8),
    ]
    assert wait_after(1000) == timedelta(seconds=LONGEST_WAIT_S)


def test_each_refund_of_an_order_has_a_name_of_its_own_in_the_ledger() -> None:
    sources = {source_of_refund(UUID(int=order), again) for order in (1, 2) for again in (0, 1)}
    assert len(sources) == 4
    assert source_of_refund(UUID(int=1), 0) == source_of_refund(UUID(int=1), 0)


def test_the_code_of_an_order_follows_from_it_and_is_that_of_nothing_else() -> None:
    key, one = bytes(32), UUID(int=1)
    assert seed_of_order(key, one) == seed_of_order(key, one)
    seeds = {
        seed_of_order(key, one),
        seed_of_order(key, UUID(int=2)),
        seed_of_order(bytes([1]) * 32, one),
        seed_of_refund(key, one),
    }
    assert len(seeds) == 4


def test_a_code_is_in_no_log() -> None:
    code = code_of(bytes(32), 0)
    assert code not in repr(NewCode(code=code, digest=b"", last_four=code[-4:]))
