"""Bookings that are paid later: reserved, paid at the counter, given up, and paid too late."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.e2e.api.billing import documents_of
from tests.e2e.api.gift_cards import accounts, credited, left, pay_by_card, sell
from tests.e2e.api.house import UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.e2e.api.paying import get, give_up, process, reserve, verify
from tests.support.told import TOLD

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_reservation_is_pending_and_paid_at_the_counter(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "B1", "B2")
    showtime = await get(house, None, f"showtimes/{showtime_id}")
    starts_at = datetime.fromisoformat(showtime["starts_at"])
    until = datetime.fromisoformat(booking["payment"]["pay_until"])
    assert (booking["status"], booking["payment"]["status"]) == ("pending", "pending")
    assert starts_at - until == timedelta(minutes=30)
    assert await get(house, "ada", f"bookings/{booking['id']}") == booking
    hold_id = await house.database.fetchval(
        "select hold_id::text from bookings where id = $1", booking["id"]
    )
    hold = await get(house, "ada", f"showtimes/{showtime_id}/holds/{hold_id}")
    assert (hold["status"], hold["expires_at"]) == ("paying", booking["payment"]["pay_until"])
    assert await house.statuses(showtime_id) == {"B1": "held", "B2": "held"}
    payment_id = booking["payment"]["id"]
    payment = await get(house, "ada", f"payments/{payment_id}")
    assert payment["pay_until"] == booking["payment"]["pay_until"]

    paid = await process(house, "staff", booking["id"])
    assert paid.status == 200
    confirmed = paid.data
    assert (confirmed["status"], confirmed["seats"]) == ("confirmed", booking["seats"])
    assert confirmed["payment"]["status"] == "succeeded"
    assert confirmed["payment"]["method"] == "counter"
    assert confirmed["code"] == booking["code"]
    stored = await get(house, "ada", f"bookings/{booking['id']}")
    assert (stored["status"], stored["payment"]) == ("confirmed", confirmed["payment"])
    assert await house.statuses(showtime_id) == {"B1": "booked", "B2": "booked"}
    payment = await get(house, "ada", f"payments/{payment_id}")
    assert (payment["status"], payment["method"]) == ("succeeded", "counter")
    assert payment["pay_until"] is None


async def test_a_payment_counts_once_however_often_it_is_told(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "B1")
    await house.till("staff")
    answers = await asyncio.gather(*(process(house, "staff", booking["id"]) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.data["status"] for answer in answers} == {"confirmed"}
    kinds = await house.database.fetch(
        f"select kind from {TOLD} where booking_id = $1", booking["id"]
    )
    assert [row["kind"] for row in kinds] == ["booking.confirmed"]
    assert (await house.ask("ada", "DELETE", f"bookings/{booking['id']}")).status == 200
    again = await process(house, "staff", booking["id"])
    assert again.error == (409, "BOOKING_ENDED")
    assert await house.statuses(showtime_id) == {}


async def test_who_may_reserve_and_who_takes_the_money(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    answer = await house.book("ada", showtime_id, hold_id, method="counter_later")
    assert answer.error == (409, "EMAIL_NOT_VERIFIED")
    guest = await house.held("guest", showtime_id, "A3")
    answer = await house.book("guest", showtime_id, guest, method="counter_later")
    assert answer.error == (403, "FORBIDDEN")
    await verify(house, "ada", "bob")
    booking = await reserve(house, "ada", showtime_id, "A5")
    for person, error in (
        ("ada", (403, "FORBIDDEN")),
        ("bob", (404, "NOT_FOUND")),
        ("staff elsewhere", (404, "NOT_FOUND")),
        ("manager elsewhere", (404, "NOT_FOUND")),
    ):
        assert (await process(house, person, booking["id"])).error == error, person
    stranger = await house.ask("bob", "GET", f"payments/{booking['payment']['id']}")
    assert stranger.error == (404, "NOT_FOUND")
    unknown = await process(house, "ada", booking["id"], method="barter")
    assert unknown.error == (422, "UNKNOWN_PAYMENT_METHOD")
    assert (await process(house, "staff", UNKNOWN_ID)).error == (404, "NOT_FOUND")
    assert (await house.statuses(showtime_id))["A5"] == "held"
    assert (await process(house, "ada", booking["id"], method="demo")).data["status"] == "confirmed"


async def test_a_hold_that_is_being_paid_cannot_be_changed_or_sold_twice(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    await house.book("ada", showtime_id, hold_id, method="counter_later")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    busy = (409, "PAYMENT_IN_PROGRESS")
    assert (await house.ask("ada", "PATCH", path, {"extend": True})).error == busy
    assert (await house.ask("ada", "DELETE", path)).error == busy
    again = await house.book("ada", showtime_id, hold_id)
    assert again.error == busy
    assert set(again.details) == {"booking_id", "pay_until"}
    part = await house.ask("ada", "DELETE", f"bookings/{again.details['booking_id']}?seats=A1")
    assert part.error == busy
    assert await house.statuses(showtime_id) == {"A1": "held", "A2": "held"}


async def test_a_reservation_is_for_ten_seats_at_most_and_not_for_the_last_half_hour(
    house: House,
) -> None:
    await verify(house, "staff elsewhere", "ada")
    screen_id = await house.screen(grid={"rows": 2, "columns": 12})
    showtime_id = await house.showtime(screen_id=screen_id, seats_per_hold=12)
    # Staff of another cinema are customers here.
    hold_id = await house.held("staff elsewhere", showtime_id, *(f"A{at}" for at in range(1, 12)))
    many = await house.book("staff elsewhere", showtime_id, hold_id, method="counter_later")
    assert many.error == (409, "HOLD_LIMIT")
    assert many.details == {"limit": "unpaid_reservation_seats", "value": 10}
    soon_id = await house.showtime()
    await house.move(soon_id, starts_in=timedelta(minutes=29))
    hold_id = await house.held("ada", soon_id, "A1")
    late = await house.book("ada", soon_id, hold_id, method="counter_later")
    assert late.error == (409, "SALES_CLOSED")
    assert (await house.book("ada", soon_id, hold_id)).status == 201


async def test_staff_reserve_for_groups_until_a_moment_that_they_name(house: House) -> None:
    """More seats than a customer may reserve, for as long as they say, with one invoice."""
    await verify(house, "staff", "ada", "staff elsewhere")
    screen_id = await house.screen(grid={"rows": 2, "columns": 12})
    showtime_id = await house.showtime(screen_id=screen_id)
    showtime = await get(house, None, f"showtimes/{showtime_id}")
    starts_at = datetime.fromisoformat(showtime["starts_at"])
    until = starts_at - timedelta(hours=3)
    hold_id = await house.held("staff", showtime_id, *(f"A{at}" for at in range(1, 13)))

    async def reserved(person: str, held: str, moment: datetime) -> Answer:
        asked = {"method": "counter_later", "pay_until": moment.isoformat()}
        return await house.book(person, showtime_id, held, **asked)

    after = await reserved("staff", hold_id, starts_at + timedelta(seconds=1))
    assert after.error == (400, "VALIDATION_ERROR")
    past = await reserved("staff", hold_id, starts_at - timedelta(days=400))
    assert past.error == (409, "SALES_CLOSED")
    at_once = await house.book("staff", showtime_id, hold_id, pay_until=until.isoformat())
    assert at_once.error == (400, "VALIDATION_ERROR")
    theirs = await house.held("ada", showtime_id, "B1")
    assert (await reserved("ada", theirs, until)).error == (403, "FORBIDDEN")
    elsewhere = await house.held("staff elsewhere", showtime_id, "B2")
    assert (await reserved("staff elsewhere", elsewhere, until)).error == (403, "FORBIDDEN")

    group = (await reserved("staff", hold_id, until)).data
    assert (group["status"], len(group["seats"])) == ("pending", 12)
    assert datetime.fromisoformat(group["payment"]["pay_until"]) == until
    paid = await process(house, "staff", group["id"])
    assert (paid.status, paid.data["status"]) == (200, "confirmed")
    (invoice,) = await documents_of(house, "staff", group["id"], 1)
    assert (len(invoice["lines"]), invoice["total"]["amount"]) == (12, group["total"]["amount"])


@pytest.mark.parametrize("is_paid", [True, False], ids=["paid", "given up"])
async def test_a_group_pays_a_deposit_by_a_card_that_staff_sell_for_it(
    database: str, clocks: Clocks, is_paid: bool
) -> None:
    async with open_house(database, clocks=clocks) as house:
        await verify(house, "staff")
        await house.till("staff")
        showtime_id = await house.showtime()
        await house.move(showtime_id, starts_in=timedelta(minutes=50))
        group = await reserve(house, "staff", showtime_id, "A1", "A2", "A3", "A4")
        at_counter = {"method": "counter", "tender": "cash"}
        (sold,) = (await sell(house, 1000, by="staff", payment=at_counter)).data["cards"]
        deposit = await pay_by_card(house, "staff", group["id"], sold["code"])
        assert (deposit.status, deposit.data["status"]) == (200, "pending")
        due = group["total"]["amount"] - 1000
        assert deposit.data["payment"]["due"]["amount"] == due
        assert deposit.data["payment"]["pay_until"] == group["payment"]["pay_until"]
        assert await left(house, sold["id"]) == 0
        if is_paid:
            paid = await process(house, "staff", group["id"])
            assert (paid.status, paid.data["status"]) == (200, "confirmed")
            (invoice,) = await documents_of(house, "staff", group["id"], 1)
            assert invoice["total"] == group["total"]
            of_group = await accounts(house, group["id"])
            assert (of_group["cash"], of_group["gift_cards"]) == (due, 1000)
            assert (await accounts(house))["cash"] == group["total"]["amount"]
        else:
            clocks.ahead_s = 20 * 60 + 5
            assert await give_up(house, clocks, database) == 1
            await credited(house, database)
            assert await house.statuses(showtime_id) == {}
            assert await left(house, sold["id"]) == 1000
            assert await documents_of(house, "staff", group["id"], 0) == []
            assert await accounts(house) == {"cash": 1000, "gift_cards": -1000}


async def test_staff_reserve_no_more_than_all_they_may(house: House) -> None:
    """What the reservations of one person come to is bounded over all showtimes."""
    await verify(house, "staff")
    showtime_id = await house.showtime()
    reserved = await reserve(house, "staff", showtime_id, "A1", "A2")
    await house.database.execute(
        "insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor)"
        " select $1, 100 + at, gen_random_uuid(), 'Z1', 'regular', 0"
        " from generate_series(1, 198) at",
        reserved["id"],
    )
    hold_id = await house.held("staff", showtime_id, "A4")
    more = await house.book("staff", showtime_id, hold_id, method="counter_later")
    assert more.error == (409, "HOLD_LIMIT")
    assert more.details == {"limit": "unpaid_seats_per_staff", "value": 200}


async def test_a_reservation_can_be_given_up(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    path = f"bookings/{booking['id']}"
    ended = await house.ask("ada", "DELETE", path)
    assert (ended.status, ended.data["status"]) == (200, "cancelled")
    assert ended.data["payment"]["status"] == "failed"
    assert await house.statuses(showtime_id) == {}
    stored = await get(house, "ada", path)
    assert (stored["status"], stored["payment"]["status"]) == ("cancelled", "failed")
    assert stored["seats"] == booking["seats"]
    assert (await house.ask("ada", "DELETE", path)).error == (409, "BOOKING_ENDED")
    assert (await process(house, "staff", booking["id"])).error == (409, "BOOKING_ENDED")
    # Somebody else can have the seat, and the row of the ended booking does not stand in the way.
    await house.booked("bob", showtime_id, "A1")


async def test_what_nobody_pays_is_given_up_and_a_late_payment_gets_only_free_seats(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks) as house:
        await verify(house, "ada", "bob")
        showtime_id = await house.showtime()
        await house.move(showtime_id, starts_in=timedelta(minutes=40))
        free = await reserve(house, "ada", showtime_id, "A1")
        taken = await reserve(house, "bob", showtime_id, "A3", "A4")
        assert await give_up(house, clocks, database) == 0
        clocks.ahead_s = 10 * 60 + 5
        assert await give_up(house, clocks, database) == 2
        assert await give_up(house, clocks, database) == 0
        assert await house.statuses(showtime_id) == {}
        for person, booking in (("ada", free), ("bob", taken)):
            stored = await get(house, person, f"bookings/{booking['id']}")
            assert (stored["status"], stored["payment"]["status"]) == ("expired", "failed")
        await house.booked("ada", showtime_id, "A4")
        late = await process(house, "staff", free["id"])
        assert (late.status, late.data["status"]) == (200, "confirmed")
        refused = await process(house, "staff", taken["id"])
        assert refused.error == (409, "SEAT_UNAVAILABLE")
        assert refused.details == {"seats": ["A4"]}
        assert await house.statuses(showtime_id) == {"A1": "booked", "A4": "booked"}
        stored = await get(house, "ada", f"bookings/{free['id']}")
        assert (stored["status"], stored["payment"]["status"]) == ("confirmed", "succeeded")


async def test_without_a_node_that_looks_the_showtime_ends_it_itself(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks, payment_grace_seconds=120) as house:
        await verify(house, "ada")
        showtime_id = await house.showtime()
        await house.move(showtime_id, starts_in=timedelta(minutes=40))
        booking = await reserve(house, "ada", showtime_id, "A1")
        clocks.ahead_s = 10 * 60 + 100
        assert await house.statuses(showtime_id) == {"A1": "held"}
        clocks.ahead_s = 10 * 60 + 130
        await house.hold("bob", showtime_id, "A3")
        assert await house.statuses(showtime_id) == {"A3": "held"}
        stored = await get(house, "ada", f"bookings/{booking['id']}")
        assert stored["status"] == "expired"


async def test_a_cancelled_showtime_ends_its_reservations(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    version = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).headers["ETag"]
    cancelled = await house.ask(
        "manager",
        "DELETE",
        f"showtimes/{showtime_id}?reason=no+heating",
        headers={"If-Match": version},
    )
    # A job tells everybody.
    assert cancelled.status == 202, cancelled
    stored = await get(house, "ada", f"bookings/{booking['id']}")
    assert (stored["status"], stored["payment"]["status"]) == ("cancelled", "failed")
    assert (await process(house, "staff", booking["id"])).error == (409, "BOOKING_ENDED")
