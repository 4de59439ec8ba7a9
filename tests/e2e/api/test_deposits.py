"""Deposits of groups: taken in one call, used, given up, and never taken twice or lost."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cinema.domain.rejections import refuse
from cinema.features.ledger.cards import GIFT_CARD
from cinema.features.ledger.methods import UNDER_WAY
from tests.e2e.api.bank import Bank
from tests.e2e.api.billing import documents_of
from tests.e2e.api.deposits import deposit_of, is_due, looked, take, until_ended
from tests.e2e.api.gift_cards import accounts, card, left, pay_by_card
from tests.e2e.api.house import UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.paying import end_left, get, process, reserve, verify
from tests.support.money import money_faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_TAKEN = (409, "DEPOSIT_NOT_TAKEN")
SEATS = ("A1", "A2", "A3", "A4")
TOTAL, DEPOSIT, KEEPS = 4000, 1000, 500


async def group(house: House, **times: Any) -> Any:
    """A reservation of staff for a group, fifty minutes before its showtime."""
    await verify(house, "staff")
    await house.till("staff")
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(minutes=50))
    return await reserve(house, "staff", showtime_id, *SEATS)


async def till_and_cards(house: House) -> tuple[int, int]:
    """What is in the tills, and on gift cards."""
    all_of_it = await accounts(house)
    return all_of_it.get("cash", 0), -all_of_it.get("gift_cards", 0)


async def card_of(house: House, booking_id: str) -> str:
    value = await house.database.fetchval(
        "select card_id::text from deposits where booking_id = $1", booking_id
    )
    return str(value)


async def test_a_deposit_is_taken_in_one_call_and_the_rest_confirms(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)
        taken = await take(house, booking["id"])
        assert taken.status == 201
        deposit = taken.data
        assert (deposit["status"], deposit["card"]) == ("taken", None)
        assert (deposit["amount"]["amount"], deposit["keeps"]["amount"]) == (DEPOSIT, KEEPS)
        assert deposit["pay_until"] == booking["payment"]["pay_until"]
        shown = await get(house, "staff", f"bookings/{booking['id']}")
        assert (shown["status"], shown["payment"]["due"]["amount"]) == ("pending", TOTAL - DEPOSIT)
        assert await accounts(house) == {"cash": DEPOSIT, "gift_cards": -DEPOSIT}

        paid = await process(house, "staff", booking["id"])
        assert (paid.status, paid.data["status"]) == (200, "confirmed")
        ended = await until_ended(house, clocks, database, booking["id"])
        assert (ended["status"], ended["kept"]["amount"]) == ("used", 0)
        assert ended["card"]["balance"]["amount"] == 0
        assert ended["card"]["code"] is None
        (invoice,) = await documents_of(house, "staff", booking["id"], 1)
        assert invoice["total"] == booking["total"]
        assert (await accounts(house))["cash"] == TOTAL
        assert await money_faults(house.database) == []


@pytest.mark.parametrize("way", ["in time", "by staff"])
async def test_what_was_agreed_is_kept_if_it_is_given_up_and_the_rest_is_on_a_card(
    database: str, clocks: Clocks, way: str
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)
        assert (await take(house, booking["id"])).status == 201
        if way == "in time":
            clocks.ahead_s = 20 * 60 + 5
        else:
            ended = await house.ask("staff", "DELETE", f"bookings/{booking['id']}")
            assert ended.status == 200
        deposit = await until_ended(house, clocks, database, booking["id"])
        assert (deposit["status"], deposit["kept"]["amount"]) == ("given_up", KEEPS)
        assert deposit["card"]["balance"]["amount"] == DEPOSIT - KEEPS
        assert await house.statuses(booking["showtime_id"]) == {}
        assert await accounts(house) == {
            "cash": DEPOSIT,
            "gift_cards": KEEPS - DEPOSIT,
            "revenue": -KEEPS,
        }
        assert await left(house, deposit["card"]["id"]) == DEPOSIT - KEEPS
        assert await looked(house, database) == 0
        # What is left pays like any other card.
        showtime_id = await house.showtime()
        other = await reserve(house, "staff", showtime_id, "B1")
        used = await pay_by_card(house, "staff", other["id"], deposit["card"]["code"])
        assert used.status == 200
        assert await left(house, deposit["card"]["id"]) == 0
        assert await money_faults(house.database) == []


async def test_nothing_is_kept_of_whoever_is_called_off(database: str, clocks: Clocks) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)
        assert (await take(house, booking["id"])).status == 201
        showtime = f"showtimes/{booking['showtime_id']}"
        version = (await house.ask(None, "GET", showtime)).headers["ETag"]
        cancelled = await house.ask(
            *("manager", "DELETE", f"{showtime}?reason=no+heating"), headers={"If-Match": version}
        )
        assert cancelled.status == 202
        deposit = await until_ended(house, clocks, database, booking["id"])
        assert (deposit["status"], deposit["kept"]["amount"]) == ("given_up", 0)
        assert deposit["card"]["balance"]["amount"] == DEPOSIT
        assert await money_faults(house.database) == []


async def test_a_deposit_that_nobody_has_put_aside_is_put_aside_later(
    database: str, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)

        async def nobody(*_values: Any) -> None:
            raise refuse("RETRY")

        with monkeypatch.context() as away:
            away.setattr(house.node.attempts, "resume", nobody)
            taken = await take(house, booking["id"])
            assert (taken.status, taken.data["status"]) == (201, "taken")
            assert await left(house, await card_of(house, booking["id"])) == DEPOSIT
        await looked(house, database)
        assert await left(house, await card_of(house, booking["id"])) == 0
        shown = await get(house, "staff", f"bookings/{booking['id']}")
        assert shown["payment"]["due"]["amount"] == TOTAL - DEPOSIT


async def test_a_booking_that_is_paid_without_its_deposit_leaves_it_on_the_card(
    database: str, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)
        resume = house.node.attempts.resume

        async def no_cards(payable: Any, method: Any, *more: Any) -> Any:
            if method.name == GIFT_CARD:
                raise refuse("RETRY")
            return await resume(payable, method, *more)

        with monkeypatch.context() as away:
            # Nobody puts it aside, neither this call nor a node that looks.
            away.setattr(house.node.attempts, "resume", no_cards)
            assert (await take(house, booking["id"])).status == 201
            paid = await process(house, "staff", booking["id"])
            assert paid.data["status"] == "confirmed"
        deposit = await until_ended(house, clocks, database, booking["id"])
        assert (deposit["status"], deposit["kept"]["amount"]) == ("returned", 0)
        assert deposit["card"]["balance"]["amount"] == DEPOSIT
        assert (await accounts(house))["cash"] == TOTAL + DEPOSIT
        assert await money_faults(house.database) == []


async def test_money_that_the_end_of_the_booking_has_not_seen_comes_back(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)
        assert (await take(house, booking["id"])).status == 201
        # As if it had been put aside in the moment in which the booking ended.
        await house.database.execute(
            "update bookings set status = 'expired' where id = $1", booking["id"]
        )
        await looked(house, database)
        assert (await deposit_of(house, booking["id"]))["status"] == "taken", "it is waited for"
        clocks.ahead_s += 61
        await end_left(clocks, database)
        deposit = await until_ended(house, clocks, database, booking["id"])
        assert (deposit["status"], deposit["kept"]["amount"]) == ("given_up", KEEPS)
        assert deposit["card"]["balance"]["amount"] == DEPOSIT - KEEPS


async def test_a_booking_has_one_deposit_however_often_it_is_asked_for(house: House) -> None:
    booking = await group(house)
    cash, cards = await till_and_cards(house)
    answers = await asyncio.gather(*(take(house, booking["id"], key="k") for _ in range(4)))
    assert {answer.status for answer in answers} == {201}
    others = await asyncio.gather(*(take(house, booking["id"]) for _ in range(4)))
    assert {other.error for other in others} == {NOT_TAKEN}
    assert {other.details["reason"] for other in others} == {"has_deposit"}
    assert await till_and_cards(house) == (cash + DEPOSIT, cards + DEPOSIT)
    assert (await take(house, booking["id"], key="k")).data == await deposit_of(
        house, booking["id"]
    )


async def test_a_deposit_that_there_is_stops_no_payment_of_the_rest(house: House) -> None:
    house.node.attempts.methods.add(Bank())
    booking = await group(house)
    assert (await take(house, booking["id"], key="first")).status == 201
    begun = await process(house, "staff", booking["id"], method="stripe")
    assert (begun.status, begun.data["payment"]["status"]) == (200, "pending")
    assert (await take(house, booking["id"], key="first")).status == 201
    assert (await take(house, booking["id"])).details["reason"] == "has_deposit"
    rest = await house.node.attempts.find(UUID(begun.data["payment"]["id"]))
    assert rest is not None
    assert rest.status in UNDER_WAY


async def test_a_booking_of_a_series_that_is_being_decided_takes_no_deposit(house: House) -> None:
    booking = await group(house)
    await house.database.execute(
        """
        with whole as (
            insert into series (id, customer_id, payment_method, total_minor, currency, started_at,
                commit_until)
            select $1, user_id, 'demo', total_minor, currency, now(), now() + interval '1 hour'
            from bookings where id = $1
        )
        insert into series_bookings (
            series_id, place, showtime_id, hold_id, booking_id, code, payment_id
        )
        select $1, 0, showtime_id, hold_id, id, code, $1 from bookings where id = $1""",
        UUID(booking["id"]),
    )
    refused = await take(house, booking["id"])
    assert (refused.error, refused.details["reason"]) == (NOT_TAKEN, "waits")


async def test_a_card_that_nobody_may_use_is_not_tried_again_and_again(
    database: str, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)

        async def nobody(*_values: Any) -> None:
            raise refuse("RETRY")

        with monkeypatch.context() as away:
            away.setattr(house.node.attempts, "resume", nobody)
            assert (await take(house, booking["id"])).status == 201
            await house.database.execute("update gift_cards set disabled_at = now()")
        count = "select count(*) from payments where booking_id = $1"
        before = await house.database.fetchval(count, booking["id"])
        for _ in range(3):
            await looked(house, database)
        assert await house.database.fetchval(count, booking["id"]) == before


async def test_two_who_take_a_deposit_at_once_take_one(house: House) -> None:
    booking = await group(house)
    cash, cards = await till_and_cards(house)
    answers = await asyncio.gather(*(take(house, booking["id"]) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    assert await till_and_cards(house) == (cash + DEPOSIT, cards + DEPOSIT)


async def test_who_takes_deposits_and_for_what(house: House) -> None:
    booking = await group(house)
    before = await till_and_cards(house)
    for person, error in (
        ("ada", (403, "FORBIDDEN")),
        ("staff elsewhere", (404, "NOT_FOUND")),
        ("manager elsewhere", (404, "NOT_FOUND")),
        ("manager", (409, "CASH_SESSION_REQUIRED")),
    ):
        assert (await take(house, booking["id"], person)).error == error, person
    assert (await take(house, UNKNOWN_ID)).error == (404, "NOT_FOUND")
    none = await house.ask("staff", "GET", f"bookings/{booking['id']}/deposit")
    assert none.error == (404, "NOT_FOUND")
    wrong = await take(house, booking["id"], payment={"method": "demo", "tender": "cash"})
    assert wrong.error == (400, "VALIDATION_ERROR")
    nobody = await take(house, booking["id"], contact={"email": "nobody"})
    assert nobody.error == (400, "VALIDATION_ERROR")
    assert await till_and_cards(house) == before

    sold = await card(house, 500)
    part = await pay_by_card(house, "staff", booking["id"], sold["code"])
    assert part.data["status"] == "pending"
    again = await take(house, booking["id"])
    assert (again.error, again.details) == (NOT_TAKEN, {"reason": "part_paid"})
    paid = await process(house, "staff", booking["id"])
    assert paid.data["status"] == "confirmed"
    late = await take(house, booking["id"])
    assert (late.error, late.details) == (NOT_TAKEN, {"reason": "ended"})


async def test_the_contact_is_reminded_before_the_rest_is_due(house: House) -> None:
    await verify(house, "staff")
    await house.till("staff")
    showtime_id = await house.showtime()
    booking = await reserve(house, "staff", showtime_id, *SEATS)
    contact = {"email": " School@Example.org ", "language": "de"}
    taken = await take(house, booking["id"], contact=contact, remind_before_hours=1)
    due = datetime.fromisoformat(booking["payment"]["pay_until"])
    assert datetime.fromisoformat(taken.data["remind_at"]) == due - timedelta(hours=1)
    message = await house.database.fetchrow(
        "select * from messages where dedupe_key = 'deposit_rest_due:' || $1::text", booking["id"]
    )
    assert message["recipient"] == "School@Example.org"
    assert (message["kind"], message["language"]) == ("deposit_rest_due", "de")
    assert message["send_at"] == due - timedelta(hours=1)


async def test_the_mail_is_sent_only_while_the_rest_is_due_at_the_moment_that_it_names(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks) as house:
        booking = await group(house)
        until = await house.database.fetchval(
            "select to_char(b.pay_until at time zone c.time_zone, 'YYYY-MM-DD HH24:MI')"
            " from bookings b join showtimes t on t.id = b.showtime_id"
            " join cinemas c on c.id = t.cinema_id where b.id = $1",
            booking["id"],
        )
        assert not await is_due(database, booking["id"], until)
        assert (await take(house, booking["id"])).status == 201
        assert await is_due(database, booking["id"], until)
        assert not await is_due(database, booking["id"], "2026-01-01 20:00")
        assert (await process(house, "staff", booking["id"])).data["status"] == "confirmed"
        assert not await is_due(database, booking["id"], until)
