"""Public events as admins read them: in order, each once, and as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from cinema.features.events.store import COUNTS_KEPT, KEPT, EventsRepository
from cinema.features.events.tail import WAITERS_LIMIT
from cinema.storage.database.pool import close_pool, open_pool
from tests.e2e.api.doors import open_doors, scan, sold
from tests.e2e.api.house import PATIENCE_S, UNKNOWN_ID, Answer, House, open_house
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="function")]

EXIT = {"direction": "exit"}
MUCH_LATER = timedelta(days=1)


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str) -> AsyncIterator[House]:
    async with open_house(database) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="function")
async def repository(database: str) -> AsyncIterator[EventsRepository]:
    pool = await open_pool(database, size=4)
    yield EventsRepository(pool)
    await close_pool(pool)


async def asked(house: House, query: str = "") -> Answer:
    answer = await house.ask("admin", "GET", f"admin/events?{query}")
    assert answer.status == 200, answer
    return answer


async def told(house: House, count: int, query: str = "") -> list[dict[str, Any]]:
    """The events, once there are so many."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(events) < count:
            events = (await asked(house, query)).data
    return events


async def test_what_happens_with_a_booking_is_told_in_order(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2", "A3")
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A1")).status == 200
    assert (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).status == 200
    events = await told(house, 5)
    assert [(one["type"], one["sequence"]) for one in events if "booking" in one["type"]] == [
        ("booking.confirmed", 1),
        *((one["type"], one["sequence"]) for one in events if one["type"] == "booking.cancelled"),
    ]
    assert sorted(one["sequence"] for one in events) == [1, 2, 3, 4, 5]
    assert [one["position"] for one in events] == sorted({one["position"] for one in events})
    for one in events:
        assert one["booking_id"] == booking_id
        assert (one["showtime_id"], one["cinema_id"]) == (showtime_id, house.cinema_id)
        assert house.people["ada"] not in str(one)
    confirmed, *_ = events
    assert confirmed["data"] == {
        "seats": ["A1", "A2", "A3"],
        "total": {"amount": 3000, "currency": "EUR"},
    }
    refunds = [one["data"] for one in events if one["type"] == "refund.succeeded"]
    assert [one["amount"] for one in refunds] == [
        {"amount": 1000, "currency": "EUR"},
        {"amount": 2000, "currency": "EUR"},
    ]
    given_back = [one["data"] for one in events if one["type"] == "booking.cancelled"]
    assert [(one["seats"], one["whole"]) for one in given_back] == [
        (["A1"], False),
        (["A2", "A3"], True),
    ]


async def test_what_happens_with_tickets_is_told_in_the_order_of_their_booking(
    house: House,
) -> None:
    showtime_id = await open_doors(house)
    one, two = await sold(house, showtime_id, "A1", "A2")
    tickets = f"tickets/{one['id']}"
    for step, body in (("block", {"reason": "Ada has lost it."}), ("unblock", None)):
        for _ in range(2):
            assert (await house.ask("staff", "POST", f"{tickets}/{step}", body)).status == 200
    one = (await house.ask("ada", "POST", f"{tickets}/reissue")).data
    group = (await house.ask("ada", "GET", tickets)).data["group_token"]
    assert (await scan(house, one["token"])).status == 200
    assert (await scan(house, one["token"])).error == (409, "ALREADY_USED")
    assert (await scan(house, one["token"], direction="exit")).status == 200
    assert (await scan(house, group)).data["admitted"] is True
    unscan = f"tickets/{two['id']}/unscan"
    assert (await house.ask("staff", "POST", unscan, {"reason": "Wrong."})).status == 200
    offline = [
        {"token": two["token"], "at": datetime.now(UTC).isoformat(), "nonce": nonce}
        for nonce in ("first", "second")
    ]
    uploaded = await house.ask("staff", "POST", "tickets/scans", {"scans": offline})
    assert uploaded.status == 200, uploaded
    gone = [{**offline[0], "at": datetime.now(UTC).isoformat(), "nonce": "out", **EXIT}]
    uploaded = await house.ask("staff", "POST", "tickets/scans", {"scans": gone})
    assert uploaded.status == 200, uploaded
    events = [one for one in await told(house, 11) if one["type"].startswith("ticket.")]
    assert [(one["type"], one["data"]["seat"]) for one in events] == [
        *(("ticket.blocked", "A1"), ("ticket.unblocked", "A1"), ("ticket.reissued", "A1")),
        *(("ticket.admitted", "A1"), ("ticket.left", "A1")),
        *(("ticket.admitted", "A1"), ("ticket.admitted", "A2"), ("ticket.unscanned", "A2")),
        *(("ticket.admitted", "A2"), ("ticket.left", "A2")),
    ]
    assert [one["sequence"] for one in events] == list(range(2, 12))
    ids = {"A1": one["id"], "A2": two["id"]}
    for event in events:
        assert event["booking_id"] == one["booking_id"]
        assert (event["showtime_id"], event["cinema_id"]) == (showtime_id, house.cinema_id)
        assert event["data"]["ticket_id"] == ids[event["data"]["seat"]]
        at_door = event["type"] in {"ticket.admitted", "ticket.left", "ticket.unscanned"}
        assert ("at" in event["data"]) == at_door
        assert "lost" not in str(event), "what staff write about people is theirs"


async def test_who_passes_the_position_on_gets_each_event_once(house: House) -> None:
    showtime_id = await house.showtime()
    bookings = [await house.booked("ada", showtime_id, f"A{seat}") for seat in range(1, 8)]
    await told(house, len(bookings))
    seen, after = [], 0
    while page := (answer := await asked(house, f"limit=3&after={after}")).data:
        assert len(page) <= 3
        seen += [one["booking_id"] for one in page]
        after = answer.envelope["meta"]["next_after"]
    assert seen == bookings
    assert (await asked(house, f"after={after}")).envelope["meta"]["next_after"] == after
    ahead = await house.ask("admin", "GET", f"admin/events?after={after + 1}&wait_seconds=25")
    assert ahead.error == (410, "EVENTS_FORGOTTEN")


async def test_only_events_of_a_type_or_a_cinema(house: House) -> None:
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    await told(house, 1)
    for query, count in (
        ("type=booking.confirmed", 1),
        ("type=booking.cancelled", 0),
        (f"cinema_id={house.cinema_id}", 1),
        (f"cinema_id={UNKNOWN_ID}", 0),
    ):
        answer = await asked(house, query)
        assert len(answer.data) == count
        assert answer.envelope["meta"]["next_after"] > 0
    assert (await house.ask("admin", "GET", "admin/events?type=x")).error == (
        400,
        "VALIDATION_ERROR",
    )


async def test_who_waits_is_answered_when_it_happens_and_not_by_other_events(house: House) -> None:
    showtime_id = await house.showtime()
    first = await house.booked("ada", showtime_id, "A1")
    position = (await told(house, 1))[0]["position"]
    wanted = f"after={position}&wait_seconds=25&type=booking.cancelled"
    waiting = asyncio.create_task(asked(house, wanted))
    await house.booked("bob", showtime_id, "A2")
    await told(house, 2)
    assert not waiting.done()
    await house.ask("ada", "DELETE", f"bookings/{first}")
    async with asyncio.timeout(PATIENCE_S):
        (event,) = (await waiting).data
    assert (event["type"], event["booking_id"]) == ("booking.cancelled", first)


async def test_a_wait_ends_without_events(house: House) -> None:
    answer = await asked(house, "wait_seconds=1")
    assert (answer.data, answer.envelope["meta"]) == ([], {"next_after": 0})


async def test_a_node_that_stops_lets_nobody_wait(database: str) -> None:
    async with open_house(database) as house:
        waiting = asyncio.create_task(asked(house, "wait_seconds=25"))
        tail = house.node.tail
        async with asyncio.timeout(PATIENCE_S):
            while not tail.waiting:
                await look_again()
        tail.close()
        async with asyncio.timeout(PATIENCE_S):
            assert (await waiting).data == []
        assert (await asked(house, "wait_seconds=25")).data == []


async def test_who_finds_no_place_to_wait_is_answered_at_once(house: House) -> None:
    tail = house.node.tail
    places = [tail.place() for _ in range(WAITERS_LIMIT)]
    for place in places:
        assert await place.__aenter__()
    assert (await asked(house, "wait_seconds=25")).data == []
    for place in places:
        await place.__aexit__(None, None, None)
    assert tail.waiting == 0


async def test_a_change_of_a_showtime_is_told(house: House) -> None:
    showtime_id = await house.showtime()
    await house.booked("ada", showtime_id, "A1")
    path = f"showtimes/{showtime_id}?reason=No+heating."
    await house.ask("manager", "DELETE", path, headers={"If-Match": '"1"'})
    (event,) = await told(house, 1, "type=showtime.cancelled")
    assert (event["booking_id"], event["sequence"]) == (None, 1)
    assert event["data"] == {"reason": "No heating.", "bookings": 1}
    # The job gives the booking back: that is told as well.
    (given_back,) = await told(house, 1, "type=booking.cancelled")
    assert given_back["data"]["refund"] == {"amount": 1000, "currency": "EUR"}


async def test_old_events_are_deleted_and_who_misses_some_learns_of_it(
    house: House, repository: EventsRepository
) -> None:
    showtime_id = await house.showtime()
    first = await house.booked("ada", showtime_id, "A1")
    await house.booked("ada", showtime_id, "A2")
    one, two = [event["position"] for event in await told(house, 2)]
    now = await house.database.fetchval("select max(at) from public_events")
    await house.database.execute(
        "update public_events set at = at - $2::interval where position = $1", one, MUCH_LATER
    )
    assert await repository.forget(now + KEPT - MUCH_LATER / 2, 10) == 1
    assert await repository.forget(now + KEPT - MUCH_LATER / 2, 10) == 0
    assert await repository.horizon() == one
    assert [event["position"] for event in (await asked(house, f"after={one}")).data] == [two]
    assert [event["position"] for event in (await asked(house)).data] == [two]
    # The booking goes on counting, and positions go on when nothing is left.
    await house.ask("ada", "DELETE", f"bookings/{first}")
    (cancelled,) = await told(house, 1, "type=booking.cancelled")
    assert cancelled["sequence"] == 2
    await told(house, 3)
    await repository.forget(now + KEPT + MUCH_LATER, 10)
    assert await repository.last() == await repository.horizon() > cancelled["position"] - 1
    assert (await house.ask("admin", "GET", f"admin/events?after={one}")).error == (
        410,
        "EVENTS_FORGOTTEN",
    )
    assert await repository.forget_counts(now, 10) == 0
    assert await repository.forget_counts(now + COUNTS_KEPT + MUCH_LATER, 10) == 2
