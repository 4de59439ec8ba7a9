"""The seat map over HTTP: its shape, its tag, and whose seats are whose."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.api.house import LABELS, UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_seat_map_has_the_contracts_shape(house: House) -> None:
    showtime_id = await house.showtime()
    answer = await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")
    seat_map = answer.data
    assert answer.status == 200
    assert set(seat_map) == {"showtime_id", "epoch", "seq", "layout_version", "seats"}
    assert seat_map["showtime_id"] == showtime_id
    assert seat_map["layout_version"] == 1
    assert [seat["label"] for seat in seat_map["seats"]] == LABELS
    by_label = {seat["label"]: seat for seat in seat_map["seats"]}
    assert by_label["A1"] == {
        "label": "A1",
        "row": "A",
        "number": 1,
        "category": "regular",
        "status": "available",
        "price": {"amount": 1000, "currency": "EUR"},
    }
    assert by_label["B2"]["category"] == "premium"
    assert by_label["B2"]["price"] == {"amount": 1250, "currency": "EUR"}
    assert by_label["C1"]["companion"] is True
    assert by_label["C2"]["accessible"] is True


async def test_seats_with_letters_are_named_by_them_everywhere(house: House) -> None:
    seats = [{"number": number, "category": "regular"} for number in range(1, 29)]
    layout = {"rows": [{"label": label, "seats": seats} for label in ("1", "12")]}
    screen_id = await house.screen(layout=layout)
    showtime_id = await house.showtime(screen_id=screen_id)
    shown = (await house.ask(None, "GET", f"screens/{screen_id}/layout")).data["layout"]
    assert shown == layout
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data["seats"]
    by_label = {seat["label"]: seat for seat in shown}
    assert by_label["12C"] == {
        "label": "12C",
        "row": "12",
        "number": 3,
        "letter": "C",
        "category": "regular",
        "status": "available",
        "price": {"amount": 1000, "currency": "EUR"},
    }
    assert by_label["12AB"]["letter"] == "AB"
    # A number is none here: no label can be read in two ways.
    assert (await house.hold("ada", showtime_id, "123")).error == (422, "UNKNOWN_SEAT")
    booking_id = await house.booked("ada", showtime_id, "1Z", "12C", "12AA")
    booking = (await house.ask("ada", "GET", f"bookings/{booking_id}")).data
    assert [seat["label"] for seat in booking["seats"]] == ["1Z", "12C", "12AA"]
    part = await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=12C,12AA")
    assert [seat["label"] for seat in part.data["seats"]] == ["1Z"]
    taken = await house.hold("bob", showtime_id, "1Z")
    assert (taken.error, taken.details) == ((409, "SEAT_UNAVAILABLE"), {"seats": ["1Z"]})
    best = {"best_available": {"quantity": 2}}
    chosen = (await house.ask("bob", "POST", f"showtimes/{showtime_id}/holds", best)).data
    assert [seat["label"] for seat in chosen["seats"]] == ["12N", "12O"]


async def test_seats_are_shown_as_held_booked_and_mine(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("ada", showtime_id, "A1", "A2")
    await house.booked("bob", showtime_id, "B1")
    assert await house.statuses(showtime_id) == {"A1": "held", "A2": "held", "B1": "booked"}

    async def mine(person: str | None) -> list[str]:
        answer = await house.ask(person, "GET", f"showtimes/{showtime_id}/seats")
        return [seat["label"] for seat in answer.data["seats"] if "mine" in seat]

    assert await mine("ada") == ["A1", "A2"]
    assert await mine("bob") == ["B1"]
    assert await mine("staff") == await mine(None) == []


async def test_unchanged_seat_map_is_304_and_a_changed_one_is_not(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/seats"
    tag = (await house.ask(None, "GET", path)).headers["ETag"]
    for seen in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await house.ask(None, "GET", path, headers={"If-None-Match": seen})
        assert (again.status, again.envelope, again.headers["ETag"]) == (304, None, tag)
    await house.held("ada", showtime_id, "A1")
    changed = await house.ask(None, "GET", path, headers={"If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


async def test_tag_of_one_caller_does_not_fit_another(house: House) -> None:
    """What is `mine` differs under the same seq."""
    showtime_id = await house.showtime()
    path = f"showtimes/{showtime_id}/seats"
    await house.held("ada", showtime_id, "A1")
    tag = (await house.ask("ada", "GET", path)).headers["ETag"]
    for other in ("bob", None):
        answer = await house.ask(other, "GET", path, headers={"If-None-Match": tag})
        assert answer.status == 200


async def test_seat_map_shows_what_was_acknowledged_before(house: House) -> None:
    """Linearizable, for showtimes in memory and not: the first read here wakes nobody."""
    showtime_id = await house.showtime()
    first = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data
    assert first["seq"] == 0
    for number in range(1, 5):
        hold = (await house.hold("ada", showtime_id, f"A{number}")).data
        seen = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data
        assert (seen["epoch"], seen["seq"]) >= (hold["epoch"], hold["seq"])
        assert f"A{number}" in {seat["label"] for seat in seen["seats"] if seat["status"] == "held"}


async def test_seats_of_no_showtime_are_not_found(house: House) -> None:
    for showtime_id in (UNKNOWN_ID, "7", "not-an-id", UNKNOWN_ID.replace("-", "")):
        for person in (None, "ada"):
            answer = await house.ask(person, "GET", f"showtimes/{showtime_id}/seats")
            assert answer.error == (404, "NOT_FOUND"), showtime_id


async def test_asking_for_showtimes_that_are_none_leaves_nothing_in_memory(house: House) -> None:
    kernel = house.node.kernel
    before = kernel.resident_count
    ids = [f"{UNKNOWN_ID[:-2]}{number:02x}" for number in range(40)]
    answers = await asyncio.gather(
        *(house.ask("ada", "GET", f"showtimes/{one}/seats") for one in ids),
        *(house.hold("ada", one, "A1") for one in ids),
    )
    assert {answer.error for answer in answers} == {(404, "NOT_FOUND")}
    assert kernel.resident_count <= before


async def test_bad_token_is_refused_even_where_none_is_needed(house: House) -> None:
    showtime_id = await house.showtime()
    answer = await house.ask(
        None,
        "GET",
        f"showtimes/{showtime_id}/seats",
        headers={"Authorization": f"Bearer {house.token('ada', at_s=1.0)}"},
    )
    assert answer.error == (401, "UNAUTHENTICATED")
    assert answer.details == {"reason": "TOKEN_EXPIRED"}
