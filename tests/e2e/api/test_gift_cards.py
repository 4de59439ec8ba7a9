"""Gift cards: sold, looked up, used alone and before another method, given back to, disabled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from cinema.domain.times import from_us
from cinema.features.giftcards.rules import ALPHABET, CODE_CHARS
from tests.e2e.api import points
from tests.e2e.api.bank import Bank
from tests.e2e.api.gift_cards import (
    accounts,
    book_by_card,
    card,
    credited,
    left,
    pay_by_card,
    refunded,
    sell,
)
from tests.e2e.api.house import PATIENCE_S, Clocks, House, open_house
from tests.e2e.api.paying import end_left, get, give_up, process, reserve, verify
from tests.e2e.api.showtimes import cancel as cancel_showtime
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: Bank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        yield house


async def far_away(house: House, currency: str) -> dict[str, Any]:
    """A card of a cinema with another currency."""
    cinema = {"name": "Far", "city": "Far", "country": "JP", "time_zone": "Asia/Tokyo"}
    made = await house.ask("admin", "POST", "cinemas", {**cinema, "currency": currency})
    answer = await sell(house, 1500, by="admin", currency=currency, cinema_id=made.data["id"])
    assert answer.status == 201, answer
    return dict(answer.data["cards"][0])


# --- sold


async def test_a_card_is_sold_into_a_till_and_its_code_is_shown_once(house: House) -> None:
    payment = {"method": "counter", "tender": "cash"}
    without = await sell(house, by="staff", payment=payment)
    assert without.error == (409, "CASH_SESSION_REQUIRED")
    await house.till("staff")
    first, again = [
        await sell(house, 5000, by="staff", payment=payment, key="one") for _ in range(2)
    ]
    assert first.status == 201, first
    assert first.data == again.data
    (sold,) = first.data["cards"]
    code = sold["code"].replace("-", "")
    assert len(code) == CODE_CHARS
    assert set(code) <= set(ALPHABET)
    assert sold["last_four"] == code[-4:]
    assert await accounts(house) == {"cash": 5000, "gift_cards": -5000}
    drawer = await get(house, "manager", f"cash-sessions?cinema_id={house.cinema_id}&status=open")
    session = await get(house, "manager", f"cash-sessions/{drawer[0]['id']}")
    assert session["expected"]["amount"] == 5000
    # Nothing that is kept has the code in it: neither the card, nor the answer for repetitions.
    assert await house.database.fetchval("select count(*) from gift_cards") == 1
    for kept in (
        "select string_agg(c::text, '') from gift_cards c",
        "select string_agg(convert_from(response, 'utf8'), '') from idempotent_requests",
        "select string_agg(a::text, '') from audit_log a",
    ):
        text = await house.database.fetchval(kept)
        assert code not in text
        assert sold["code"] not in text


async def test_what_a_till_took_for_a_card_is_not_waited_for_at_its_close(house: House) -> None:
    await house.till("staff")
    await sell(house, 700, by="staff", payment={"method": "counter", "tender": "cash"})
    await sell(house, 900, by="staff", payment={"method": "counter", "tender": "terminal"})
    (session,) = await get(house, "staff", f"cash-sessions?cinema_id={house.cinema_id}")
    counted = {"counted": {"amount": 700, "currency": "EUR"}}
    closed = await house.ask("staff", "POST", f"cash-sessions/{session['id']}/close", counted)
    assert closed.status == 200, closed
    assert closed.data["variance"]["amount"] == 0
    assert await accounts(house) == {"cash": 700, "terminal": 900, "gift_cards": -1600}


async def test_only_managers_sell_many_or_give_away(house: House) -> None:
    many = await sell(house, by="staff", quantity=2)
    assert many.error == (403, "FORBIDDEN")
    assert (await sell(house, by="staff", payment={"method": "free"})).error == (403, "FORBIDDEN")
    assert (await sell(house, by="manager elsewhere")).error == (403, "FORBIDDEN")
    made = await sell(house, 100, quantity=500, payment={"method": "free"})
    assert made.status == 201, made
    codes = {one["code"] for one in made.data["cards"]}
    assert len(codes) == 500
    assert made.data["total"]["amount"] == 50_000
    assert await accounts(house) == {"revenue": 50_000, "gift_cards": -50_000}


async def test_a_sale_says_what_is_wrong_with_it(house: House) -> None:
    wrong = await sell(house, currency="JPY")
    assert wrong.error == (400, "VALIDATION_ERROR")
    assert wrong.details["path"] == "$.amount.currency"
    assert (await sell(house, 0)).error == (400, "VALIDATION_ERROR")
    assert (await sell(house, 100_000_001)).error == (400, "VALIDATION_ERROR")
    tender = await sell(house, payment={"method": "demo", "tender": "cash"})
    assert tender.error == (400, "VALIDATION_ERROR")
    assert (await sell(house, years=2)).error == (400, "VALIDATION_ERROR")


async def test_whoever_has_the_code_sees_the_balance(house: House) -> None:
    sold = await card(house, 1234)
    body = {"code": f"  {sold['code'].lower().replace('-', ' ')} "}
    for person in ("ada", "guest", "staff"):
        seen = await house.ask(person, "POST", "gift-cards/balance", body)
        assert seen.status == 200, seen
        assert seen.data["balance"] == {"amount": 1234, "currency": "EUR"}
        assert (seen.data["status"], seen.data["last_four"]) == ("active", sold["last_four"])
    assert (await house.ask(None, "POST", "gift-cards/balance", body)).status == 401
    unknown = await house.ask("ada", "POST", "gift-cards/balance", {"code": "2" * 15 + "3"})
    assert unknown.error == (422, "UNKNOWN_GIFT_CARD")


async def test_looks_at_balances_are_counted_by_account_and_by_address(database: str) -> None:
    async with open_house(database, gift_card_looks_per_minute=10) as house:
        sold = await card(house)
        body = {"code": sold["code"]}
        looks = [await house.ask("ada", "POST", "gift-cards/balance", body) for _ in range(11)]
        assert [one.status for one in looks] == [*[200] * 10, 429]
        assert "Retry-After" in looks[-1].headers
        other = await house.ask("bob", "POST", "gift-cards/balance", body)
        assert other.error == (429, "RATE_LIMITED"), "the address is the same"


async def test_wrong_codes_in_bookings_are_counted(database: str) -> None:
    async with open_house(database, gift_card_looks_per_minute=2) as house:
        showtime_id = await house.showtime()
        hold_id = await house.held("ada", showtime_id, "A1")
        errors = [
            (await book_by_card(house, "ada", showtime_id, hold_id, "2" * 16)).error
            for _ in range(3)
        ]
        assert errors == [*[(422, "UNKNOWN_GIFT_CARD")] * 2, (429, "RATE_LIMITED")]


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
async def test_cards_are_in_the_currency_of_their_cinema(house: House, currency: str) -> None:
    sold = await far_away(house, currency)
    seen = await house.ask("bob", "POST", "gift-cards/balance", {"code": sold["code"]})
    assert seen.data["balance"] == {"amount": 1500, "currency": currency}
    rows = await house.database.fetch("select currency, amounts from ledger")
    assert [(row["currency"], row["amounts"]) for row in rows] == [(currency, [1500, -1500])]


# --- used


async def test_a_card_pays_a_booking_alone(house: House) -> None:
    sold, showtime_id = await card(house, 3000), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    made = await book_by_card(house, "ada", showtime_id, hold_id, sold["code"], key="one")
    assert made.status == 201, made
    payment = made.data["payment"]
    assert (made.data["status"], payment["status"], payment["method"]) == (
        *("confirmed", "succeeded", "gift_card"),
    )
    assert payment["amount"] == made.data["total"] == {"amount": 2000, "currency": "EUR"}
    assert "due" not in payment
    assert await left(house, sold["id"]) == 1000
    assert await accounts(house, made.data["id"]) == {"gift_cards": 2000, "deferred": -2000}
    assert await accounts(house) == {"demo": 3000, "gift_cards": -1000, "deferred": -2000}
    again = await book_by_card(house, "ada", showtime_id, hold_id, sold["code"], key="one")
    assert again.data == made.data
    assert await left(house, sold["id"]) == 1000


async def test_a_repetition_is_answered_though_the_card_is_empty_by_now(house: House) -> None:
    sold, showtime_id = await card(house, 1000), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    first, again = [
        await book_by_card(house, "ada", showtime_id, hold_id, sold["code"], key="one")
        for _ in range(2)
    ]
    assert (first.status, first.data) == (again.status, again.data)
    other = await house.held("ada", showtime_id, "A3")
    empty = await book_by_card(house, "ada", showtime_id, other, sold["code"])
    assert empty.error == (409, "GIFT_CARD_UNUSABLE")
    assert empty.details == {"reason": "empty"}


async def test_a_card_pays_a_part_and_another_method_the_rest(house: House, database: str) -> None:
    sold, showtime_id = await card(house, 700), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    assert (made["status"], made["payment"]["status"]) == ("pending", "pending")
    assert made["payment"]["amount"]["amount"] == 700
    assert made["payment"]["due"]["amount"] == 1300
    assert await left(house, sold["id"]) == 0
    paid = await process(house, "ada", made["id"], method="demo")
    assert paid.status == 200, paid
    payment = paid.data["payment"]
    assert (paid.data["status"], payment["status"], payment["method"]) == (
        *("confirmed", "succeeded", "demo"),
    )
    assert payment["amount"]["amount"] == paid.data["total"]["amount"] == 2000
    (part,) = payment["parts"]
    assert (part["method"], part["amount"]["amount"]) == ("gift_card", 700)
    assert part["id"] == made["payment"]["id"]
    assert await accounts(house, made["id"]) == {
        "gift_cards": 700,
        "demo": 1300,
        "deferred": -2000,
    }
    (listed,) = await get(house, "ada", "bookings")
    assert listed["payment"]["parts"] == payment["parts"]
    assert (await get(house, "ada", f"payments/{part['id']}"))["status"] == "succeeded"
    await credited(house, database)
    states = await house.database.fetch(
        "select state from gift_card_uses where card_id = $1", sold["id"]
    )
    assert [row["state"] for row in states] == ["used"]
    assert await left(house, sold["id"]) == 0


async def test_staff_take_the_rest_at_the_counter(house: House) -> None:
    sold, showtime_id = await card(house, 400), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    paid = await process(house, "staff", made["id"])
    assert paid.data["status"] == "confirmed", paid
    assert await accounts(house, made["id"]) == {
        "gift_cards": 400,
        "cash": 600,
        "deferred": -1000,
    }


async def test_a_card_takes_the_place_of_what_was_to_be_paid_otherwise(
    house: House, bank: Bank
) -> None:
    sold, showtime_id = await card(house, 400), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    part = await pay_by_card(house, "ada", made["id"], sold["code"])
    assert part.status == 200, part
    assert part.data["payment"]["due"]["amount"] == 600
    assert bank.intents[made["payment"]["id"]] == "cancelled"
    rest = (await process(house, "ada", made["id"], method="stripe")).data
    assert rest["payment"]["amount"]["amount"] == 600
    bank.pay(rest)
    paid = (await process(house, "ada", made["id"], method="stripe")).data
    assert (paid["status"], paid["payment"]["amount"]["amount"]) == ("confirmed", 1000)
    assert await accounts(house, made["id"]) == {
        "gift_cards": 400,
        "stripe": 600,
        "deferred": -1000,
    }


async def test_a_card_can_pay_all_of_a_reservation(house: House) -> None:
    await verify(house, "ada")
    sold, showtime_id = await card(house, 1500), await house.showtime()
    made = await reserve(house, "ada", showtime_id, "A1")
    paid = await pay_by_card(house, "ada", made["id"], sold["code"])
    assert (paid.status, paid.data["status"]) == (200, "confirmed"), paid
    assert await left(house, sold["id"]) == 500
    again = await pay_by_card(house, "ada", made["id"], sold["code"])
    assert again.data["status"] == "confirmed"
    assert await left(house, sold["id"]) == 500


async def test_another_card_does_not_take_the_place_of_the_first(house: House) -> None:
    first, second = await card(house, 400), await card(house, 400)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, first["code"])).data
    other = await pay_by_card(house, "ada", made["id"], second["code"])
    assert other.error == (409, "PAYMENT_IN_PROGRESS")
    assert [await left(house, one["id"]) for one in (first, second)] == [0, 400]


async def test_of_two_who_use_a_card_at_once_none_gets_more_than_is_there(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 2, "columns": 12})
    showtime_id = await house.showtime(screen_id=screen_id, live_holds_per_customer=50)
    sold = await card(house, 2500)
    holds = [await house.held("ada", showtime_id, f"A{number}") for number in range(1, 9)]
    made = await asyncio.gather(
        *(book_by_card(house, "ada", showtime_id, one, sold["code"]) for one in holds)
    )
    answers = [one.data for one in made if one.status == 201]
    confirmed = [one for one in answers if one["status"] == "confirmed"]
    parts = [one["payment"]["amount"]["amount"] for one in answers if "due" in one["payment"]]
    assert len(confirmed) == 2
    assert parts == [500]
    assert await left(house, sold["id"]) == 0
    assert {one.error for one in made if one.status != 201} <= {(409, "GIFT_CARD_UNUSABLE")}


async def test_two_clicks_put_money_aside_once(house: House) -> None:
    await verify(house, "ada")
    sold, showtime_id = await card(house, 400), await house.showtime()
    made = await reserve(house, "ada", showtime_id, "A1")
    answers = await asyncio.gather(
        *(pay_by_card(house, "ada", made["id"], sold["code"]) for _ in range(6))
    )
    assert {one.status for one in answers} == {200}, answers
    assert await left(house, sold["id"]) == 0
    assert await house.database.fetchval("select count(*) from gift_card_uses") == 1


async def test_a_booking_by_card_says_what_is_wrong(house: House) -> None:
    sold, showtime_id = await card(house), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    body = {"showtime_id": showtime_id, "hold_id": hold_id}
    for payment in ({"method": "gift_card"}, {"method": "demo", "code": sold["code"]}):
        wrong = await house.ask("ada", "POST", "bookings", {**body, "payment": payment})
        assert wrong.error == (400, "VALIDATION_ERROR")
        assert wrong.details["path"] == "$.payment.code"
    far = await far_away(house, "JPY")
    other = await book_by_card(house, "ada", showtime_id, hold_id, far["code"])
    assert (other.error, other.details) == ((409, "GIFT_CARD_UNUSABLE"), {"reason": "currency"})
    await verify(house, "ada")
    reserved = await reserve(house, "ada", showtime_id, "A3")
    other = await pay_by_card(house, "ada", reserved["id"], far["code"])
    assert (other.error, other.details) == ((409, "GIFT_CARD_UNUSABLE"), {"reason": "currency"})
    await house.database.execute("update gift_cards set expires_at = now()")
    old = await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])
    assert (old.error, old.details) == ((409, "GIFT_CARD_UNUSABLE"), {"reason": "expired"})
    assert (await house.book("ada", showtime_id, hold_id)).status == 201, "the hold is still there"


# --- given back


async def test_an_abandoned_booking_gives_the_card_back_what_it_has_put_aside(
    house: House, clocks: Clocks, database: str
) -> None:
    sold, showtime_id = await card(house, 400), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    assert await credited(house, database) == 0, "it is still being paid"
    clocks.ahead_s += 601
    assert await give_up(house, clocks, database) == 1
    await credited(house, database)
    assert await left(house, sold["id"]) == 400
    assert await credited(house, database) == 0
    ended = await get(house, "ada", f"bookings/{made['id']}")
    assert (ended["status"], ended["payment"]["status"]) == ("expired", "failed")
    assert await accounts(house, made["id"]) == {}


@pytest.mark.parametrize("method", ["gift_card", "points"])
async def test_what_is_put_aside_in_the_moment_in_which_a_booking_ends_goes_back(
    house: House, clocks: Clocks, database: str, method: str
) -> None:
    sold = await card(house, 400)
    await points.give(house, "ada", 300)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    booking_id = UUID(made["id"])
    clocks.ahead_s += 601
    assert await give_up(house, clocks, database) == 1
    # Whoever has added it has seen the booking as it was before.
    await house.database.execute(
        "insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)"
        " values ($1, $1, $2, 'created', 1000, 'EUR', $3)",
        *(booking_id, method, from_us(clocks.database.now_us())),
    )
    attempt = await house.node.attempts.find(booking_id)
    assert attempt is not None
    if method == "gift_card":
        await house.database.execute(
            "insert into gift_card_uses (payment_id, card_id, chosen_at) values ($1, $2, now())",
            *(booking_id, UUID(sold["id"])),
        )
    begun = await house.node.attempts.begin(attempt.id)
    assert begun is not None
    assert begun.reserved
    await end_left(clocks, database)
    kept = await house.node.attempts.find(attempt.id)
    assert kept is not None
    assert kept.status == "pending", "a request may be under way"
    clocks.ahead_s += 61
    assert not await end_left(clocks, database)
    ended = await house.node.attempts.find(attempt.id)
    assert ended is not None
    assert ended.status == "failed"
    await credited(house, database)
    assert await left(house, sold["id"]) == 400
    await points.credited(house, database)
    assert await points.left(house, "ada") == 300


async def test_who_gives_up_what_was_paid_in_this_moment_gets_the_money_back(
    house: House, bank: Bank
) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    # Its bank has not told of it yet.
    bank.pay(made)
    ended = await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    assert (ended.status, ended.data["status"]) == (200, "cancelled")
    await refunded(house, made["id"])
    assert [amount for _, amount in bank.refunds.values()] == [made["total"]["amount"]]
    assert await accounts(house, made["id"]) == {}


async def test_a_rest_that_comes_too_late_buys_nothing_and_goes_back(
    house: House, clocks: Clocks, database: str, bank: Bank
) -> None:
    """The seats are free, but what the card had put aside is gone."""
    sold, showtime_id = await card(house, 400), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    rest = (await process(house, "ada", made["id"], method="stripe")).data
    clocks.ahead_s += 601
    assert await give_up(house, clocks, database) == 1
    bank.intents[rest["payment"]["id"]] = "paid"
    attempt = await house.node.attempts.find(UUID(rest["payment"]["id"]))
    assert attempt is not None
    await house.node.attempts.settle(attempt)
    await refunded(house, made["id"])
    await credited(house, database)
    assert await house.statuses(showtime_id) == {}
    assert await house.database.fetchval("select reason from refunds") == "BOOKING_ENDED"
    assert await left(house, sold["id"]) == 400
    assert [status for status, _ in bank.refunds.values()] == ["succeeded"]
    assert await accounts(house, made["id"]) == {}


async def test_a_cancelled_showtime_gives_cards_back_what_they_paid_and_put_aside(
    house: House, database: str
) -> None:
    whole, part = await card(house, 1000), await card(house, 300)
    showtime_id = await house.showtime()
    first = await house.held("ada", showtime_id, "A1")
    second = await house.held("bob", showtime_id, "A3")
    paid = (await book_by_card(house, "ada", showtime_id, first, whole["code"])).data
    pending = (await book_by_card(house, "bob", showtime_id, second, part["code"])).data
    assert (paid["status"], pending["status"]) == ("confirmed", "pending")
    await cancel_showtime(house, showtime_id)
    await credited(house, database)
    assert await left(house, part["id"]) == 300
    async with asyncio.timeout(PATIENCE_S):
        while await left(house, whole["id"]) != 1000:
            await look_again()
    await refunded(house, paid["id"])
    assert await accounts(house, paid["id"]) == await accounts(house, pending["id"]) == {}


async def test_refunds_go_back_by_the_last_method_first(house: House, database: str) -> None:
    sold, showtime_id = await card(house, 700), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    await process(house, "ada", made["id"], method="demo")
    one = await house.ask("ada", "DELETE", f"bookings/{made['id']}?seats=A1")
    assert one.status == 200, one
    assert one.data["payment"]["refunded"]["amount"] == 1000
    assert await left(house, sold["id"]) == 0
    seen = await get(house, "ada", f"bookings/{made['id']}")
    assert seen["payment"]["status"] == "partially_refunded"
    assert seen["total"]["amount"] == 1000
    both = await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    assert both.status == 200, both
    await refunded(house, made["id"])
    assert await left(house, sold["id"]) == 700
    seen = await get(house, "ada", f"bookings/{made['id']}")
    assert (seen["status"], seen["payment"]["status"]) == ("cancelled", "refunded")
    assert seen["payment"]["refunded"]["amount"] == 2000
    assert "refund_pending" not in seen["payment"]
    assert seen["payment"]["parts"][0]["refunded"]["amount"] == 700
    assert await accounts(house, made["id"]) == {}


async def test_a_refund_makes_an_expired_card_usable_again(house: House) -> None:
    sold, showtime_id = await card(house, 1000), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    await house.database.execute("update gift_cards set expires_at = now()")
    await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    await refunded(house, made["id"])
    body = {"code": sold["code"]}
    seen = (await house.ask("ada", "POST", "gift-cards/balance", body)).data
    assert (seen["status"], seen["balance"]["amount"]) == ("active", 1000)


async def test_a_refund_to_a_disabled_card_waits_for_staff(house: House) -> None:
    sold, showtime_id = await card(house, 1000), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    path = f"gift-cards/{sold['id']}"
    assert (await house.ask("manager elsewhere", "GET", path)).error == (404, "NOT_FOUND")
    off = await house.ask("manager", "POST", f"{path}/disable", {"reason": "Lost."})
    assert (off.data["status"], off.data["disabled_reason"]) == ("disabled", "Lost.")
    again = await house.ask("manager", "POST", f"{path}/disable", {"reason": "Again."})
    assert again.data == off.data
    other = await house.held("ada", showtime_id, "A3")
    refused = await book_by_card(house, "ada", showtime_id, other, sold["code"])
    assert refused.details == {"reason": "disabled"}
    await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    await refunded(house, made["id"])
    (failed,) = await get(house, "manager", "payments/refunds")
    assert (failed["status"], failed["error_code"]) == ("failed", "GIFT_CARD_DISABLED")
    assert await left(house, sold["id"]) == 0
    audited = await house.database.fetch(
        "select action from audit_log where target_id = $1", UUID(sold["id"])
    )
    assert [row["action"] for row in audited] == ["gift_card_disabled"]
    # What waits for staff goes to the card that takes its place.
    refund = f"payments/refunds/{failed['id']}/retry"
    new, repeated = [
        await house.ask("manager", "POST", f"{path}/replace", {"reason": "Lost."}, key="one")
        for _ in range(2)
    ]
    assert (new.status, new.data) == (201, repeated.data)
    assert new.data["amount"]["amount"] == 0
    assert (await house.ask("manager", "POST", refund)).status == 200
    await refunded(house, made["id"])
    (second,) = new.data["cards"]
    assert await left(house, second["id"]) == 1000
    assert await accounts(house, made["id"]) == {}
    entries = await get(house, "manager", f"{path}/entries")
    assert [(one["kind"], one["amount"]) for one in entries] == [
        ("sold", 1000),
        ("reserved", -1000),
    ]
    listed = await get(house, "manager", f"gift-cards?cinema_id={house.cinema_id}")
    assert [(one["id"], one["status"], one["replaced_by"]) for one in listed] == [
        (sold["id"], "disabled", second["id"]),
        (second["id"], "active", None),
    ]
    assert all("code" not in one for one in listed)


async def test_a_lost_card_is_replaced_with_all_that_belongs_to_it(
    house: House, clocks: Clocks, database: str
) -> None:
    sold, showtime_id = await card(house, 700), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    small = await card(house, 300)
    await book_by_card(house, "ada", showtime_id, hold_id, small["code"])
    cards = [sold["id"], small["id"]]
    replaced = []
    for card_id in cards:
        path, lost = f"gift-cards/{card_id}/replace", {"reason": "Lost."}
        first = (await house.ask("manager", "POST", path, lost)).data
        again = (await house.ask("manager", "POST", path, lost)).data
        (new,) = first["cards"]
        # Whoever lost the new one too gets a third, and the first hands on to that.
        path = f"gift-cards/{new['id']}/replace"
        (third,) = (await house.ask("manager", "POST", path, lost)).data["cards"]
        # The lost card stands for the one in its place.
        assert again["total"] == first["total"]
        replaced.append((first["total"]["amount"], new, third))
    assert [one[0] for one in replaced] == [700, 0]
    assert await left(house, replaced[0][2]["id"]) == 700
    assert await left(house, replaced[0][1]["id"]) == 0
    for code in (sold["code"], replaced[0][1]["code"]):
        seen = await house.ask("ada", "POST", "gift-cards/balance", {"code": code})
        assert seen.data["status"] == "disabled"
    clocks.ahead_s += 601
    await give_up(house, clocks, database)
    await credited(house, database)
    of_small = await house.database.fetchval(
        "select replaced_by from gift_cards where id = $1", UUID(small["id"])
    )
    assert await left(house, str(of_small)) == 300
    assert await left(house, small["id"]) == 0
    assert await accounts(house) == {"demo": 1000, "gift_cards": -1000}
