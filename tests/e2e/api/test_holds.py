"""Holds over HTTP: placing, looking, extending, releasing, and every way to be refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.api.house import UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.sockets import watching

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMPOSSIBLE: list[tuple[Any, int, str, dict[str, Any]]] = [
    ({"seats": []}, 400, "VALIDATION_ERROR", {"path": "$.seats"}),
    ({"seats": [7]}, 400, "VALIDATION_ERROR", {"path": "$.seats[0]"}),
    ({"seats": "A1"}, 400, "VALIDATION_ERROR", {"path": "$.seats"}),
    ({"seats": ["A1"], "x": 1}, 400, "VALIDATION_ERROR", {"path": "$.x"}),
    ({"seats": ["A" * 9]}, 400, "VALIDATION_ERROR", {"path": "$.seats[0]"}),
    ({"seats": ["A1"] * 101}, 400, "VALIDATION_ERROR", {"path": "$.seats"}),
    ({}, 400, "VALIDATION_ERROR", {}),
    ([], 400, "VALIDATION_ERROR", {}),
    ({"seats": ["A1"], "best_available": {"quantity": 1}}, 400, "VALIDATION_ERROR", {}),
    (
        {"best_available": {"quantity": 0}},
        400,
        "VALIDATION_ERROR",
        {"path": "$.best_available.quantity"},
    ),
    ({"best_available": {}}, 400, "VALIDATION_ERROR", {"path": "$.best_available.quantity"}),
    ({"seats": ["Z1", "A1", "A99"]}, 422, "UNKNOWN_SEAT", {"seats": ["Z1", "A99"]}),
    ({"seats": ["a1"]}, 422, "UNKNOWN_SEAT", {"seats": ["a1"]}),
    ({"seats": ["A1", "A1", "A2"]}, 422, "DUPLICATE_SEAT", {"seats": ["A1"]}),
    (
        {"best_available": {"quantity": 1, "category": "sofa"}},
        422,
        "UNKNOWN_CATEGORY",
        {"category": "sofa", "categories": ["regular", "premium"]},
    ),
    (
        {"best_available": {"quantity": 9, "category": "premium"}},
        409,
        "NOT_ENOUGH_SEATS",
        {"quantity": 9},
    ),
    ({"seats": ["C1"]}, 409, "COMPANION_ONLY", {"seats": ["C1"]}),
    ({"seats": ["A2"]}, 409, "ORPHAN_SEAT", {"seats": ["A1"]}),
    (
        {"seats": [f"A{n}" for n in range(1, 8)] + [f"B{n}" for n in range(1, 5)]},
        409,
        "HOLD_LIMIT",
        {"limit": "seats_per_hold", "value": 10},
    ),
]


async def test_hold_has_the_contracts_shape(house: House) -> None:
    showtime_id = await house.showtime()
    before = datetime.now(UTC)
    answer = await house.hold("ada", showtime_id, "B2", "B1")
    hold = answer.data
    assert answer.status == 201
    assert set(hold) == {
        *("hold_id", "showtime_id", "status", "seats", "total", "expires_at", "epoch", "seq"),
    }
    assert (hold["showtime_id"], hold["status"]) == (showtime_id, "active")
    price = {"amount": 1250, "currency": "EUR"}
    assert [seat["label"] for seat in hold["seats"]] == ["B2", "B1"]
    assert all(
        seat == {"label": seat["label"], "category": "premium", "price": price}
        for seat in hold["seats"]
    )
    assert hold["total"] == {"amount": 2500, "currency": "EUR"}
    assert hold["expires_at"].endswith("Z")
    lifetime = datetime.fromisoformat(hold["expires_at"]) - before
    assert timedelta(seconds=590) < lifetime < timedelta(seconds=620)
    assert hold["seq"] == 1


async def test_best_available_holds_adjacent_seats_of_a_kind(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/holds"

    async def wish(**best: Any) -> list[str]:
        answer = await house.ask("ada", "POST", path, {"best_available": best})
        assert answer.status == 201
        return [seat["label"] for seat in answer.data["seats"]]

    premium = await wish(quantity=3, category="premium")
    assert {label[0] for label in premium} == {"B"}
    numbers = sorted(int(label[1:]) for label in premium)
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert "C2" in await wish(quantity=1, accessible=True)
    regular = await wish(quantity=2, category="regular")
    assert {label[0] for label in regular} <= {"A", "C"}


async def test_concurrent_best_available_never_conflict(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    wish = {"best_available": {"quantity": 1, "category": "premium"}}
    answers = await asyncio.gather(
        *(
            house.ask(person, "POST", f"showtimes/{showtime_id}/holds", wish)
            for person in ("ada", "bob") * 6
        )
    )
    good = [answer.data for answer in answers if answer.status == 201]
    assert {hold["seats"][0]["label"] for hold in good} == {f"B{n}" for n in range(1, 9)}
    assert len(good) == 8
    refused = {answer.error for answer in answers if answer.status != 201}
    assert refused == {(409, "NOT_ENOUGH_SEATS")}


async def test_one_of_many_gets_a_seat_and_the_others_are_told_which(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    answers = await asyncio.gather(
        *(house.hold(person, showtime_id, "A1", "A2") for person in ("ada", "bob") * 8)
    )
    assert sorted(answer.status for answer in answers) == [201] + [409] * 15
    refused = [answer for answer in answers if answer.status == 409]
    assert {answer.error[1] for answer in refused} == {"SEAT_UNAVAILABLE"}
    assert all(answer.details["seats"] == ["A1", "A2"] for answer in refused)


async def test_hold_is_all_or_nothing(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("ada", showtime_id, "A2")
    answer = await house.hold("bob", showtime_id, "A1", "A2", "A3")
    assert answer.error == (409, "SEAT_UNAVAILABLE")
    assert answer.details == {"seats": ["A2"]}
    assert await house.statuses(showtime_id) == {"A2": "held"}


async def test_impossible_holds_are_refused_and_change_nothing(house: House) -> None:
    showtime_id = await house.showtime(protect_orphans=True)
    for body, status, code, details in IMPOSSIBLE:
        answer = await house.ask("ada", "POST", f"showtimes/{showtime_id}/holds", body)
        assert answer.error == (status, code), body
        assert details.items() <= answer.details.items(), body
    seat_map = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data
    assert seat_map["seq"] == 0


async def test_hold_outside_the_sales_window_is_refused(house: House) -> None:
    opens_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    showtime_id = await house.showtime(sales={"opens_at": opens_at})
    answer = await house.hold("ada", showtime_id, "A1")
    assert answer.error == (409, "SALES_CLOSED")
    assert set(answer.details) == {"opens_at", "closes_at"}


async def test_customer_may_have_only_so_many_live_holds(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=2)
    first = await house.held("ada", showtime_id, "A1")
    await house.held("ada", showtime_id, "A2")
    refused = await house.hold("ada", showtime_id, "A3")
    assert refused.error == (409, "HOLD_LIMIT")
    assert (await house.hold("bob", showtime_id, "A3")).status == 201
    await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/holds/{first}")
    assert (await house.hold("ada", showtime_id, "A4")).status == 201


@pytest.mark.parametrize("person", ["staff", "manager", "admin"])
async def test_till_has_limits_of_its_own(house: House, person: str) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=1)
    eleven = [f"{row}{number}" for row in "AB" for number in range(1, 9)][:11]
    refused = await house.hold("ada", showtime_id, *eleven)
    assert refused.details == {"limit": "seats_per_hold", "value": 10}
    assert len((await house.hold(person, showtime_id, *eleven)).data["seats"]) == 11
    for number in range(3, 8):
        assert (await house.hold(person, showtime_id, f"C{number}")).status == 201
    wish = {"best_available": {"quantity": 11}}
    refused = await house.ask("bob", "POST", f"showtimes/{showtime_id}/holds", wish)
    assert refused.details["limit"] == "seats_per_hold"
    refused = await house.ask(person, "POST", f"showtimes/{showtime_id}/holds", wish)
    assert refused.error == (409, "NOT_ENOUGH_SEATS")
    async with watching(house, await house.showtime(), "?deltas=false", person=person) as socket:
        answer = await socket.ask(type="hold", seats=eleven)
        assert len(answer["data"]["seats"]) == 11


@pytest.mark.parametrize("person", ["staff elsewhere", "manager elsewhere"])
async def test_till_of_another_cinema_has_the_limits_of_customers(
    house: House, person: str
) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=1)
    address = {"city": "Paris", "country": "FR", "time_zone": "Europe/Paris", "currency": "EUR"}
    theirs = await house.ask("admin", "POST", "cinemas", {"name": "Rex", "address": "x", **address})
    await house.database.execute(
        "insert into cinema_managers (user_id, cinema_id) values ($1, $2)",
        house.people[person],
        theirs.data["id"],
    )
    seats = [f"{row}{number}" for row in "AB" for number in range(1, 9)][:11]
    refused = await house.hold(person, showtime_id, *seats)
    assert refused.details == {"limit": "seats_per_hold", "value": 10}
    assert (await house.hold(person, showtime_id, "A1")).status == 201
    refused = await house.hold(person, showtime_id, "A2")
    assert refused.details == {"limit": "live_holds_per_customer", "value": 1}


async def test_limits_of_the_till_are_settings(database: str) -> None:
    async with open_house(database, seats_per_staff_hold=3, live_holds_per_staff=2) as house:
        showtime_id = await house.showtime()
        refused = await house.hold("staff", showtime_id, "A1", "A2", "A3", "A4")
        assert refused.error == (409, "HOLD_LIMIT")
        assert refused.details == {"limit": "seats_per_staff_hold", "value": 3}
        assert (await house.hold("staff", showtime_id, "A1", "A2", "A3")).status == 201
        assert (await house.hold("staff", showtime_id, "A4")).status == 201
        refused = await house.hold("staff", showtime_id, "A5")
        assert refused.details == {"limit": "live_holds_per_staff", "value": 2}
        assert (await house.hold("ada", showtime_id, "B1", "B2", "B3", "B4")).status == 201


async def test_paused_sales_refuse_holds_but_not_bookings(house: House) -> None:
    from cinema.domain.ids import parse_id
    from cinema.domain.showtime.commands import PauseSales

    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    raw = parse_id(showtime_id)
    assert raw is not None
    await house.node.kernel.ask(raw, PauseSales(command_id=bytes(16)))
    assert (await house.hold("ada", showtime_id, "A3")).error == (409, "SALES_PAUSED")
    assert (await house.book("ada", showtime_id, hold_id)).status == 201


# --- idempotency


async def test_same_key_and_request_is_the_stored_success(house: House) -> None:
    showtime_id = await house.showtime()
    first = await house.hold("ada", showtime_id, "A1", key="k 1")
    again = await house.hold("ada", showtime_id, "A1", key="k 1")
    assert (first.status, again.status) == (201, 201)
    assert again.data == first.data
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_same_key_with_another_request_is_a_mismatch(house: House) -> None:
    showtime_id = await house.showtime()
    await house.hold("ada", showtime_id, "A1", key="k")
    answer = await house.hold("ada", showtime_id, "A2", key="k")
    assert answer.error == (422, "IDEMPOTENCY_MISMATCH")
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_key_belongs_to_one_person_and_one_route(house: House) -> None:
    showtime_id, other_id = await house.showtime(), await house.showtime()
    first = (await house.hold("ada", showtime_id, "A1", key="k")).data
    assert (await house.hold("bob", showtime_id, "A2", key="k")).status == 201
    assert (await house.hold("ada", other_id, "A1", key="k")).status == 201
    hold_path = f"showtimes/{showtime_id}/holds/{first['hold_id']}"
    assert (await house.ask("ada", "PATCH", hold_path, {"extend": True}, key="k")).status == 200
    assert (await house.ask("ada", "DELETE", hold_path, key="k")).status == 200


async def test_concurrent_requests_with_one_key_have_one_effect(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    answers = await asyncio.gather(
        *(house.hold("ada", showtime_id, "A1", "A2", key="k") for _ in range(16))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.data["hold_id"] for answer in answers}) == 1


async def test_concurrent_different_requests_with_one_key_have_one_effect(house: House) -> None:
    showtime_id = await house.showtime(live_holds_per_customer=24)
    answers = await asyncio.gather(
        *(house.hold("ada", showtime_id, f"A{number}", key="k") for number in range(1, 9))
    )
    assert sorted(answer.status for answer in answers) == [201] + [422] * 7
    assert len(await house.statuses(showtime_id)) == 1


async def test_refusal_is_not_stored_under_its_key(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("bob", showtime_id, "A1")
    assert (await house.hold("ada", showtime_id, "A1", key="k")).error[1] == "SEAT_UNAVAILABLE"
    await house.ask("bob", "DELETE", f"showtimes/{showtime_id}/holds/{hold_id}")
    assert (await house.hold("ada", showtime_id, "A1", key="k")).status == 201


async def test_key_that_is_none_is_refused(house: House) -> None:
    showtime_id = await house.showtime()
    for key in ("", "x" * 129, "tab\there", "ümlaut"):
        answer = await house.hold("ada", showtime_id, "A1", key=key)
        assert answer.error == (400, "VALIDATION_ERROR"), key
        assert answer.details == {"path": "Idempotency-Key"}
    assert await house.statuses(showtime_id) == {}


# --- an existing hold


async def test_hold_is_seen_by_its_owner_only(house: House) -> None:
    showtime_id, other_id = await house.showtime(), await house.showtime()
    placed = (await house.hold("ada", showtime_id, "A1")).data
    path = f"showtimes/{showtime_id}/holds/{placed['hold_id']}"
    assert (await house.ask("ada", "GET", path)).data == placed
    elsewhere = f"showtimes/{other_id}/holds/{placed['hold_id']}"
    for person, where in [("bob", path), ("staff", path), ("admin", path), ("ada", elsewhere)]:
        for method, body in [("GET", None), ("PATCH", {"extend": True}), ("DELETE", None)]:
            answer = await house.ask(person, method, where, body)
            assert answer.error == (404, "NOT_FOUND")
    for hold_id in (UNKNOWN_ID, "7"):
        answer = await house.ask("ada", "GET", f"showtimes/{showtime_id}/holds/{hold_id}")
        assert answer.error == (404, "NOT_FOUND")
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_released_hold_frees_its_seats_and_ends_once(house: House) -> None:
    showtime_id = await house.showtime()
    placed = (await house.hold("ada", showtime_id, "A1", "A2")).data
    path = f"showtimes/{showtime_id}/holds/{placed['hold_id']}"
    released = await house.ask("ada", "DELETE", path)
    assert released.status == 200
    assert released.data["status"] == "released"
    assert released.data["seats"] == placed["seats"]
    assert await house.statuses(showtime_id) == {}
    seen = await house.ask("ada", "GET", path)
    assert (seen.status, seen.data["status"]) == (200, "released")
    for method, body in [("PATCH", {"extend": True}), ("DELETE", None)]:
        answer = await house.ask("ada", method, path, body)
        assert answer.error == (409, "HOLD_ENDED")
        assert answer.details == {"status": "released"}
    assert (await house.book("ada", showtime_id, placed["hold_id"])).error == (409, "HOLD_ENDED")


async def test_part_of_a_hold_is_released(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2", "A3")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    part = await house.ask("ada", "DELETE", f"{path}?seats=A1,A3")
    assert part.data["status"] == "active"
    assert [seat["label"] for seat in part.data["seats"]] == ["A2"]
    assert part.data["total"]["amount"] == 1000
    assert await house.statuses(showtime_id) == {"A2": "held"}
    for seats, status, code in [
        ("A1", 409, "SEAT_NOT_INCLUDED"),
        ("Z9", 422, "UNKNOWN_SEAT"),
        ("A2,A2", 422, "DUPLICATE_SEAT"),
    ]:
        refused = await house.ask("ada", "DELETE", f"{path}?seats={seats}")
        assert refused.error == (status, code)
    assert (await house.ask("ada", "DELETE", f"{path}?seats=")).error == (400, "VALIDATION_ERROR")
    rest = await house.ask("ada", "DELETE", f"{path}?seats=A2")
    assert rest.data["status"] == "released"


async def test_part_is_released_once_under_one_key(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2", "A3")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    first = await house.ask("ada", "DELETE", f"{path}?seats=A1", key="k")
    again = await house.ask("ada", "DELETE", f"{path}?seats=A1", key="k")
    assert (first.status, again.data) == (200, first.data)
    other = await house.ask("ada", "DELETE", f"{path}?seats=A2", key="k")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_extension_must_be_meant(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/holds/{await house.held('ada', showtime_id, 'A1')}"
    for body in ({"extend": False}, {}, {"extend": "yes"}, {"extend": True, "x": 1}):
        answer = await house.ask("ada", "PATCH", path, body)
        assert answer.error == (400, "VALIDATION_ERROR"), body


async def test_hold_is_extended_up_to_its_cap(clocks: Clocks, database: str) -> None:
    async with open_house(database, clocks=clocks) as house:
        showtime_id = await house.showtime(hold_ttl_s=600, hold_max_s=900)
        placed = (await house.hold("ada", showtime_id, "A1")).data
        path = f"showtimes/{showtime_id}/holds/{placed['hold_id']}"
        clocks.ahead_s = 200
        first = (await house.ask("ada", "PATCH", path, {"extend": True})).data
        assert _seconds_between(placed, first) == pytest.approx(200, abs=5)
        clocks.ahead_s = 700
        second = (await house.ask("ada", "PATCH", path, {"extend": True})).data
        assert _seconds_between(placed, second) == pytest.approx(300, abs=0.001)
        refused = await house.ask("ada", "PATCH", path, {"extend": True})
        assert refused.error == (409, "HOLD_LIMIT")
        assert refused.details == {
            "limit": "hold_max_s",
            "value": 900,
            "expires_at": second["expires_at"],
        }
        assert "cannot be extended" in refused.envelope["error"]["message"]


async def test_hold_ends_when_its_time_is_over(clocks: Clocks, database: str) -> None:
    async with open_house(database, clocks=clocks) as house:
        showtime_id = await house.showtime()
        hold_id = await house.held("ada", showtime_id, "A1")
        clocks.ahead_s = 599
        assert await house.statuses(showtime_id) == {"A1": "held"}
        clocks.ahead_s = 601
        assert await house.statuses(showtime_id) == {}
        path = f"showtimes/{showtime_id}/holds/{hold_id}"
        seen = await house.ask("ada", "GET", path)
        assert (seen.status, seen.data["status"]) == (200, "expired")
        late = await house.book("ada", showtime_id, hold_id)
        assert late.error == (409, "HOLD_ENDED")
        assert late.details == {"status": "expired"}
        assert (await house.hold("bob", showtime_id, "A1")).status == 201


def _seconds_between(one: dict[str, Any], other: dict[str, Any]) -> float:
    first, second = (datetime.fromisoformat(hold["expires_at"]) for hold in (one, other))
    return (second - first).total_seconds()
