"""Bookings over HTTP: paying, listing, cancelling, and keys that span showtimes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.api.house import UNKNOWN_ID, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_demo_payment_confirms_at_once(house: House) -> None:
    showtime_id = await house.showtime()
    hold = (await house.hold("ada", showtime_id, "B1", "B2")).data
    answer = await house.book("ada", showtime_id, hold["hold_id"])
    booking = answer.data
    assert answer.status == 201
    assert set(booking) == {
        *("id", "code", "showtime_id", "status", "seats", "total", "created_at", "payment"),
        *("lines", "pick_up", "disputed"),
    }
    assert (booking["status"], booking["showtime_id"]) == ("confirmed", showtime_id)
    seats = [{**seat, "type": "adult"} for seat in hold["seats"]]
    assert (booking["seats"], booking["total"], booking["lines"]) == (seats, hold["total"], [])
    assert set(booking["payment"]) == {"id", "method", "status", "amount"}
    assert booking["payment"]["amount"] == booking["total"]
    assert (booking["payment"]["method"], booking["payment"]["status"]) == ("demo", "succeeded")
    assert await house.statuses(showtime_id) == {"B1": "booked", "B2": "booked"}
    assert (await house.ask("ada", "GET", f"bookings/{booking['id']}")).data == booking
    path = f"showtimes/{showtime_id}/holds/{hold['hold_id']}"
    assert (await house.ask("ada", "GET", path)).data["status"] == "booked"
    again = await house.book("ada", showtime_id, hold["hold_id"])
    assert again.error == (409, "HOLD_ENDED")
    assert again.details == {"status": "booked"}


async def test_counter_payment_is_for_staff(house: House) -> None:
    showtime_id = await house.showtime()
    people = ("ada", "staff elsewhere", "manager elsewhere", "staff", "manager", "admin")
    await house.till("staff", "manager", "admin")
    for number, person in enumerate(people, 1):
        hold_id = await house.held(person, showtime_id, f"A{number}")
        answer = await house.book(person, showtime_id, hold_id, method="counter")
        if person == "ada" or "elsewhere" in person:
            assert answer.error == (403, "FORBIDDEN")
        else:
            assert (answer.status, answer.data["payment"]["method"]) == (201, "counter")
    assert (await house.statuses(showtime_id))["A1"] == "held"
    unknown = await house.book("staff elsewhere", UNKNOWN_ID, UNKNOWN_ID, method="counter")
    assert unknown.error == (404, "NOT_FOUND")


async def test_staff_elsewhere_are_customers_here(house: House) -> None:
    showtime_id = await house.showtime()
    mine = await house.booked("staff elsewhere", showtime_id, "A1")
    assert (await house.ask("staff elsewhere", "GET", f"bookings/{mine}")).status == 200
    await house.database.execute(
        "insert into cinema_managers select $1, id from cinemas where id <> $2",
        house.people["staff elsewhere"],
        house.cinema_id,
    )
    cancelled = await house.ask("staff elsewhere", "DELETE", f"bookings/{mine}")
    assert cancelled.data["status"] == "cancelled"


async def test_demo_payment_can_be_off(database: str) -> None:
    async with open_house(database, demo_payment=False) as house:
        showtime_id = await house.showtime()
        hold_id = await house.held("ada", showtime_id, "A1")
        answer = await house.book("ada", showtime_id, hold_id)
        assert answer.error == (422, "UNKNOWN_PAYMENT_METHOD")


async def test_impossible_bookings_are_refused_and_change_nothing(house: House) -> None:
    showtime_id, other_id = await house.showtime(), await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    good: dict[str, Any] = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "demo"},
    }
    for change, status, code in [
        ({"payment": {"method": "shells"}}, 422, "UNKNOWN_PAYMENT_METHOD"),
        ({"payment": {"method": ""}}, 400, "VALIDATION_ERROR"),
        ({"payment": {}}, 400, "VALIDATION_ERROR"),
        ({"payment": None}, 400, "VALIDATION_ERROR"),
        ({"promo_code": "FREE"}, 422, "UNKNOWN_PROMO_CODE"),
        ({"hold_id": "7"}, 400, "VALIDATION_ERROR"),
        ({"hold_id": UNKNOWN_ID}, 404, "NOT_FOUND"),
        ({"showtime_id": UNKNOWN_ID}, 404, "NOT_FOUND"),
        ({"showtime_id": other_id}, 404, "NOT_FOUND"),
        ({"extra": 1}, 400, "VALIDATION_ERROR"),
    ]:
        answer = await house.ask("ada", "POST", "bookings", {**good, **change})
        assert answer.error == (status, code), change
    for person in ("bob", "admin"):
        assert (await house.book(person, showtime_id, hold_id)).error == (404, "NOT_FOUND")
    assert await house.statuses(showtime_id) == {"A1": "held"}
    assert (await house.ask("ada", "GET", "bookings")).data == []


async def test_one_of_concurrent_bookings_of_a_hold_succeeds(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    answers = await asyncio.gather(*(house.book("ada", showtime_id, hold_id) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert len((await house.ask("ada", "GET", "bookings")).data) == 1


# --- keys


async def test_same_key_books_once(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    answers = await asyncio.gather(
        *(house.book("ada", showtime_id, hold_id, key="k") for _ in range(8))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.data["id"] for answer in answers}) == 1
    later = await house.book("ada", showtime_id, hold_id, key="k")
    assert later.data == answers[0].data
    other = await house.book("ada", showtime_id, UNKNOWN_ID, key="k")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_key_used_for_one_showtime_does_not_book_another(house: House) -> None:
    first_id, second_id = await house.showtime(), await house.showtime()
    first = await house.held("ada", first_id, "A1")
    second = await house.held("ada", second_id, "A1")
    assert (await house.book("ada", first_id, first, key="k")).status == 201
    refused = await house.book("ada", second_id, second, key="k")
    assert refused.error == (422, "IDEMPOTENCY_MISMATCH")
    assert await house.statuses(second_id) == {"A1": "held"}
    assert (await house.book("bob", second_id, second, key="k")).error == (404, "NOT_FOUND")


async def test_concurrent_bookings_of_two_showtimes_under_one_key_have_one_effect(
    house: House,
) -> None:
    showtimes = [await house.showtime() for _ in range(4)]
    holds = [await house.held("ada", showtime_id, "A1") for showtime_id in showtimes]
    answers = await asyncio.gather(
        *(
            house.book("ada", showtime_id, hold_id, key="k")
            for showtime_id, hold_id in zip(showtimes, holds, strict=True)
        )
    )
    assert [answer.status for answer in answers].count(201) == 1
    refused = {answer.error for answer in answers if answer.status != 201}
    assert refused <= {(422, "IDEMPOTENCY_MISMATCH"), (503, "RETRY")}
    seats = [await house.statuses(showtime_id) for showtime_id in showtimes]
    assert sorted(one["A1"] for one in seats) == ["booked", "held", "held", "held"]
    # Asked again one after the other, all know.
    for showtime_id, hold_id, before in zip(showtimes, holds, answers, strict=True):
        again = await house.book("ada", showtime_id, hold_id, key="k")
        assert again.status == (201 if before.status == 201 else 422)


# --- lists


async def test_bookings_are_listed_newest_first_and_page_by_page(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    made = [await house.booked("ada", showtime_id, f"A{number}") for number in range(1, 6)]
    await house.booked("bob", showtime_id, "B1")
    seen: list[str] = []
    path: str | None = "bookings?limit=2"
    while path is not None:
        answer = await house.ask("ada", "GET", path)
        assert len(answer.data) <= 2
        seen += [booking["id"] for booking in answer.data]
        cursor = answer.envelope["meta"]["next_cursor"]
        path = cursor and f"bookings?limit=2&cursor={cursor}"
    assert seen == made[::-1]
    assert (await house.ask("staff", "GET", "bookings")).data == []


async def test_bookings_are_upcoming_or_past(house: House) -> None:
    soon_id, over_id = await house.showtime(), await house.showtime()
    soon, over = await house.booked("ada", soon_id, "A1"), await house.booked("ada", over_id, "A1")
    both = await house.booked("ada", soon_id, "A3", "A4")
    gone = await house.booked("ada", soon_id, "A2")
    await house.ask("ada", "DELETE", f"bookings/{gone}")
    await house.ask("ada", "DELETE", f"bookings/{both}?seats=A3")
    await house.move(over_id, starts_in=timedelta(days=-2))
    for query, expected in [
        ("?when=upcoming", [both, soon]),
        ("?when=past", [gone, over]),
        ("", [gone, both, over, soon]),
    ]:
        answer = await house.ask("ada", "GET", f"bookings{query}")
        assert [booking["id"] for booking in answer.data] == expected
        (first,) = (await house.ask("ada", "GET", f"bookings{query or '?'}&limit=1")).data
        assert first["id"] == expected[0]


@pytest.mark.parametrize(
    "query", ["when=later", "limit=0", "limit=101", "limit=x", "cursor=nonsense", "cursor=", "x=1"]
)
async def test_bad_list_queries_are_refused(house: House, query: str) -> None:
    answer = await house.ask("ada", "GET", f"bookings?{query}")
    assert answer.error == (400, "VALIDATION_ERROR")


async def test_booking_is_seen_by_its_owner_and_staff(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1")
    for person in ("ada", "staff", "manager", "admin"):
        answer = await house.ask(person, "GET", f"bookings/{booking_id}")
        assert (answer.status, answer.data["id"]) == (200, booking_id)
    for method in ("GET", "DELETE"):
        answer = await house.ask("bob", method, f"bookings/{booking_id}")
        assert answer.error == (404, "NOT_FOUND")
        for unknown in (UNKNOWN_ID, "7"):
            answer = await house.ask("admin", method, f"bookings/{unknown}")
            assert answer.error == (404, "NOT_FOUND")


async def test_a_booking_that_has_ended_is_still_not_found_by_others(house: House) -> None:
    """A showtime forgets whose it was: its row has to tell, or the refusal says that it existed."""
    booking_id = await house.booked("ada", await house.showtime(), "A1")
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).status == 200
    change = {"from": ["A1"], "to": ["A2"]}
    for method, path, body in (
        ("DELETE", f"bookings/{booking_id}", None),
        ("POST", f"bookings/{booking_id}/seats", change),
    ):
        assert (await house.ask("bob", method, path, body)).error == (404, "NOT_FOUND")
        assert (await house.ask("ada", method, path, body)).error == (409, "BOOKING_ENDED")


# --- cancelling


async def test_cancelled_booking_frees_its_seats_and_is_refunded(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    path = f"bookings/{booking_id}"
    answer = await house.ask("ada", "DELETE", path)
    assert (answer.status, answer.data["status"]) == (200, "cancelled")
    assert answer.data["payment"]["status"] == "refunded"
    assert answer.data["payment"]["refunded"] == {"amount": 2000, "currency": "EUR"}
    assert [seat["label"] for seat in answer.data["seats"]] == ["A1", "A2"]
    assert await house.statuses(showtime_id) == {}
    assert (await house.ask("ada", "GET", path)).data == answer.data
    assert (await house.ask("ada", "DELETE", path)).error == (409, "BOOKING_ENDED")
    assert (await house.hold("bob", showtime_id, "A1")).status == 201


async def test_part_of_a_booking_is_cancelled(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2", "B1")
    path = f"bookings/{booking_id}"
    part = (await house.ask("ada", "DELETE", f"{path}?seats=A2,B1")).data
    assert part["status"] == "confirmed"
    assert [seat["label"] for seat in part["seats"]] == ["A1"]
    assert part["payment"]["status"] == "partially_refunded"
    assert part["payment"]["refunded"] == {"amount": 2250, "currency": "EUR"}
    assert await house.statuses(showtime_id) == {"A1": "booked"}
    for seats, status, code in [
        ("Z9", 422, "UNKNOWN_SEAT"),
        ("A1,A1", 422, "DUPLICATE_SEAT"),
        ("A2", 409, "SEAT_NOT_INCLUDED"),
        ("A1,A2,C8", 409, "SEAT_NOT_INCLUDED"),
    ]:
        refused = await house.ask("ada", "DELETE", f"{path}?seats={seats}")
        assert refused.error == (status, code)
    assert refused.details == {"seats": ["A2", "C8"]}
    rest = (await house.ask("ada", "DELETE", f"{path}?seats=A1")).data
    assert rest["status"] == "cancelled"
    assert rest["payment"]["refunded"] == {"amount": 3250, "currency": "EUR"}


async def test_what_was_paid_stays_visible_while_seats_are_given_back(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1", "B1", "A2")
    path = f"bookings/{booking_id}"
    paid = {"amount": 3250, "currency": "EUR"}
    assert (await house.ask("ada", "GET", path)).data["payment"]["amount"] == paid
    for seat, status, total, refunded in [
        ("A1", "partially_refunded", 2250, 1000),
        ("B1", "partially_refunded", 1000, 2250),
        ("A2", "refunded", 1000, 3250),
    ]:
        answer = await house.ask("ada", "DELETE", f"{path}?seats={seat}")
        payment = answer.data["payment"]
        assert (payment["status"], payment["amount"]) == (status, paid)
        assert payment["refunded"]["amount"] == refunded
        assert answer.data["total"]["amount"] == total
        assert (await house.ask("ada", "GET", path)).data == answer.data
        (listed,) = (await house.ask("ada", "GET", "bookings")).data
        assert listed == answer.data
    assert answer.data["status"] == "cancelled"


async def test_total_of_a_booking_is_that_of_its_seats(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1", "B1")
    part = (await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=B1")).data
    assert part["total"] == part["seats"][0]["price"]


async def test_same_key_cancels_once(house: House) -> None:
    booking_id = await house.booked("ada", await house.showtime(), "A1", "A2", "A3")
    path = f"bookings/{booking_id}?seats=A1"
    answers = [await house.ask("ada", "DELETE", path, key="k") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].data == answers[1].data
    other = await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A2", key="k")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_started_showtime_is_cancelled_by_staff_only(house: House) -> None:
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(minutes=-5))
    mine = await house.booked("ada", showtime_id, "A1")
    refused = await house.ask("ada", "DELETE", f"bookings/{mine}")
    assert refused.error == (409, "SHOWTIME_STARTED")
    answer = await house.ask("staff", "DELETE", f"bookings/{mine}")
    assert (answer.status, answer.data["status"]) == (200, "cancelled")
