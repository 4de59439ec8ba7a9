"""What an operator sees of nodes, ring, actors and showtimes."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.api.house import UNKNOWN_ID
from tests.e2e.control.desk import Desk
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_single_node_is_a_cluster_of_one(desk: Desk) -> None:
    (node,) = await desk.get("nodes")
    assert node["node_id"] == desk.node_id
    assert node["address"] == f"127.0.0.1:{desk.site.port}"
    assert (node["this"], node["reachable"], node["draining"]) == (True, True, False)
    assert node["status"]["lanes"] == 1
    assert node["status"]["uptime_s"] >= 0


async def test_the_ring_of_one_node_is_all_its_own(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    ring = await desk.get(f"ring?showtime_id={showtime}")
    (member,) = ring["members"]
    assert member["share"] == 1.0
    assert ring["owner"] == {
        "showtime_id": showtime,
        "node_id": desk.node_id,
        "address": member["address"],
    }
    assert (await desk.ask("GET", "ring?showtime_id=F7")).error == (400, "VALIDATION_ERROR")


async def test_actors_are_listed_in_pages_that_hold_each_once(desk: Desk) -> None:
    showtimes = [await desk.house.showtime() for _ in range(5)]
    for showtime in showtimes:
        await desk.house.held("ada", showtime, "A1")
    for order in ("id", "mailbox", "last_used", "idle"):
        found: list[str] = []
        cursor = ""
        while True:
            answer = await desk.ask("GET", f"actors?sort={order}&limit=2{cursor}")
            found += [one["showtime_id"] for one in answer.data]
            assert len(answer.data) <= 2
            if answer.envelope["meta"]["next_cursor"] is None:
                break
            cursor = f"&cursor={answer.envelope['meta']['next_cursor']}"
        assert set(showtimes) <= set(found)
        assert len(found) == len(set(found))
    by_id = [one["showtime_id"] for one in await desk.get("actors?sort=id&limit=100")]
    assert by_id == sorted(by_id)


async def test_actors_can_be_sought(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    await desk.house.held("ada", showtime, "A1", "A2")
    (one,) = [
        actor
        for actor in await desk.get(f"actors?phase=serving&node_id={desk.node_id}&limit=100")
        if actor["showtime_id"] == showtime
    ]
    assert (one["epoch"], one["seq"], one["durable_seq"], one["holds"]) == (1, 1, 1, 1)
    assert await desk.get("actors?phase=quarantined") == []
    assert await desk.get("actors?watched=true") == []
    assert await desk.get("actors?min_mailbox=1") == []
    assert await desk.get("actors?lane=7") == []
    assert (await desk.ask("GET", "actors?phase=asleep")).error == (400, "VALIDATION_ERROR")
    assert (await desk.ask("GET", "actors?node_id=1")).error == (400, "VALIDATION_ERROR")
    assert (await desk.ask("GET", f"actors?node_id={UNKNOWN_ID}")).error == (404, "NOT_FOUND")
    assert (await desk.ask("GET", "actors?cursor=x")).error == (400, "VALIDATION_ERROR")


async def test_a_showtime_looks_the_same_in_memory_and_as_it_is_stored(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    hold_id = await desk.house.held("ada", showtime, "A1", "A2")
    await desk.house.booked("bob", showtime, "B1")
    live = await desk.get(f"showtimes/{showtime}")
    assert live["resident"] is True
    assert (live["epoch"], live["seq"], live["memory"]["durable_seq"]) == (1, 3, 3)
    assert live["memory"]["node_id"] == desk.node_id
    assert live["state"]["seats"] == {"available": 21, "held": 2, "booked": 1, "blocked": 0}
    assert (live["state"]["holds"], live["state"]["bookings"]) == (1, 1)
    (held,) = live["state"]["live_holds"]
    assert held["hold_id"] == hold_id
    assert held["customer_id"] == desk.house.people["ada"]
    assert held["seats"] == ["A1", "A2"]
    assert (await desk.ask("POST", f"showtimes/{showtime}/passivate")).data["was_resident"] is True
    stored = await desk.get(f"showtimes/{showtime}")
    assert (stored["resident"], stored["memory"], stored["problem"]) == (False, None, None)
    assert (stored["epoch"], stored["seq"], stored["snapshot_seq"]) == (1, 3, 3)
    assert stored["state"] == live["state"]
    # To look did not wake it.
    assert (await desk.ask("POST", f"showtimes/{showtime}/passivate")).data["was_resident"] is False


async def test_what_nobody_knows_is_not_found(desk: Desk) -> None:
    for method, path in (
        ("GET", f"showtimes/{UNKNOWN_ID}"),
        ("POST", f"showtimes/{UNKNOWN_ID}/passivate"),
        ("POST", f"nodes/{UNKNOWN_ID}/drain"),
        ("GET", f"nodes/{UNKNOWN_ID}/log-level"),
        ("GET", "showtimes/F7"),
        ("GET", "elsewhere"),
    ):
        assert (await desk.ask(method, path)).error == (404, "NOT_FOUND")


async def test_a_journal_that_does_not_add_up_says_so(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    await desk.house.held("ada", showtime, "A1")
    await desk.ask("POST", f"showtimes/{showtime}/passivate")
    await desk.house.database.execute(
        "update showtime_heads set seq = 9 where showtime_id = $1", showtime
    )
    shown = await desk.get(f"showtimes/{showtime}")
    assert (shown["seq"], shown["state"]) == (9, None)
    assert shown["problem"] == "replay ends at 1, head is at 9"


async def test_a_watched_showtime_stays_in_memory(desk: Desk) -> None:
    showtime = await desk.house.showtime()
    path = f"showtimes/{showtime}/watch"
    async with desk.house.client.ws_connect(path) as socket:
        await socket.receive_str()
        refused = await desk.ask("POST", f"showtimes/{showtime}/passivate")
        assert refused.error == (409, "SHOWTIME_WATCHED")
        (one,) = await desk.get("actors?watched=true")
        assert one["showtime_id"] == showtime
    async with asyncio.timeout(5):
        while (await desk.get(f"showtimes/{showtime}"))["memory"]["watched"]:
            await look_again()
    assert (await desk.ask("POST", f"showtimes/{showtime}/passivate")).data["was_resident"] is True
