"""What admins see of the running system: it counts what has just happened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.api.house import House
from tests.e2e.api.sockets import watching

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _live(house: House) -> Any:
    return (await house.ask("admin", "GET", "admin/live")).data


def _sold(live: Any) -> tuple[int, int]:
    minutes = live["minutes"]
    return sum(one["bookings"] for one in minutes), sum(one["tickets"] for one in minutes)


async def test_bookings_of_the_last_minutes_are_counted_and_those_given_back_are_not(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    before = _sold(await _live(house))
    kept = await house.booked("ada", showtime_id, "A1", "A2", "A3")
    gone = await house.booked("bob", showtime_id, "B1")
    live = await _live(house)
    assert [one["ago"] for one in live["minutes"]] == list(range(15))
    assert _sold(live) == (before[0] + 2, before[1] + 4)
    await house.ask("bob", "DELETE", f"bookings/{gone}")
    await house.ask("ada", "DELETE", f"bookings/{kept}?seats=A3")
    assert _sold(await _live(house)) == (before[0] + 1, before[1] + 2)


async def test_a_booking_of_a_quarter_of_an_hour_ago_is_no_longer_of_these_minutes(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    before = _sold(await _live(house))
    booking_id = await house.booked("ada", showtime_id, "A1")
    assert _sold(await _live(house)) == (before[0] + 1, before[1] + 1)
    await house.database.execute(
        "update bookings set created_at = created_at - interval '15 minutes' where id = $1",
        booking_id,
    )
    assert _sold(await _live(house)) == before


async def test_the_node_reports_watchers_requests_and_what_is_in_memory(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("ada", showtime_id, "A1")
    (before,) = (await _live(house))["nodes"]
    async with watching(house, showtime_id) as socket:
        await socket.message()
        (node,) = (await _live(house))["nodes"]
    assert node["counts"]["watchers"] == before["counts"]["watchers"] + 1
    assert node["counts"]["requests"] > before["counts"]["requests"]
    assert node["counts"]["errors"] == before["counts"]["errors"]
    assert node["counts"]["showtimes"] >= 1
    assert not node["draining"]


@pytest.mark.parametrize("person", ["ada", "staff", "manager"])
async def test_it_is_for_admins_alone(house: House, person: str) -> None:
    assert (await house.ask(person, "GET", "admin/live")).error == (403, "FORBIDDEN")
