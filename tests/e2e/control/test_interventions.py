"""Blocking seats and pausing sales over the control endpoint, as operators and customers see it."""

from __future__ import annotations

import uuid

import pytest
import structlog

from tests.e2e.api.house import UNKNOWN_ID
from tests.e2e.control.desk import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_blocked_seats_are_off_sale_until_they_are_unblocked(desk: Desk) -> None:
    house = desk.house
    showtime = await house.showtime()
    blocked = (await desk.ask("POST", f"showtimes/{showtime}/block", {"seats": ["A1", "A2"]})).data
    assert (blocked["recorded"], blocked["seats"], blocked["seq"]) == (True, ["A1", "A2"], 1)
    assert await house.statuses(showtime) == {"A1": "blocked", "A2": "blocked"}
    assert (await house.hold("ada", showtime, "A2")).error == (409, "SEAT_UNAVAILABLE")
    path = f"showtimes/{showtime}/unblock"
    unblocked = (await desk.ask("POST", path, {"seats": ["A2", "A3"]})).data
    assert (unblocked["recorded"], unblocked["seats"]) == (True, ["A2"])
    await house.held("ada", showtime, "A2")


async def test_seats_that_are_taken_refuse_the_whole(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    await desk.house.held("ada", showtime, "A1")
    path = f"showtimes/{showtime}/block"
    refused = await desk.ask("POST", path, {"seats": ["A1", "A2"]})
    assert refused.error == (409, "SEAT_UNAVAILABLE")
    assert refused.details == {"seats": ["A1"]}
    assert await desk.house.statuses(showtime) == {"A1": "held"}
    for seats, code in ((["Z9"], "UNKNOWN_SEAT"), (["A2", "A2"], "DUPLICATE_SEAT")):
        assert (await desk.ask("POST", path, {"seats": seats})).error == (422, code)
    for body in ({"seats": []}, {"seats": "A1"}, {}):
        assert (await desk.ask("POST", path, body)).error == (400, "VALIDATION_ERROR")


async def test_a_key_is_remembered_even_if_there_was_nothing_to_do(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    path, key = f"showtimes/{showtime}/unblock", str(uuid.uuid4())
    first = (await desk.ask("POST", path, {"seats": ["A1"]}, key=key)).data
    assert (first["recorded"], first["seq"], first["seats"]) == (True, 1, [])
    await desk.ask("POST", f"showtimes/{showtime}/block", {"seats": ["A1"]})
    assert (await desk.ask("POST", path, {"seats": ["A1"]}, key=key)).data == first
    assert await desk.house.statuses(showtime) == {"A1": "blocked"}


async def test_what_already_is_so_changes_nothing(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    for action, body in (("unblock", {"seats": ["A1"]}), ("resume", None)):
        same = (await desk.ask("POST", f"showtimes/{showtime}/{action}", body)).data
        assert (same["recorded"], same["seq"], same["seats"]) == (False, 0, [])


async def test_paused_sales_refuse_holds_and_still_book(desk: Desk) -> None:
    house = desk.house
    showtime = await house.showtime()
    hold_id = await house.held("ada", showtime, "A1")
    assert (await desk.ask("POST", f"showtimes/{showtime}/pause")).data["recorded"] is True
    assert (await house.hold("bob", showtime, "A2")).error == (409, "SALES_PAUSED")
    assert (await house.book("ada", showtime, hold_id)).status == 201
    assert (await desk.get(f"showtimes/{showtime}"))["state"]["paused"] is True
    sales = (await house.ask(None, "GET", f"showtimes/{showtime}")).data["sales"]
    assert sales["paused"] is True
    assert (await desk.ask("POST", f"showtimes/{showtime}/resume")).data["recorded"] is True
    await house.held("bob", showtime, "A2")


async def test_the_same_key_acts_once(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    path, key = f"showtimes/{showtime}/block", str(uuid.uuid4())
    first = await desk.ask("POST", path, {"seats": ["A1"]}, key=key)
    await desk.ask("POST", f"showtimes/{showtime}/unblock", {"seats": ["A1"]})
    again = await desk.ask("POST", path, {"seats": ["A1"]}, key=key)
    assert again.data == first.data
    assert await desk.house.statuses(showtime) == {}
    other = await desk.ask("POST", path, {"seats": ["A2"]}, key=key)
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    bad = await desk.ask("POST", path, {"seats": ["A2"]}, key="x" * 129)
    assert bad.error == (400, "VALIDATION_ERROR")


async def test_nobody_intervenes_in_a_showtime_that_is_not_there(desk: Desk) -> None:
    for action in ("block", "unblock", "pause", "resume"):
        body = {"seats": ["A1"]} if action.endswith("block") else None
        answer = await desk.ask("POST", f"showtimes/{UNKNOWN_ID}/{action}", body)
        assert answer.error == (404, "NOT_FOUND")


async def test_interventions_are_logged_with_what_was_asked(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    with structlog.testing.capture_logs() as events:
        path = f"showtimes/{showtime}/block"
        await desk.ask("POST", path, {"seats": ["A1"]}, headers={"Cinema-Operator": "ada"})
        await desk.ask("POST", path, {"seats": ["Z9"]})
        await desk.ask("POST", f"showtimes/{showtime}/pause")
    acted = [one for one in events if one["event"] == "operator_acted"]
    assert [(one["action"], one["outcome"], one["operator"]) for one in acted] == [
        ("block", "done", "ada"),
        ("block", "UNKNOWN_SEAT", "unnamed"),
        ("pause", "done", "unnamed"),
    ]
    assert acted[0]["asked"] == {"seats": ["A1"]}
    assert {one["showtime_id"] for one in acted} == {showtime}
