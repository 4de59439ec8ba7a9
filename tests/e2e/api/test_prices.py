"""Prices over HTTP: books that managers write, and quotes that explain themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e.api.house import UNKNOWN_ID, Answer, House, open_house
from tests.e2e.api.paying import verify
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALF: dict[str, Any] = {"kind": "percent", "value": -5000}
TYPES: list[dict[str, Any]] = [
    {"code": "adult", "name": "Adult"},
    {"code": "child", "name": "Child", "maximum": 4},
    {"code": "press", "name": "Press", "free": True, "channels": ["counter"]},
]


async def settings(house: House, **changes: Any) -> Answer:
    path = f"cinemas/{house.cinema_id}/pricing"
    seen = (await house.ask("manager", "GET", path)).data
    return await house.ask(
        *("manager", "PUT", path),
        {"ticket_types": TYPES, **changes},
        headers={"If-Match": f'"{seen["version"]}"'},
    )


async def rule(house: House, name: str, group: str, effect: dict[str, Any], **when: Any) -> Answer:
    body = {"cinema_id": house.cinema_id, "name": name, "group": group, "effect": effect}
    return await house.ask("manager", "POST", "pricing/rules", {**body, "when": when})


async def calculate(
    house: House, showtime_id: str, person: str | None = None, **body: Any
) -> Answer:
    return await house.ask(
        person, "POST", "pricing/calculate", {"showtime_id": showtime_id, **body}
    )


def prices(answer: Answer) -> list[int]:
    return [seat["price"]["amount"] for seat in answer.data["seats"]]


async def without_rules(house: House) -> None:
    await house.database.execute(
        "update price_rules set deleted_at = now() where cinema_id = $1", house.cinema_id
    )


async def test_a_cinema_sells_as_its_seat_map_says_until_somebody_changes_its_book(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    quoted = await calculate(house, showtime_id, seats=["A1", "B1"])
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")).data["seats"]
    assert prices(quoted) == [
        one["price"]["amount"] for one in shown if one["label"] in {"A1", "B1"}
    ]
    assert quoted.data["total"] == {"amount": 2250, "currency": "EUR"}
    types = await house.ask(None, "GET", f"cinemas/{house.cinema_id}/ticket-types")
    assert "adult" in [one["code"] for one in types.data]


async def test_a_new_rule_is_for_new_holds_wherever_the_showtime_is_sold(house: House) -> None:
    """It reaches a showtime in memory; holds keep what they cost, whatever happens to them."""
    await without_rules(house)
    showtime_id = await house.showtime()
    before = (await house.hold("ada", showtime_id, "A1")).data
    path = f"showtimes/{showtime_id}/seats"
    tag = (await house.ask(None, "GET", path)).headers["ETag"]
    await rule(house, "Dear", "time", {"kind": "amount", "value": 700})
    usual = before["total"]["amount"]

    async def shown() -> int:
        seats = (await house.ask(None, "GET", path, headers={"If-None-Match": tag})).envelope
        return usual if seats is None else int(seats["data"]["seats"][1]["price"]["amount"])

    async with asyncio.timeout(20):
        while await shown() == usual:
            await look_again()
    assert await shown() == usual + 700
    after = (await house.hold("bob", showtime_id, "A2")).data
    assert after["total"]["amount"] == usual + 700
    kept = f"showtimes/{showtime_id}/holds/{before['hold_id']}"
    extended = await house.ask("ada", "PATCH", kept, {"extend": True})
    assert extended.data["total"]["amount"] == usual
    await without_rules(house)


async def test_a_quote_explains_each_seat(house: House) -> None:
    await settings(
        house,
        rounding_step=10,
        fees=[{"code": "service", "name": "Service", "per": "ticket", "amount": 50}],
    )
    matinee = (await rule(house, "All week", "time", {"kind": "percent", "value": -1000})).data
    child = (await rule(house, "Children", "type", HALF, ticket_types=["child"])).data
    nearly_full = (
        await rule(house, "Demand", "demand", {"kind": "amount", "value": 100}, taken_min=8)
    ).data
    showtime_id = await house.showtime()
    asked: dict[str, Any] = {
        "seats": ["B1", "A1"],
        "tickets": [{"seat": "B1", "type": "child"}],
    }
    before = await calculate(house, showtime_id, **asked)
    # 1250 by 10 % is 1125, half of it 562.5, rounded up, and to the next 10.
    assert prices(before) == [560, 900]
    assert [
        (step["code"], step["text"], step["after"]["amount"], step["ref"])
        for step in before.data["seats"][0]["steps"]
    ] == [
        ("BASE", "Base price", 1000, None),
        ("CATEGORY", "Category premium", 1250, None),
        ("RULE_TIME", "All week", 1125, matinee["id"]),
        ("RULE_TYPE", "Children", 563, child["id"]),
        ("ROUNDING", "Rounded", 560, None),
    ]
    assert before.data["total"]["amount"] == 560 + 900 + 2 * 50
    await house.held("ada", showtime_id, "C3")
    await house.booked("bob", showtime_id, "C5")
    after = await calculate(house, showtime_id, **asked)
    assert after.data["taken_percent"] == 8  # 2 of 24
    assert prices(after) == [610, 1000]
    assert after.data["seats"][1]["steps"][-1]["ref"] == nearly_full["id"]
    await without_rules(house)


async def test_a_quote_for_a_hold_is_what_it_is_booked_for(house: House) -> None:
    """Its own seats count as taken for everybody else, and rules change behind it."""
    await rule(house, "Demand", "demand", {"kind": "amount", "value": 300}, taken_min=4)
    showtime_id = await house.showtime()
    held = (await house.hold("ada", showtime_id, "A1")).data
    asked: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": held["hold_id"]}
    assert prices(await calculate(house, showtime_id, seats=["A1"])) == [1300]
    await rule(house, "Dear", "time", {"kind": "amount", "value": 700})
    quoted = await house.ask("ada", "POST", "pricing/calculate", asked)
    assert (prices(quoted), quoted.data["taken_percent"]) == ([1000], 0)
    for who, status in ((None, 404), ("bob", 404)):
        assert (await house.ask(who, "POST", "pricing/calculate", asked)).status == status
    both = await house.ask("ada", "POST", "pricing/calculate", {**asked, "seats": ["A1"]})
    assert both.error == (400, "VALIDATION_ERROR")
    till = await house.ask("ada", "POST", "pricing/calculate", {**asked, "channel": "counter"})
    assert till.error == (403, "FORBIDDEN")
    booking = {"showtime_id": showtime_id, "hold_id": held["hold_id"]}
    booked = await house.ask("ada", "POST", "bookings", {**booking, "payment": {"method": "demo"}})
    assert booked.data["total"] == quoted.data["total"]
    over = await house.ask("ada", "POST", "pricing/calculate", asked)
    assert over.error == (409, "HOLD_ENDED")
    await without_rules(house)


async def test_a_quote_for_a_hold_counts_a_code_and_none_is_made_while_it_is_paid(
    house: House,
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    held = (await house.hold("ada", showtime_id, "A1")).data
    name = f"held-{house.cinema_id[-8:]}"
    code: dict[str, Any] = {
        "code": name,
        "discount": {"kind": "amount", "value": 300},
        "currency": "EUR",
    }
    code["cinema_ids"] = [house.cinema_id]
    made = await house.ask("manager", "POST", "pricing/promocodes", code)
    assert made.status == 201, made
    asked: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": held["hold_id"]}
    with_code = await house.ask(
        *("ada", "POST", "pricing/calculate"), {**asked, "promo_code": name}
    )
    assert with_code.data["total"]["amount"] == held["total"]["amount"] - 300
    unknown = await house.ask(
        *("ada", "POST", "pricing/calculate"), {**asked, "promo_code": "NONE"}
    )
    assert unknown.error[1] == "UNKNOWN_PROMO_CODE"
    reserved = await house.book("ada", showtime_id, held["hold_id"], method="counter_later")
    assert reserved.status == 201, reserved
    paying = await house.ask("ada", "POST", "pricing/calculate", asked)
    assert paying.error == (409, "PAYMENT_IN_PROGRESS")


async def test_a_manager_changes_and_deletes_a_rule_that_nobody_else_changed(house: House) -> None:
    made = await rule(house, "One", "time", HALF)
    assert made.status == 201
    path = f"pricing/rules/{made.data['id']}"
    seen = await house.ask("staff", "GET", path)
    assert seen.data == made.data
    assert seen.headers["ETag"] == '"1"'
    body = {"name": "Two", "group": "time", "effect": HALF}
    changed = await house.ask("manager", "PUT", path, body, headers={"If-Match": '"1"'})
    assert (changed.data["name"], changed.headers["ETag"]) == ("Two", '"2"')
    stale = await house.ask("manager", "PUT", path, body, headers={"If-Match": '"1"'})
    assert stale.error == (412, "PRECONDITION_FAILED")
    blind = await house.ask("manager", "DELETE", path)
    assert blind.error == (428, "PRECONDITION_REQUIRED")
    listed = await house.ask("staff", "GET", f"pricing/rules?cinema_id={house.cinema_id}")
    assert listed.data == [changed.data]
    for _ in range(2):
        gone = await house.ask("manager", "DELETE", path, key="once", headers={"If-Match": '"2"'})
        assert gone.data["id"] == made.data["id"]
    assert (await house.ask("manager", "GET", path)).error == (404, "NOT_FOUND")


async def test_types_and_channels_are_kept_to(house: House) -> None:
    await settings(house)
    showtime_id = await house.showtime()
    for tickets, code in (
        ([{"type": "dog"}], "UNKNOWN_TICKET_TYPE"),
        ([{"type": "child", "quantity": 5}], "TICKETS_NOT_ALLOWED"),
        ([{"type": "press"}], "TICKETS_NOT_ALLOWED"),
    ):
        answer = await calculate(house, showtime_id, quantity=5, tickets=tickets)
        assert answer.error == (422, code)
    press: dict[str, Any] = {"quantity": 1, "tickets": [{"type": "press"}], "channel": "counter"}
    for person, status in (
        (None, 403),
        ("ada", 403),
        ("staff elsewhere", 403),
        ("staff", 200),
        ("admin", 200),
    ):
        assert (await calculate(house, showtime_id, person, **press)).status == status


async def test_what_cannot_be_quoted(house: House) -> None:
    showtime_id = await house.showtime()
    for body, error in (
        ({"seats": ["Z1"]}, (422, "UNKNOWN_SEAT")),
        ({"seats": ["A1", "A1"]}, (422, "DUPLICATE_SEAT")),
        ({"quantity": 1, "category": "sofa"}, (422, "UNKNOWN_CATEGORY")),
        ({}, (400, "VALIDATION_ERROR")),
        ({"seats": ["A1"], "quantity": 1}, (400, "VALIDATION_ERROR")),
        ({"quantity": 101}, (400, "VALIDATION_ERROR")),
    ):
        assert (await calculate(house, showtime_id, **body)).error == error
    assert (await calculate(house, UNKNOWN_ID, quantity=1)).error == (404, "NOT_FOUND")


async def test_settings_that_cannot_be(house: House) -> None:
    answer = await settings(house, ticket_tax="luxury")
    assert answer.error == (400, "VALIDATION_ERROR")
    assert answer.details["path"] == "$.ticket_tax"
    answer = await rule(house, "Nobody", "type", HALF)
    assert answer.details["path"] == "$.when.ticket_types"


# --- promo codes


async def promo(house: House, code: str, **terms: Any) -> Answer:
    body = {
        "code": code,
        "discount": {"kind": "amount", "value": 300},
        "currency": "EUR",
        "cinema_ids": [house.cinema_id],
        **terms,
    }
    return await house.ask("manager", "POST", "pricing/promocodes", body)


async def test_a_code_takes_off_what_it_says(house: House) -> None:
    await settings(house)
    showtime_id = await house.showtime()
    code = f"Off-{house.cinema_id[-8:]}"
    made = await promo(house, code, minimum_order=2000)
    assert made.status == 201
    check = {"promo_code": f" {code.lower()} ", "showtime_id": showtime_id}
    valid = await house.ask(None, "POST", "pricing/promocode/validate", check)
    assert valid.data == {
        "code": code,
        "discount": {"kind": "amount", "value": 300},
        "per": "booking",
        "stackable": False,
        "currency": "EUR",
        "minimum_order": 2000,
        "valid_until": None,
    }
    quoted = await calculate(house, showtime_id, quantity=2, promo_code=code)
    assert prices(quoted) == [850, 850]
    assert quoted.data["promo"] == {
        "code": code,
        "applied": True,
        "discount": {"amount": 300, "currency": "EUR"},
        "reason": None,
    }
    too_few = await calculate(house, showtime_id, quantity=1, promo_code=code)
    assert (too_few.data["promo"]["applied"], too_few.data["promo"]["reason"]) == (
        False,
        "MINIMUM_ORDER",
    )
    path = f"pricing/promocodes/{made.data['id']}"
    terms = {"discount": {"kind": "percent", "value": 10_000}, "cinema_ids": [house.cinema_id]}
    seen = await house.ask("manager", "GET", path)
    await house.ask("manager", "PUT", path, terms, headers={"If-Match": seen.headers["ETag"]})
    assert prices(await calculate(house, showtime_id, quantity=1, promo_code=code)) == [0]
    gone = await house.ask("manager", "DELETE", path, headers={"If-Match": '"2"'})
    assert gone.status == 200
    assert (await house.ask("manager", "GET", path)).status == 404


async def test_a_wrong_code_and_one_for_something_else_look_the_same(house: House) -> None:
    showtime_id = await house.showtime()
    mark = house.cinema_id[-6:]
    await promo(house, f"Later-{mark}", valid_from="2100-01-01T00:00:00Z")
    await promo(house, f"Over-{mark}", valid_until="2020-01-01T00:00:00Z")
    await promo(house, f"Off-{mark}", active=False)
    await promo(house, f"Yen-{mark}", currency="JPY")
    used = (await promo(house, f"Used-{mark}", max_uses=1)).data
    await house.database.execute("update promo_codes set uses = 1 where id = $1", used["id"])
    answers = []
    for code in ("Later", "Over", "Off", "Yen", "Used", "None"):
        check = {"promo_code": f"{code}-{mark}", "showtime_id": showtime_id}
        answer = await house.ask(None, "POST", "pricing/promocode/validate", check)
        assert answer.error == (422, "UNKNOWN_PROMO_CODE")
        answers.append(answer.envelope["error"])
        quoted = await calculate(house, showtime_id, quantity=1, promo_code=f"{code}-{mark}")
        assert quoted.envelope["error"] == answer.envelope["error"]
    assert answers == answers[:1] * len(answers)


async def test_guesses_are_counted_and_right_codes_are_not(database: str) -> None:
    async with open_house(database, promo_guesses_per_hour_per_address=2) as house:
        showtime_id = await house.showtime()
        await promo(house, "RIGHT-ONE")

        async def check(code: str) -> int:
            body = {"promo_code": code, "showtime_id": showtime_id}
            return (await house.ask(None, "POST", "pricing/promocode/validate", body)).status

        assert [await check("RIGHT-ONE") for _ in range(4)] == [200] * 4
        assert [await check("WRONG") for _ in range(3)] == [422, 422, 429]
        assert await check("RIGHT-ONE") == 429
        quoted = await calculate(house, showtime_id, quantity=1, promo_code="WRONG")
        assert quoted.error == (429, "RATE_LIMITED")
        assert (await calculate(house, showtime_id, quantity=1)).status == 200
