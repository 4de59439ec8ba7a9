"""Journal and past seat maps over the wire, on a real Postgres."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.e2e.api.house import UNKNOWN_ID
from tests.e2e.control.desk import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def statuses(desk: Desk, showtime: str, query: str) -> dict[str, str]:
    """What was not available then."""
    seats = (await desk.get(f"showtimes/{showtime}/seats?{query}"))["seats"]
    return {one["label"]: one["status"] for one in seats if one["status"] != "available"}


async def test_every_past_seat_map_is_the_one_customers_saw(desk: Desk) -> None:
    house = desk.house
    showtime = await house.showtime()
    seen: dict[int, dict[str, str]] = {}

    async def note() -> None:
        data = (await house.ask(None, "GET", f"showtimes/{showtime}/seats")).data
        seen[data["seq"]] = {
            one["label"]: one["status"] for one in data["seats"] if one["status"] != "available"
        }

    await note()
    hold_id = await house.held("ada", showtime, "A1", "A2")
    await note()
    await house.book("ada", showtime, hold_id)
    await note()
    await desk.ask("POST", f"showtimes/{showtime}/passivate")
    other = await house.held("bob", showtime, "B3", "B4")
    await note()
    await house.ask("bob", "DELETE", f"showtimes/{showtime}/holds/{other}?seats=B3")
    await note()
    assert sorted(seen) == [0, 1, 2, 3, 4]
    for seq, expected in seen.items():
        assert await statuses(desk, showtime, f"seq={seq}") == expected
    events = await desk.get(f"showtimes/{showtime}/journal")
    assert [one["event"] for one in events] == [
        "SeatsHeld",
        "HoldBooked",
        "SeatsHeld",
        "HoldReleased",
    ]
    for event in events:
        assert await statuses(desk, showtime, f"at={quote(event['at'])}") == seen[event["seq"]]
    assert await statuses(desk, showtime, "") == seen[4]
    assert events[0]["hold_id"] == hold_id
    assert events[0]["customer_id"] == house.people["ada"]
    assert events[1]["total"] == {"amount": 2000, "currency": "EUR"}
    assert (events[3]["seats"], events[3]["kept"]) == (["B3"], ["B4"])
    assert [one["epoch"] for one in events] == [1, 1, 2, 2]


async def test_the_history_of_a_seat(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    booking_id = await desk.house.booked("ada", showtime, "C7")
    answer = await desk.ask("GET", f"showtimes/{showtime}/seats/C7/history")
    held, booked = answer.data
    assert (held["status"], booked["status"]) == ("held", "booked")
    assert booked["booking_id"] == booking_id
    assert answer.envelope["meta"] == {"next_cursor": None, "first_seq": 1, "last_seq": 2}
    unknown = await desk.ask("GET", f"showtimes/{showtime}/seats/Z1/history")
    assert unknown.error == (404, "NOT_FOUND")


async def test_what_lies_outside_of_the_journal_is_refused(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    await desk.house.booked("ada", showtime, "A1")
    path = f"showtimes/{showtime}/seats"
    later = quote((datetime.now(UTC) + timedelta(hours=1)).isoformat())
    for query in ("seq=3", f"at={later}"):
        assert (await desk.ask("GET", f"{path}?{query}")).error == (422, "IN_THE_FUTURE")
    for query in ("seq=-1", "seq=x", "at=yesterday", "at=2026-01-01T00:00:00", f"seq=1&at={later}"):
        assert (await desk.ask("GET", f"{path}?{query}")).error == (400, "VALIDATION_ERROR")
    await desk.site.node.kernel.truncate(bytes.fromhex(showtime.replace("-", "")))
    journal = await desk.ask("GET", f"showtimes/{showtime}/journal")
    async with asyncio.timeout(10):
        # The events are deleted behind the snapshot, step by step.
        while journal.data:
            journal = await desk.ask("GET", f"showtimes/{showtime}/journal")
    assert (await desk.ask("GET", f"{path}?seq=1")).error == (410, "HISTORY_TRUNCATED")
    assert await statuses(desk, showtime, "seq=2") == {"A1": "booked"}
    assert (journal.data, journal.envelope["meta"]["first_seq"]) == ([], 3)
    for rest in ("journal", "seats?seq=0", "seats", "seats/A1/history"):
        unknown = await desk.ask("GET", f"showtimes/{UNKNOWN_ID}/{rest}")
        assert unknown.error == (404, "NOT_FOUND")
