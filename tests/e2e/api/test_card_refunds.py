"""Refunds that go on new gift cards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from cinema.domain.rejections import refuse
from cinema.features.bookings.service import BookingsService
from tests.e2e.api.bank import Bank
from tests.e2e.api.gift_cards import accounts, book_by_card, left
from tests.e2e.api.house import Answer, House, open_house
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import get

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str) -> AsyncIterator[House]:
    async with open_house(database) as house:
        yield house


async def to_card(
    house: House,
    booking_id: str,
    amount: int | None = None,
    *,
    by: str = "manager",
    key: str | None = None,
    currency: str = "EUR",
    **more: Any,
) -> Answer:
    body = {"booking_id": booking_id, "reason": "Noise.", "to": "gift_card", **more}
    if amount is not None:
        body["amount"] = {"amount": amount, "currency": currency}
    return await house.ask(by, "POST", "payments/refund", body, key=key)


async def test_money_without_seats_goes_on_a_card_that_pays_the_next_booking(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    first, again = [await to_card(house, booking_id, 1200, key="one") for _ in range(2)]
    assert first.status == 200, first
    assert first.data == again.data
    new = first.data["gift_card"]
    assert await left(house, new["id"]) == 1200
    assert await accounts(house) == {"demo": 2000, "deferred": -800, "gift_cards": -1200}
    assert first.data["payment"]["refunded"]["amount"] == 1200
    assert first.data["total"]["amount"] == 800
    assert "refund_pending" not in first.data["payment"]
    other = await house.held("ada", showtime_id, "A5")
    paid = await book_by_card(house, "ada", showtime_id, other, new["code"])
    assert paid.data["status"] == "confirmed", paid
    assert await left(house, new["id"]) == 200
    text = await house.database.fetchval("select string_agg(c::text, '') from gift_cards c")
    assert new["code"].replace("-", "") not in text
    shown = await get(house, "manager", f"gift-cards/{new['id']}")
    assert (shown["method"], shown["sold_for"]["amount"]) == ("refund", 1200)
    assert "code" not in shown
    assert "gift_card" not in await get(house, "ada", f"bookings/{booking_id}")
    assert await faults_of(house) == []


async def test_seats_go_back_for_a_card(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    first, again = [await to_card(house, booking_id, seats=["A1"], key="one") for _ in range(2)]
    assert first.status == 200, first
    assert first.data["gift_card"] == again.data["gift_card"]
    assert [seat["label"] for seat in first.data["seats"]] == ["A2"]
    assert first.data["total"]["amount"] == 1000
    assert await left(house, first.data["gift_card"]["id"]) == 1000
    assert await house.statuses(showtime_id) == {"A2": "booked"}
    rest = await to_card(house, booking_id)
    assert (rest.status, rest.data["status"]) == (200, "cancelled"), rest
    assert await left(house, rest.data["gift_card"]["id"]) == 1000
    assert await accounts(house) == {"demo": 2000, "gift_cards": -2000}
    assert await faults_of(house) == []


async def test_no_more_goes_on_cards_than_was_paid(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1")
    answers = await asyncio.gather(*(to_card(house, booking_id, 600) for _ in range(4)))
    assert sorted(one.status for one in answers) == [200, 409, 409, 409]
    refused = next(one for one in answers if one.status == 409)
    assert refused.error == (409, "REFUND_TOO_HIGH")
    assert await house.database.fetchval("select sum(balance_minor) from gift_cards") == 600
    assert (await to_card(house, booking_id, 1, currency="JPY")).error == (400, "VALIDATION_ERROR")
    assert await faults_of(house) == []


async def test_staff_put_on_cards_what_the_policy_says(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1")
    await house.database.execute("update refund_policies set policy = '[]'")
    assert (await to_card(house, booking_id, 1, by="staff")).error == (403, "FORBIDDEN")
    nothing = await to_card(house, booking_id, by="staff")
    assert nothing.error == (400, "VALIDATION_ERROR")
    assert nothing.details["path"] == "$.to"
    elsewhere = await to_card(house, booking_id, 1, by="manager elsewhere")
    assert elsewhere.error == (404, "NOT_FOUND")
    assert (await to_card(house, booking_id, 1)).status == 200
    wrong = await to_card(house, booking_id, seats=["A9"])
    assert wrong.error == (409, "SEAT_NOT_INCLUDED")


async def test_a_card_that_was_made_before_a_crash_is_shown_when_the_request_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card is there, the seats are still booked: the repetition gives them back."""
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")

    async def dies(*_values: Any) -> None:
        raise refuse("RETRY")

    with monkeypatch.context() as patched:
        patched.setattr(BookingsService, "give_back", dies)
        lost = await to_card(house, booking_id, seats=["A1"], key="one")
    assert lost.error == (503, "RETRY")
    assert await house.statuses(showtime_id) == {"A1": "booked", "A2": "booked"}
    again = await to_card(house, booking_id, seats=["A1"], key="one")
    assert again.status == 200, again
    assert [seat["label"] for seat in again.data["seats"]] == ["A2"]
    assert await house.database.fetchval("select count(*) from gift_cards") == 1
    assert await left(house, again.data["gift_card"]["id"]) == 1000
    other = await to_card(house, booking_id, seats=["A2"], key="one")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_what_went_on_a_card_is_not_looked_for_at_the_bank(house: House) -> None:
    bank = Bank()
    house.node.attempts.methods.add(bank)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    bank.pay(made)
    attempt = await house.node.attempts.find(UUID(made["payment"]["id"]))
    assert attempt is not None
    await house.node.attempts.settle(attempt)
    answer = await to_card(house, made["id"])
    assert answer.status == 200, answer
    assert bank.refunds == {}
    assert await accounts(house) == {"stripe": 1000, "gift_cards": -1000}
