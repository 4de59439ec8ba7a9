"""Showtimes over HTTP that do not take place."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.e2e.api.house import BASE_PRICE, UNKNOWN_ID, House
from tests.e2e.api.showtimes import cancel, ended

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_bookings_it_is_done_at_once(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    answer = await cancel(house, showtime_id)
    assert answer.status == 200
    assert answer.data == {
        "id": showtime_id,
        "status": "cancelled",
        "reason": "No heating.",
        "bookings": 0,
        "job_id": None,
    }
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    assert (shown["status"], shown["cancel_reason"], shown["version"]) == (
        "cancelled",
        "No heating.",
        2,
    )
    assert (await house.hold("ada", showtime_id, "A1")).error == (409, "SHOWTIME_CANCELLED")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    assert (await house.ask("ada", "GET", path)).data["status"] == "released"
    assert (await house.book("ada", showtime_id, hold_id)).error == (409, "HOLD_ENDED")
    assert await house.statuses(showtime_id) == {}
    # Its screen is free for another.
    body = {name: shown[name] for name in ("movie_id", "screen_id", "starts_at", "language")}
    made = await house.ask("manager", "POST", "showtimes", {**body, "base_price": BASE_PRICE})
    assert made.status == 201


async def test_bookings_are_cancelled_refunded_and_told_by_a_job(house: House) -> None:
    showtime_id = await house.showtime()
    mine = await house.booked("ada", showtime_id, "A1", "A3")
    part = await house.booked("bob", showtime_id, "B1", "B3")
    await house.ask("bob", "DELETE", f"bookings/{part}?seats=B3")
    gone = await house.booked("bob", showtime_id, "C5")
    await house.ask("bob", "DELETE", f"bookings/{gone}")
    answer = await cancel(house, showtime_id)
    assert (answer.status, answer.data["bookings"]) == (202, 2)
    job_id = answer.data["job_id"]
    again = await cancel(house, showtime_id, seen='"9"', query="?reason=Other.")
    assert (again.status, again.data) == (202, answer.data)
    job = await ended(house, job_id)
    assert (job["status"], job["done"], job["failed"], job["remaining"]) == ("done", 2, 0, 0)
    for person, booking_id in (("ada", mine), ("bob", part)):
        booking = (await house.ask(person, "GET", f"bookings/{booking_id}")).data
        payment = booking["payment"]
        assert (booking["status"], payment["status"]) == ("cancelled", "refunded")
        assert payment["refunded"] == payment["amount"]
    rows = await house.database.fetch(
        "select dedupe_key, recipient, kind from messages where dedupe_key like any($1)"
        " and kind not in ('booking_confirmed', 'booking_receipt')",
        [f"%{booking_id}" for booking_id in (mine, part, gone)],
    )
    assert sorted(tuple(row) for row in rows) == sorted(
        (
            f"showtime_cancelled:{booking_id}",
            f"{house.people[person]}@example.com",
            "showtime_cancelled",
        )
        for person, booking_id in (("ada", mine), ("bob", part))
    )
    assert await house.statuses(showtime_id) == {}


async def test_managers_of_other_cinemas_do_not_see_the_job(house: House) -> None:
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    job_id = (await cancel(house, showtime_id)).data["job_id"]
    for person in ("ada", "staff", "manager elsewhere"):
        assert (await house.ask(person, "GET", f"jobs/{job_id}")).error == (404, "NOT_FOUND")
    await ended(house, job_id)


async def test_who_may_cancel_a_showtime_and_what_they_must_have_seen(house: House) -> None:
    showtime_id = await house.showtime()
    for person, error in (
        (None, (401, "UNAUTHENTICATED")),
        ("ada", (403, "FORBIDDEN")),
        ("staff", (403, "FORBIDDEN")),
        ("manager elsewhere", (403, "FORBIDDEN")),
    ):
        assert (await cancel(house, showtime_id, person=person)).error == error
    assert (await cancel(house, UNKNOWN_ID)).error == (404, "NOT_FOUND")
    assert (await cancel(house, showtime_id, seen=None)).error == (428, "PRECONDITION_REQUIRED")
    assert (await cancel(house, showtime_id, seen='"5"')).error == (412, "PRECONDITION_FAILED")
    invisible = await cancel(house, showtime_id, query="?reason=a%E2%80%AEb")
    assert invisible.error == (400, "VALIDATION_ERROR")
    too_long = await cancel(house, showtime_id, query=f"?reason={'x' * 501}")
    assert too_long.error == (400, "VALIDATION_ERROR")
    control = await cancel(house, showtime_id, query="?reason=a%07b")
    assert control.error == (400, "VALIDATION_ERROR")
    assert (await cancel(house, showtime_id, query="")).data["reason"] == ""


async def test_the_reason_has_one_form_whatever_keyboard_wrote_it(house: House) -> None:
    cancelled = await cancel(house, await house.showtime(), query="?reason=Zu%20o%CC%88de.")
    assert cancelled.data["reason"] == "Zu \u00f6de."


async def test_a_repetition_under_a_key_gets_the_same_answer(house: House) -> None:
    showtime_id = await house.showtime()
    answers = await asyncio.gather(*(cancel(house, showtime_id, key="once") for _ in range(4)))
    assert [answer.data for answer in answers] == [answers[0].data] * 4


async def test_what_is_over_is_not_cancelled_any_more(house: House) -> None:
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(hours=-3))
    assert (await cancel(house, showtime_id)).error == (409, "SHOWTIME_STARTED")


async def test_a_cancelled_showtime_is_not_changed_any_more(house: House) -> None:
    showtime_id = await house.showtime()
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    await cancel(house, showtime_id)
    names = ("movie_id", "screen_id", "starts_at", "base_price", "language")
    body = {name: shown[name] for name in names}
    path, tag = f"showtimes/{showtime_id}", {"If-Match": '"2"'}
    refused = await house.ask("manager", "PUT", path, body, headers=tag)
    assert refused.error == (409, "SHOWTIME_CANCELLED")
    layout = await house.ask("manager", "PUT", f"{path}/layout", {"layout_version": 1}, headers=tag)
    assert layout.error == (409, "SHOWTIME_CANCELLED")
