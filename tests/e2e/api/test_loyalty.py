"""Loyalty points: earned, used alone and beside other methods, taken back, expiring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from cinema.domain.times import from_us
from tests.e2e.api import gift_cards
from tests.e2e.api import test_prices as prices
from tests.e2e.api.bank import Bank
from tests.e2e.api.gift_cards import accounts, card, pay_by_card, refunded
from tests.e2e.api.house import Clocks, House, open_house
from tests.e2e.api.paying import get, give_up, process, reserve, verify
from tests.e2e.api.points import book_by_points, credited, earn, give, history, left, seen

pytestmark = pytest.mark.asyncio(loop_scope="function")

DAY_S = 86_400


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: Bank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        token = house.token
        house.token = lambda person, **_: token(person, at_s=clocks.now_s())  # type: ignore[method-assign]
        yield house


async def far_showtime(house: House) -> str:
    """A showtime in a month."""
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(days=29))
    return showtime_id


async def pay_by_points(house: House, person: str, booking_id: str) -> Any:
    return await process(house, person, booking_id, method="points")


# --- earned


async def test_a_confirmed_booking_earns_a_share_of_what_was_paid(
    house: House, database: str
) -> None:
    await earn(house, 5)
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    assert await left(house, "ada") == 0, "it comes within seconds"
    await credited(house, database)
    assert await left(house, "ada") == 100
    assert await credited(house, database) == 0
    (balance,) = await seen(house, "ada")
    assert (balance["points"], balance["worth"]) == (100, {"amount": 100, "currency": "EUR"})
    assert balance["expiring"]["points"] == 100
    assert await history(house, "ada") == [("earned", 100, 0)]
    assert await accounts(house) == {
        "demo": 2000,
        "deferred": -2000,
        "revenue": 100,
        "points": -100,
    }
    assert await seen(house, "bob") == []
    (entry,) = await get(house, "ada", "loyalty/entries")
    assert entry["booking_id"] == booking_id


async def test_a_cinema_gives_nothing_unless_it_says_so(house: House, database: str) -> None:
    await house.booked("ada", await house.showtime(), "A1")
    assert await house.database.fetchval("select count(*) from loyalty_due") == 0
    assert await credited(house, database) == 0
    assert await seen(house, "ada") == []


async def test_staff_and_guests_earn_nothing(house: House, database: str) -> None:
    await earn(house, 5)
    showtime_id = await house.showtime()
    await house.till("staff")
    for person, seat, method in (("staff", "A1", "counter"), ("guest", "A3", "demo")):
        hold_id = await house.held(person, showtime_id, seat)
        made = await house.book(person, showtime_id, hold_id, method=method)
        assert made.status == 201, made
    await credited(house, database)
    assert await house.database.fetchval("select count(*) from loyalty_accounts") == 0
    assert await house.database.fetchval("select count(*) from loyalty_due") == 0
    assert (await house.ask("guest", "GET", "loyalty")).status == 403
    assert (await house.ask(None, "GET", "loyalty")).status == 401


async def test_a_booking_that_is_paid_later_earns_when_it_is_confirmed(
    house: House, database: str, bank: Bank
) -> None:
    await earn(house, 10)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    assert await credited(house, database) == 0
    bank.pay(made)
    await process(house, "ada", made["id"], method="stripe")
    await credited(house, database)
    assert await left(house, "ada") == 100


async def test_two_nodes_give_points_once(house: House, database: str) -> None:
    await earn(house, 5)
    showtime_id = await house.showtime()
    for seat in ("A1", "A3", "B1", "B3"):
        await house.booked("ada", showtime_id, seat)
    await asyncio.gather(*(credited(house, database) for _ in range(4)))
    await credited(house, database)
    assert len(await history(house, "ada")) == 4
    assert (await accounts(house))["points"] == -await left(house, "ada")


async def test_the_rate_is_that_of_the_confirmation(house: House, database: str) -> None:
    await earn(house, 10)
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await earn(house, 50)
    await credited(house, database)
    assert await left(house, "ada") == 200
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A1")
    await credited(house, database)
    assert await left(house, "ada") == 100


async def test_seats_that_cost_more_or_less_earn_more_or_less(house: House, database: str) -> None:
    await earn(house, 10)
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    path = f"bookings/{booking_id}/seats"
    changes: tuple[tuple[dict[str, Any], int], ...] = (
        ({"from": ["A1"], "to": ["B1"], "payment": {"method": "demo"}}, 125),
        ({"from": ["B1"], "to": ["A3"]}, 100),
    )
    for seats, earned in changes:
        assert (await house.ask("ada", "POST", path, seats)).status == 200
        await credited(house, database)
        assert await left(house, "ada") == earned


# --- taken back


async def test_a_refund_takes_back_what_it_has_earned(house: House, database: str) -> None:
    await earn(house, 5)
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await credited(house, database)
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A1")).status == 200
    await credited(house, database)
    assert await left(house, "ada") == 50
    body = {
        "booking_id": booking_id,
        "amount": {"amount": 400, "currency": "EUR"},
        "reason": "Noise.",
    }
    assert (await house.ask("manager", "POST", "payments/refund", body)).status == 200
    await credited(house, database)
    assert await left(house, "ada") == 30
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).status == 200
    await credited(house, database)
    assert await left(house, "ada") == 0
    assert await history(house, "ada") == [
        *[("taken_back", points, 0) for points in (-30, -20, -50)],
        ("earned", 100, 0),
    ]
    assert await accounts(house) == {}


async def test_a_refund_before_the_points_arrive_leaves_none(house: House, database: str) -> None:
    await earn(house, 5)
    booking_id = await house.booked("ada", await house.showtime(), "A1")
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    await credited(house, database)
    assert await history(house, "ada") == []
    assert await house.database.fetchval("select count(*) from loyalty_due") == 0


async def test_what_was_used_meanwhile_is_noted_and_not_owed(house: House, database: str) -> None:
    await earn(house, 50)
    showtime_id = await house.showtime()
    earned_by = await house.booked("ada", showtime_id, "A1", "A2")
    await credited(house, database)
    hold_id = await house.held("ada", showtime_id, "B1")
    made = (await book_by_points(house, "ada", showtime_id, hold_id)).data
    paid = made["payment"]["amount"]["amount"]
    assert paid == 1000
    await house.ask("ada", "DELETE", f"bookings/{earned_by}")
    await credited(house, database)
    assert await left(house, "ada") == 0
    assert (await history(house, "ada"))[0] == ("taken_back", 0, 1000)
    # What is earned later is not less for it.
    await house.booked("ada", showtime_id, "C5")
    await credited(house, database)
    assert await left(house, "ada") == 500


# --- used


async def test_points_pay_a_booking_alone(house: House, database: str) -> None:
    await earn(house, 10)
    await give(house, "ada", 2500)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    made, again = [
        await book_by_points(house, "ada", showtime_id, hold_id, key="one") for _ in range(2)
    ]
    assert made.status == 201, made
    assert made.data == again.data
    assert (made.data["status"], made.data["payment"]["method"]) == ("confirmed", "points")
    assert await left(house, "ada") == 500
    assert await accounts(house, made.data["id"]) == {"points": 2000, "deferred": -2000}
    await credited(house, database)
    assert await left(house, "ada") == 500, "points earn no points"
    other = await house.held("bob", showtime_id, "B1")
    refused = await book_by_points(house, "bob", showtime_id, other)
    assert (refused.error, refused.details) == ((409, "POINTS_UNUSABLE"), {"reason": "empty"})
    assert (await house.book("bob", showtime_id, other)).status == 201, "the hold is still there"


async def test_only_their_customer_uses_points(house: House) -> None:
    await verify(house, "ada")
    await give(house, "ada", 500)
    showtime_id = await house.showtime()
    made = await reserve(house, "ada", showtime_id, "A1")
    staff = await pay_by_points(house, "staff", made["id"])
    assert staff.error == (403, "FORBIDDEN")
    assert (await pay_by_points(house, "bob", made["id"])).error == (404, "NOT_FOUND")
    hold_id = await house.held("guest", showtime_id, "B1")
    body = {"showtime_id": showtime_id, "hold_id": hold_id, "email": "guest@example.com"}
    guest = await house.ask("guest", "POST", "bookings", {**body, "payment": {"method": "points"}})
    assert guest.error == (403, "FORBIDDEN")
    assert await left(house, "ada") == 500


@pytest.mark.parametrize("first", ["points", "gift_card"])
async def test_points_a_gift_card_and_the_rest_pay_a_booking(
    house: House, database: str, first: str
) -> None:
    await earn(house, 10)
    await give(house, "ada", 300)
    sold, showtime_id = await card(house, 700), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    if first == "points":
        made = (await book_by_points(house, "ada", showtime_id, hold_id)).data
        assert made["payment"]["due"]["amount"] == 1700
        second = await pay_by_card(house, "ada", made["id"], sold["code"])
    else:
        made = (
            await gift_cards.book_by_card(house, "ada", showtime_id, hold_id, sold["code"])
        ).data
        second = await pay_by_points(house, "ada", made["id"])
    assert second.status == 200, second
    assert second.data["payment"]["due"]["amount"] == 1000
    paid = await process(house, "ada", made["id"], method="demo")
    assert paid.data["status"] == "confirmed", paid
    payment = paid.data["payment"]
    assert (payment["amount"]["amount"], payment["method"]) == (2000, "demo")
    assert [(one["method"], one["amount"]["amount"]) for one in payment["parts"]] == [
        ("points", 300),
        ("gift_card", 700),
    ]
    await credited(house, database)
    assert await left(house, "ada") == 170, "a tenth of all but the points"
    # Given back in reverse, whatever came first.
    one = await house.ask("ada", "DELETE", f"bookings/{made['id']}?seats=A1")
    assert one.data["payment"]["refunded"]["amount"] == 1000
    assert await gift_cards.left(house, sold["id"]) == 0
    await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    await refunded(house, made["id"])
    await gift_cards.credited(house, database)
    await credited(house, database)
    assert await gift_cards.left(house, sold["id"]) == 700
    assert await left(house, "ada") == 300
    assert await accounts(house, made["id"]) == {}


async def test_the_rest_of_points_by_a_card_that_has_enough(house: House) -> None:
    await give(house, "ada", 300)
    sold, showtime_id = await card(house, 5000), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_points(house, "ada", showtime_id, hold_id)).data
    paid = await pay_by_card(house, "ada", made["id"], sold["code"])
    assert paid.data["status"] == "confirmed", paid
    assert await gift_cards.left(house, sold["id"]) == 4300
    assert await accounts(house, made["id"]) == {
        "points": 300,
        "gift_cards": 700,
        "deferred": -1000,
    }


async def test_two_clicks_and_two_methods_at_once_put_aside_no_more_than_the_total(
    house: House, clocks: Clocks, database: str
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    for seat in ("A1", "A3", "B1", "B3"):
        await give(house, "ada", 800)
        sold = await card(house, 800)
        made = await reserve(house, "ada", showtime_id, seat)
        answers = await asyncio.gather(
            *(pay_by_points(house, "ada", made["id"]) for _ in range(3)),
            *(pay_by_card(house, "ada", made["id"], sold["code"]) for _ in range(3)),
        )
        for one in answers:
            assert one.status == 200 or one.error == (409, "PAYMENT_IN_PROGRESS"), one
        aside = await house.database.fetchval(
            "select sum(amount_minor) from payments where booking_id = $1"
            " and (reserved and status = 'pending' or status = 'succeeded')",
            made["id"],
        )
        total = made["total"]["amount"]
        assert aside is None or aside <= total
        await pay_by_points(house, "ada", made["id"])
        done = await pay_by_card(house, "ada", made["id"], sold["code"])
        assert done.data["status"] == "confirmed", done
        await credited(house, database)
        await gift_cards.credited(house, database)
        ledger = await accounts(house, made["id"])
        assert ledger.get("points", 0) + ledger.get("gift_cards", 0) == total
    assert (
        await house.database.fetchval("select count(*) from loyalty_uses where state = 'reserved'")
        == 0
    )


async def test_an_abandoned_booking_gives_its_points_back(
    house: House, clocks: Clocks, database: str
) -> None:
    await give(house, "ada", 300)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_points(house, "ada", showtime_id, hold_id)).data
    assert await left(house, "ada") == 0
    clocks.ahead_s += 601
    assert await give_up(house, clocks, database) == 1
    await credited(house, database)
    assert await left(house, "ada") == 300
    assert [kind for kind, *_ in await history(house, "ada")] == ["returned", "reserved", "earned"]
    assert await accounts(house, made["id"]) == {}


async def test_of_two_bookings_at_once_none_uses_more_points_than_there_are(
    house: House, database: str
) -> None:
    await give(house, "ada", 1500)
    showtime_id = await house.showtime(live_holds_per_customer=20)
    holds = [await house.held("ada", showtime_id, seat) for seat in ("A1", "A3", "A5", "A7")]
    made = await asyncio.gather(
        *(book_by_points(house, "ada", showtime_id, hold_id) for hold_id in holds)
    )
    answers = [one.data for one in made if one.status == 201]
    assert sum(one["status"] == "confirmed" for one in answers) == 1
    assert [one["payment"]["due"]["amount"] for one in answers if "due" in one["payment"]] == [500]
    assert {one.error for one in made if one.status != 201} <= {(409, "POINTS_UNUSABLE")}
    assert await left(house, "ada") == 0


async def test_member_prices_are_for_accounts(house: House) -> None:
    types = [{"code": "adult", "name": "Adult"}, {"code": "member", "name": "Member"}]
    await prices.settings(house, ticket_types=types)
    await prices.rule(house, "Members", "type", prices.HALF, ticket_types=["member"])
    showtime_id = await house.showtime()
    tickets: dict[str, Any] = {"tickets": [{"seat": "A1", "type": "member"}]}
    guest = {"email": "guest@example.com"}
    for person, more, expected in (("guest", guest, 422), ("ada", {}, 201)):
        hold_id = await house.held(person, showtime_id, "A1")
        body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": {"method": "demo"}}
        answer = await house.ask(person, "POST", "bookings", {**body, **tickets, **more})
        assert answer.status == expected, answer
        if person == "guest":
            assert answer.details == {"reason": "ACCOUNT", "ticket_type": "member"}
            await house.ask(person, "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")
        else:
            assert answer.data["total"]["amount"] == 500


# --- expiring


async def test_points_that_expire_first_are_used_first(
    house: House, clocks: Clocks, database: str
) -> None:
    await give(house, "ada", 1000, days=20)
    await give(house, "ada", 800, days=10)
    (balance,) = await seen(house, "ada")
    assert (balance["points"], balance["expiring"]["points"]) == (1800, 800)
    showtime_id = await far_showtime(house)
    hold_id = await house.held("ada", showtime_id, "A1")
    await book_by_points(house, "ada", showtime_id, hold_id)
    (balance,) = await seen(house, "ada")
    assert (balance["points"], balance["expiring"]["points"]) == (800, 800)
    clocks.ahead_s += 11 * DAY_S
    await credited(house, database)
    assert await left(house, "ada") == 800, "those that have expired were used before"
    clocks.ahead_s += 10 * DAY_S
    (balance,) = await seen(house, "ada")
    assert (balance["points"], balance["expiring"]) == (0, None), "before any job has looked"
    await credited(house, database)
    assert await left(house, "ada") == 0
    assert (await history(house, "ada"))[0] == ("expired", -800, 0)
    await credited(house, database)
    assert len(await history(house, "ada")) == 4
    assert (await accounts(house)).get("points") is None


async def test_expired_points_pay_nothing_though_no_job_has_looked(
    house: House, clocks: Clocks
) -> None:
    await give(house, "ada", 600, days=10)
    await give(house, "ada", 500, days=20)
    showtime_id = await far_showtime(house)
    clocks.ahead_s += 11 * DAY_S
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_points(house, "ada", showtime_id, hold_id)).data
    assert made["payment"]["due"]["amount"] == 500
    kinds = [kind for kind, *_ in await history(house, "ada")]
    assert sorted(kinds) == ["earned", "earned", "expired", "reserved"]
    clocks.ahead_s += 1
    other = await house.held("ada", showtime_id, "A3")
    refused = await book_by_points(house, "ada", showtime_id, other)
    assert refused.error == (409, "POINTS_UNUSABLE")


async def test_points_that_expired_while_they_were_put_aside_are_gone(
    house: House, clocks: Clocks, database: str
) -> None:
    await give(house, "ada", 300, days=1)
    showtime_id = await far_showtime(house)
    clocks.ahead_s += DAY_S - 300
    hold_id = await house.held("ada", showtime_id, "A1")
    await book_by_points(house, "ada", showtime_id, hold_id)
    clocks.ahead_s += 601
    await give_up(house, clocks, database)
    await credited(house, database)
    assert await left(house, "ada") == 0
    assert [kind for kind, *_ in await history(house, "ada")][:2] == ["expired", "returned"]


async def test_points_that_go_back_can_be_used_for_half_a_year(
    house: House, clocks: Clocks, database: str
) -> None:
    await give(house, "ada", 1000, days=2)
    showtime_id = await far_showtime(house)
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_points(house, "ada", showtime_id, hold_id)).data
    clocks.ahead_s += 5 * DAY_S
    before = from_us(house.node.kernel.clock.now_us())
    assert (await house.ask("ada", "DELETE", f"bookings/{made['id']}")).status == 200
    await refunded(house, made["id"])
    await credited(house, database)
    assert await left(house, "ada") == 1000
    (balance,) = await seen(house, "ada")
    given_at = datetime.fromisoformat(balance["expiring"]["at"]) - timedelta(days=180)
    assert before <= given_at <= from_us(house.node.kernel.clock.now_us())
    clocks.ahead_s += 181 * DAY_S
    await credited(house, database)
    assert await left(house, "ada") == 0
