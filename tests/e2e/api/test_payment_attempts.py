"""Attempts to pay with a service that waits for its customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.api.bank import Bank
from tests.e2e.api.house import Clocks, House, open_house
from tests.e2e.api.paying import get, give_up, process, reserve, verify

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: Bank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        yield house


async def _book(house: House, person: str, showtime_id: str, *seats: str, key: str = "k") -> Any:
    hold_id = await house.held(person, showtime_id, *seats)
    answer = await house.book(person, showtime_id, hold_id, method="stripe", key=key)
    assert answer.status == 201, answer
    return answer.data


async def test_a_booking_waits_with_the_secret_that_its_customer_pays_with(
    house: House, bank: Bank
) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    first, again = [
        (await house.book("ada", showtime_id, hold_id, method="stripe", key="one")).data
        for _ in range(2)
    ]
    assert first == again
    payment = first["payment"]
    assert (first["status"], payment["status"], payment["method"]) == (
        *("pending", "pending", "stripe"),
    )
    assert payment["client_secret"] == f"secret-{payment['id']}"
    assert bank.intents == {payment["id"]: "open"}
    assert await house.statuses(showtime_id) == {"A1": "held", "A2": "held"}
    stored = await get(house, "ada", f"bookings/{first['id']}")
    assert "client_secret" not in stored["payment"]
    reference = await house.database.fetchval("select reference from payments")
    assert reference == f"intent-{payment['id']}"

    resumed = await process(house, "ada", first["id"], method="stripe")
    assert (resumed.status, resumed.data) == (200, first)
    bank.pay(first)
    paid = await process(house, "ada", first["id"], method="stripe")
    assert (paid.data["status"], paid.data["payment"]["status"]) == ("confirmed", "succeeded")
    assert await house.statuses(showtime_id) == {"A1": "booked", "A2": "booked"}


async def test_a_service_that_is_away_leaves_a_booking_that_can_be_paid_later(
    house: House, bank: Bank
) -> None:
    showtime_id = await house.showtime()
    bank.away = True
    booking = await _book(house, "ada", showtime_id, "A1")
    assert "client_secret" not in booking["payment"]
    assert (await process(house, "ada", booking["id"], method="stripe")).error == (503, "RETRY")
    # Nothing is known of the money: the seats are neither sold nor freed.
    assert (await house.ask("ada", "DELETE", f"bookings/{booking['id']}")).error == (503, "RETRY")
    bank.away = False
    resumed = await process(house, "ada", booking["id"], method="stripe")
    assert resumed.data["payment"]["client_secret"]


async def test_two_clicks_are_one_attempt(house: House, bank: Bank) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    answers = await asyncio.gather(
        *(process(house, "ada", booking["id"], method="stripe") for _ in range(6))
    )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.data["payment"]["id"] for answer in answers}) == 1
    assert len(bank.intents) == 1


async def test_a_booking_with_two_attempts_is_listed_once_with_the_one_that_counts(
    house: House, bank: Bank
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    attempt = (await process(house, "ada", booking["id"], method="stripe")).data["payment"]
    (listed,) = await get(house, "ada", "bookings")
    assert listed["payment"]["id"] == booking["payment"]["id"] != attempt["id"]
    seen = await get(house, "ada", f"payments/{attempt['id']}")
    assert (seen["method"], seen["status"]) == ("stripe", "pending")
    assert bank.intents == {attempt["id"]: "open"}
    bank.intents[attempt["id"]] = "paid"
    await process(house, "ada", booking["id"], method="stripe")
    (listed,) = await get(house, "ada", "bookings")
    assert (listed["status"], listed["payment"]["id"]) == ("confirmed", attempt["id"])
    first = await get(house, "ada", f"payments/{booking['payment']['id']}")
    assert (first["status"], first["pay_until"]) == ("cancelled", None)


async def test_what_is_not_paid_in_time_is_stopped_before_its_seats_are_freed(
    house: House, bank: Bank, clocks: Clocks, database: str
) -> None:
    showtime_id = await house.showtime()
    booking = await _book(house, "ada", showtime_id, "A1")
    paid = await _book(house, "ada", showtime_id, "A3", key="other")
    waits = await _book(house, "bob", showtime_id, "A5", key="third")
    bank.pay(paid)
    bank.intents[waits["payment"]["id"]] = "processing"
    clocks.ahead_s = 605
    bank.away = True
    assert await give_up(house, clocks, database) == 0
    assert await house.statuses(showtime_id) == dict.fromkeys(("A1", "A3", "A5"), "held")
    bank.away = False
    assert await give_up(house, clocks, database) == 1
    assert bank.intents[booking["payment"]["id"]] == "cancelled"
    assert await house.statuses(showtime_id) == {"A3": "booked", "A5": "held"}
    states = [
        (await get(house, person, f"bookings/{one['id']}"))["status"]
        for person, one in (("ada", booking), ("ada", paid), ("bob", waits))
    ]
    assert states == ["expired", "confirmed", "pending"]
    late = await process(house, "ada", booking["id"], method="stripe")
    assert late.error == (409, "BOOKING_ENDED")


async def test_a_customer_who_gives_up_does_not_pay(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    booking = await _book(house, "ada", showtime_id, "A1")
    ended = await house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    assert (ended.status, ended.data["status"]) == (200, "cancelled")
    assert bank.intents == {booking["payment"]["id"]: "cancelled"}
    assert await house.statuses(showtime_id) == {}


async def test_a_payment_under_way_cannot_be_given_up(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    booking = await _book(house, "ada", showtime_id, "A1")
    bank.intents[booking["payment"]["id"]] = "processing"
    refused = await house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    assert refused.error == (409, "PAYMENT_IN_PROGRESS")
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_a_cancelled_intent_is_a_payment_that_failed(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    booking = await _book(house, "ada", showtime_id, "A1")
    bank.intents[booking["payment"]["id"]] = "cancelled"
    refused = await process(house, "ada", booking["id"], method="stripe")
    assert refused.error == (409, "PAYMENT_FAILED")
    again = await process(house, "ada", booking["id"], method="stripe")
    assert again.data["payment"]["id"] != booking["payment"]["id"]
    assert again.data["payment"]["client_secret"]


async def test_what_is_sold_and_paid_stands_in_the_ledger(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    entries = await get(house, "staff", f"bookings/{booking_id}/ledger")
    lines = {
        one["kind"]: {line["account"]: line["amount"] for line in one["lines"]} for one in entries
    }
    assert lines == {
        "sale": {"customer": 2000, "deferred": -2000},
        "payment": {"demo": 2000, "customer": -2000},
    }
    later = await _book(house, "ada", showtime_id, "A5")
    assert await get(house, "staff", f"bookings/{later['id']}/ledger") == []
    bank.pay(later)
    await process(house, "ada", later["id"], method="stripe")
    entries = await get(house, "staff", f"bookings/{later['id']}/ledger")
    by_kind = {one["kind"]: one for one in entries}
    assert {kind: one["source"] for kind, one in by_kind.items()} == {
        "sale": later["id"],
        "payment": later["payment"]["id"],
    }
    assert by_kind["payment"]["lines"][0] == {"account": "stripe", "amount": 1000}
    assert (await house.ask("ada", "GET", f"bookings/{later['id']}/ledger")).status == 403
    elsewhere = await house.ask("staff elsewhere", "GET", f"bookings/{later['id']}/ledger")
    assert elsewhere.error == (404, "NOT_FOUND")
