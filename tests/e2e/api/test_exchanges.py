"""Bookings that are given up for seats of another showtime, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from cinema.domain.showtime.commands import StartPayment
from cinema.domain.showtime.payment_decisions import start_payment
from tests.e2e.api.billing import documents_of
from tests.e2e.api.house import UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import get, give_up, reserve, verify
from tests.support import inspection

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def exchange(
    house: House,
    person: str,
    booking_id: str,
    showtime_id: str,
    hold_id: str,
    *,
    key: str | None = None,
    **payment: str,
) -> Answer:
    body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id}
    if payment:
        body["payment"] = payment
    return await house.ask(person, "POST", f"bookings/{booking_id}/exchange", body, key=key)


def paid(booking: Any) -> tuple[int, int, int]:
    """What a booking costs, what was paid for it, and what went back."""
    payment = booking["payment"]
    back = payment.get("refunded", {"amount": 0})["amount"]
    return booking["total"]["amount"], payment["amount"]["amount"], back


async def states(house: House) -> list[str]:
    """Of the exchanges in the database that were not settled before."""
    rows = await house.database.fetch("select state from exchanges order by started_at")
    return [row[0] for row in rows]


async def test_a_booking_is_exchanged_for_seats_that_cost_as_much(house: House) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1", "A2")
    hold_id = await house.held("ada", new_id, "A4", "A5")
    answer = await exchange(house, "ada", booking_id, new_id, hold_id, key="one")
    assert answer.status == 200, answer
    new = answer.data
    assert (new["status"], new["showtime_id"]) == ("confirmed", new_id)
    assert [seat["label"] for seat in new["seats"]] == ["A4", "A5"]
    assert paid(new) == (2000, 2000, 0)
    assert await house.statuses(old_id) == {}
    assert await house.statuses(new_id) == {"A4": "booked", "A5": "booked"}
    assert (await get(house, "ada", f"bookings/{booking_id}"))["status"] == "cancelled"
    again = await exchange(house, "ada", booking_id, new_id, hold_id, key="one")
    assert again.data == new
    assert (await exchange(house, "ada", booking_id, new_id, hold_id)).error == (
        409,
        "BOOKING_ENDED",
    )
    other = await house.held("ada", new_id, "A7")
    answer = await exchange(house, "ada", booking_id, new_id, other, key="one")
    assert answer.error == (422, "IDEMPOTENCY_MISMATCH")
    assert await faults_of(house) == []
    invoice, ended = await documents_of(house, "ada", booking_id, 2)
    assert (ended["kind"], ended["total"]) == ("cancellation", invoice["total"])
    (invoice,) = await documents_of(house, "ada", new["id"], 1)
    assert invoice["total"]["amount"] == 2000


async def test_dearer_seats_are_paid_with_the_exchange_and_all_of_it_goes_back_where_it_came_from(
    house: House,
) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1", "A2")
    hold_id = await house.held("ada", new_id, "B1", "B2", "B3")
    unpaid = await exchange(house, "ada", booking_id, new_id, hold_id)
    assert unpaid.error == (409, "PAYMENT_REQUIRED")
    assert unpaid.details == {"amount": {"amount": 1750, "currency": "EUR"}}
    assert await house.statuses(old_id) == {"A1": "booked", "A2": "booked"}
    new = (await exchange(house, "ada", booking_id, new_id, hold_id, method="demo")).data
    assert paid(new) == (3750, 3750, 0)
    assert await faults_of(house) == []
    part = (await house.ask("ada", "DELETE", f"bookings/{new['id']}?seats=B3")).data
    assert paid(part) == (2500, 3750, 1250)
    assert await faults_of(house) == []
    whole = (await house.ask("ada", "DELETE", f"bookings/{new['id']}")).data
    assert (whole["status"], *paid(whole)[1:]) == ("cancelled", 3750, 3750)
    assert await faults_of(house) == []
    moved = await house.database.fetchval(
        "select sum(amount) from ledger_lines where account = 'exchange'"
    )
    assert moved == 0


async def test_what_is_left_over_goes_back(house: House) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "B1", "B2")
    hold_id = await house.held("ada", new_id, "A1")
    new = (await exchange(house, "ada", booking_id, new_id, hold_id)).data
    assert paid(new) == (1000, 1000, 0)
    assert paid(await get(house, "ada", f"bookings/{booking_id}"))[1:] == (2500, 2500)
    kinds = "select kind, amount_minor::int from refunds where booking_id = $1 order by kind"
    rows = await house.database.fetch(kinds, booking_id)
    assert [tuple(row) for row in rows] == [("cancellation", 1500), ("exchange", 1000)]
    assert await faults_of(house) == []


async def test_an_exchange_of_an_exchange_gives_back_what_was_paid_first(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(3)]
    booking_id = await house.booked("ada", showtimes[0], "A1")
    first = await house.database.fetchval(
        "select id::text from payments where booking_id = $1", booking_id
    )
    for showtime_id in showtimes[1:]:
        hold_id = await house.held("ada", showtime_id, "A3")
        booking_id = (await exchange(house, "ada", booking_id, showtime_id, hold_id)).data["id"]
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    (row,) = await house.database.fetch(
        "select payment_id::text, amount_minor::int from refunds where booking_id = $1", booking_id
    )
    assert tuple(row) == (first, 1000)
    assert await faults_of(house) == []


async def test_what_cannot_be_exchanged_is_refused_and_changes_nothing(house: House) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1")
    hold_id = await house.held("ada", new_id, "A1")
    same = await house.held("ada", old_id, "A4")
    assert (await exchange(house, "ada", booking_id, old_id, same)).error[0] == 400
    assert (await exchange(house, "bob", booking_id, new_id, hold_id)).error[0] == 404
    assert (await exchange(house, "ada", UNKNOWN_ID, new_id, hold_id)).error[0] == 404
    assert (await exchange(house, "ada", booking_id, new_id, UNKNOWN_ID)).error[0] == 404
    theirs = await house.held("bob", new_id, "A5")
    assert (await exchange(house, "ada", booking_id, new_id, theirs)).error[0] == 404
    by_hand = await exchange(house, "ada", booking_id, new_id, hold_id, method="exchange")
    assert by_hand.error == (422, "UNKNOWN_PAYMENT_METHOD")
    assert (await house.book("ada", new_id, hold_id, method="exchange")).error == (
        422,
        "UNKNOWN_PAYMENT_METHOD",
    )
    await verify(house, "ada")
    waiting = await reserve(house, "ada", old_id, "A7")
    assert (await exchange(house, "ada", waiting["id"], new_id, hold_id)).error == (
        409,
        "PAYMENT_IN_PROGRESS",
    )
    assert (await house.statuses(new_id))["A1"] == "held"
    hold = await get(house, "ada", f"showtimes/{new_id}/holds/{hold_id}")
    assert hold["status"] == "active"
    assert await faults_of(house) == []


async def test_staff_exchange_a_customers_booking_for_seats_that_they_have_held(
    house: House,
) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1", "A2")
    hold_id = await house.held("staff", new_id, "A4", "A5")
    new = (await exchange(house, "staff", booking_id, new_id, hold_id, key="one")).data
    assert (new["status"], paid(new)) == ("confirmed", (2000, 2000, 0))
    assert await get(house, "ada", f"bookings/{new['id']}") == new
    mine = {one["id"]: one["status"] for one in await get(house, "ada", "bookings")}
    assert (mine[new["id"]], mine[booking_id]) == ("confirmed", "cancelled")
    assert new["id"] not in [one["id"] for one in await get(house, "staff", "bookings")]
    again = await exchange(house, "staff", booking_id, new_id, hold_id, key="one")
    assert again.data == new
    assert await house.statuses(old_id) == {}
    assert (await house.ask("ada", "DELETE", f"bookings/{new['id']}")).data["status"] == "cancelled"
    assert await faults_of(house) == []


async def test_staff_take_the_difference_into_their_till(house: House) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1")
    hold_id = await house.held("staff", new_id, "B1")
    await house.till("staff")
    new = (await exchange(house, "staff", booking_id, new_id, hold_id, method="counter")).data
    assert paid(new) == (1250, 1250, 0)
    cash = "select sum(amount)::int from ledger_lines where account = 'cash' and booking_id = $1"
    assert await house.database.fetchval(cash, new["id"]) == 250
    assert await faults_of(house) == []


async def test_who_has_not_held_the_new_seats_or_does_not_work_there_is_refused(
    house: House,
) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1")
    elsewhere = await house.held("staff elsewhere", new_id, "A3")
    refused = await exchange(house, "staff elsewhere", booking_id, new_id, elsewhere)
    assert refused.error == (404, "NOT_FOUND")
    assert (await exchange(house, "staff", booking_id, new_id, elsewhere)).error[0] == 404
    of_manager = await house.held("manager", new_id, "A5")
    assert (await exchange(house, "staff", booking_id, new_id, of_manager)).error[0] == 404
    cinema = {"name": "Far", "city": "Far", "country": "DE", "time_zone": "Europe/Berlin"}
    far = (await house.ask("admin", "POST", "cinemas", {**cinema, "currency": "EUR"})).data["id"]
    screen = {"cinema_id": far, "name": "One", "grid": {"rows": 2, "columns": 8}}
    screen_id = (await house.ask("admin", "POST", "screens", screen)).data["id"]
    far_id = await house.showtime(screen_id=screen_id)
    there = await house.held("staff", far_id, "A1")
    refused = await exchange(house, "staff", booking_id, far_id, there)
    assert refused.error == (403, "FORBIDDEN")
    assert await house.statuses(old_id) == {"A1": "booked"}
    assert await house.statuses(far_id) == {"A1": "held"}
    assert await faults_of(house) == []


async def test_seats_of_staff_are_free_again_if_the_booking_is_given_back_first(
    house: House,
) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", old_id, "A1")
    hold_id = await house.held("staff", new_id, "A4")
    given_back, exchanged = await asyncio.gather(
        house.ask("ada", "DELETE", f"bookings/{booking_id}"),
        exchange(house, "staff", booking_id, new_id, hold_id),
    )
    assert (given_back.status == 200) != (exchanged.status == 200)
    kept = {"A4": "booked"} if exchanged.status == 200 else {}
    statuses = await house.statuses(new_id)
    assert statuses == kept or (exchanged.status != 200 and statuses == {"A4": "held"})
    assert await house.statuses(old_id) == {}
    assert await faults_of(house) == []


async def test_a_node_that_cannot_hand_seats_over_gives_nothing_up(
    database: str, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the version before leaves the hold to staff: the exchange ends, and the seats do."""

    def as_before(state: Any, terms: Any, command: StartPayment, *rest: Any) -> Any:
        command = msgspec.structs.replace(command, for_customer=b"")
        return start_payment(state, terms, command, *rest)

    async with open_house(database, clocks=clocks) as house:
        old_id, new_id = await house.showtime(), await house.showtime()
        booking_id = await house.booked("ada", old_id, "A1")
        hold_id = await house.held("staff", new_id, "A4")
        with monkeypatch.context() as former:
            former.setitem(inspection.deciders(), StartPayment, as_before)
            refused = await exchange(house, "staff", booking_id, new_id, hold_id)
        assert refused.error == (503, "RETRY")
        assert await house.statuses(old_id) == {"A1": "booked"}
        assert await states(house) == ["aborted"]
        clocks.ahead_s += 3600
        await give_up(house, clocks, database)
        assert await house.statuses(new_id) == {}
        hold_id = await house.held("staff", new_id, "A4")
        new = (await exchange(house, "staff", booking_id, new_id, hold_id)).data
        assert (new["status"], paid(new)) == ("confirmed", (1000, 1000, 0))
        assert await faults_of(house) == []


async def test_money_of_an_exchanged_booking_goes_back_without_seats(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(3)]
    booking_id = await house.booked("ada", showtimes[0], "A1", "A2")
    first = await house.database.fetchval(
        "select id::text from payments where booking_id = $1", booking_id
    )
    for showtime_id in showtimes[1:]:
        hold_id = await house.held("ada", showtime_id, "A4", "A5")
        booking_id = (await exchange(house, "ada", booking_id, showtime_id, hold_id)).data["id"]

    async def give(amount: int, **more: str) -> Answer:
        body = {"booking_id": booking_id, "reason": "Rain.", **more}
        body = {**body, "amount": {"amount": amount, "currency": "EUR"}}
        return await house.ask("manager", "POST", "payments/refund", body)

    given = await give(300)
    assert paid(given.data) == (1700, 2000, 300)
    (row,) = await house.database.fetch(
        "select payment_id::text, kind from refunds where booking_id = $1", booking_id
    )
    assert tuple(row) == (first, "goodwill")
    assert await faults_of(house) == []
    on_card = await give(200, to="gift_card")
    assert len(on_card.data["gift_card"]["code"]) > 15
    assert paid(on_card.data) == (1500, 2000, 500)
    too_much = await give(1501)
    assert too_much.error == (409, "REFUND_TOO_HIGH")
    assert too_much.details["left"] == {"amount": 1500, "currency": "EUR"}
    assert await faults_of(house) == []
    whole = (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).data
    assert (whole["status"], *paid(whole)[1:]) == ("cancelled", 2000, 2000)
    assert await faults_of(house) == []


async def test_of_exchanges_at_once_one_counts(house: House) -> None:
    old_id, new_id, other_id = [await house.showtime() for _ in range(3)]
    booking_id = await house.booked("ada", old_id, "A1", "A2")
    holds = [
        (new_id, await house.held("ada", new_id, "A4", "A5")),
        (other_id, await house.held("ada", other_id, "A4", "A5")),
    ]
    answers = await asyncio.gather(
        *[exchange(house, "ada", booking_id, *holds[at % 2]) for at in range(6)]
    )
    done = [answer for answer in answers if answer.status == 200]
    assert len(done) == 1
    assert {answer.status for answer in answers if answer.status != 200} <= {409, 503}
    seats = [*(await house.statuses(new_id)).values(), *(await house.statuses(other_id)).values()]
    assert seats.count("booked") == 2
    assert await faults_of(house) == []


async def test_a_booking_with_products_is_not_exchanged(house: House) -> None:
    old_id, new_id = await house.showtime(), await house.showtime()
    popcorn = {"cinema_id": house.cinema_id, "name": "Popcorn", "category": "popcorn", "price": 650}
    product = (await house.ask("manager", "POST", "concessions", popcorn)).data
    body = {
        "showtime_id": old_id,
        "hold_id": await house.held("ada", old_id, "A1"),
        "payment": {"method": "demo"},
        "concessions": [{"product_id": product["id"], "quantity": 1}],
    }
    booking = (await house.ask("ada", "POST", "bookings", body)).data
    hold_id = await house.held("ada", new_id, "A4")
    answer = await exchange(house, "ada", booking["id"], new_id, hold_id)
    assert answer.error == (409, "PRODUCTS_IN_BOOKING")
    assert await house.statuses(old_id) == {"A1": "booked"}
    handed = {"cinema_id": house.cinema_id, "code": booking["pick_up"]["code"]}
    assert (await house.ask("staff", "POST", "concessions/pick-up", handed)).status == 200
    answer = await exchange(house, "ada", booking["id"], new_id, hold_id)
    assert paid(answer.data) == (1000, 1000, 0)
    assert await faults_of(house) == []
