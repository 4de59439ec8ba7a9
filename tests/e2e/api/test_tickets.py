"""Tickets of types over HTTP: what a hold was quoted for each type, whenever it is booked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e.api.books import TYPES, sells_by
from tests.e2e.api.house import Answer, House
from tests.e2e.api.paying import get, process, reserve, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = {"code": "service", "name": "Service", "per": "ticket", "amount": 100, "tax": "standard"}


async def book(
    house: House, person: str, showtime_id: str, hold_id: str, tickets: Any = None, **more: Any
) -> Answer:
    body: dict[str, Any] = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": more.pop("method", "demo")},
    }
    if tickets is not None:
        body["tickets"] = [{"seat": seat, "type": kind} for seat, kind in tickets.items()]
    return await house.ask(person, "POST", "bookings", body, key=more.get("key"))


async def test_tickets_have_types_and_orders_have_lines(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    await sells_by(house, showtime_id, fees=[SERVICE])
    hold_id = await house.held("ada", showtime_id, "A1", "A2", "B1")
    made = await book(house, "ada", showtime_id, hold_id, {"A2": "child", "B1": "companion"})
    assert made.status == 201, made
    booking = made.data
    assert [(one["label"], one["type"], one["price"]["amount"]) for one in booking["seats"]] == [
        ("A1", "adult", 1000),
        ("A2", "child", 500),
        ("B1", "companion", 0),
    ]
    # Tax is in the prices: 98 of 1500 at 7 %, 32 of 200 at 19 %.
    assert [
        (one["kind"], one["code"], one["amount"]["amount"], one.get("quantity"))
        for one in booking["lines"]
    ] == [
        ("fee", "service", 200, 2),
        ("tax", "reduced", 98, None),
        ("tax", "standard", 32, None),
    ]
    assert booking["total"] == booking["payment"]["amount"] == {"amount": 1700, "currency": "EUR"}
    assert await get(house, "ada", f"bookings/{booking['id']}") == booking
    (listed,) = [one for one in await get(house, "ada", "bookings") if one["id"] == booking["id"]]
    assert listed == booking
    row = await house.database.fetchrow(
        "select total_minor, fees_minor, tax_minor from bookings where id = $1", booking["id"]
    )
    assert tuple(row) == (1700, 200, 130)
    taxes = await house.database.fetch(
        "select type, price_minor, tax_minor from booking_seats where booking_id = $1"
        " order by position",
        booking["id"],
    )
    assert [tuple(one) for one in taxes] == [
        ("adult", 1000, 65),
        ("child", 500, 33),
        ("companion", 0, 0),
    ]
    ledger = await house.database.fetch(
        "select account, sum(amount)::int from ledger_lines where booking_id = $1 group by 1"
        " having sum(amount) <> 0",
        booking["id"],
    )
    assert dict(tuple(one) for one in ledger) == {
        "demo": 1700,
        "deferred": -1402,
        "tax": -130,
        "fees": -168,
    }
    part = await house.ask("ada", "DELETE", f"bookings/{booking['id']}?seats=A2")
    assert part.data["payment"]["refunded"]["amount"] == 500
    assert (part.data["total"]["amount"], part.data["lines"]) == (1200, booking["lines"])
    left = await get(house, "ada", f"bookings/{booking['id']}")
    assert (left["seats"], left["total"]) == (part.data["seats"], part.data["total"])
    whole = await house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    assert whole.data["payment"]["refunded"]["amount"] == 1500
    shown = await get(house, "ada", f"bookings/{booking['id']}")
    assert shown["payment"]["refunded"]["amount"] == 1500


async def test_a_hold_is_booked_by_the_rules_of_its_moment(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    await sells_by(house, showtime_id)
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    # From here on everything costs more, and there are no children.
    await sells_by(house, showtime_id, ticket_types=TYPES[:1], floor=2000)
    moved = await house.ask("manager", "GET", f"showtimes/{showtime_id}")
    dearer = {
        name: moved.data[name]
        for name in ("movie_id", "screen_id", "starts_at", "language", "format")
    }
    changed = await house.ask(
        *("manager", "PUT", f"showtimes/{showtime_id}"),
        {**dearer, "base_price": {"amount": 5000, "currency": "EUR"}},
        headers={"If-Match": moved.headers["ETag"]},
    )
    assert changed.status == 200, changed
    extended = await house.ask(
        "ada", "PATCH", f"showtimes/{showtime_id}/holds/{hold_id}", {"extend": True}
    )
    assert extended.data["total"]["amount"] == 2000
    made = await book(house, "ada", showtime_id, hold_id, {"A2": "child"})
    assert [one["price"]["amount"] for one in made.data["seats"]] == [1000, 500]
    again = await house.held("bob", showtime_id, "A3")
    refused = await book(house, "bob", showtime_id, again, {"A3": "child"})
    assert refused.error == (422, "UNKNOWN_TICKET_TYPE")
    late = await book(house, "bob", showtime_id, again)
    assert late.data["seats"][0]["price"]["amount"] == 5000


async def test_tickets_that_cannot_be_booked(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    await sells_by(house, showtime_id)
    hold_id = await house.held("ada", showtime_id, "A1", "A2", "A3")
    for tickets, error in (
        ({"Z1": "child"}, (422, "UNKNOWN_SEAT")),
        ({"C5": "child"}, (409, "SEAT_NOT_INCLUDED")),
        ({"A1": "dog"}, (422, "UNKNOWN_TICKET_TYPE")),
        ({"A1": "press"}, (422, "TICKETS_NOT_ALLOWED")),
        ({"A1": "child", "A2": "child", "A3": "child"}, (422, "TICKETS_NOT_ALLOWED")),
        ({"A1": "companion", "A2": "companion"}, (422, "TICKETS_NOT_ALLOWED")),
    ):
        assert (await book(house, "ada", showtime_id, hold_id, tickets)).error == error
    twice = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "demo"},
        "tickets": [{"seat": "A1", "type": "adult"}] * 2,
    }
    assert (await house.ask("ada", "POST", "bookings", twice)).error == (422, "DUPLICATE_SEAT")
    # Of other people's holds nobody learns which seats they have.
    strange = await book(house, "bob", showtime_id, hold_id, {"A1": "child"})
    assert strange.error == (404, "NOT_FOUND")
    made = await book(house, "ada", showtime_id, hold_id, {"A1": "child"}, key="tickets")
    assert made.status == 201
    same = await book(
        house, "ada", showtime_id, hold_id, {"A2": "adult", "A1": "child"}, key="tickets"
    )
    assert same.data == made.data
    other = await book(house, "ada", showtime_id, hold_id, {"A2": "child"}, key="tickets")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    ended = await book(house, "ada", showtime_id, hold_id, {"A1": "child"})
    assert ended.error == (409, "HOLD_ENDED")


async def test_what_costs_nothing_is_booked_at_once_and_for_free(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    await sells_by(house, showtime_id, fees=[SERVICE])
    hold_id = await house.held("staff", showtime_id, "A1")
    await house.till("staff")
    made = await book(house, "staff", showtime_id, hold_id, {"A1": "press"}, method="counter")
    assert made.status == 201, made
    assert made.data["status"] == "confirmed"
    assert made.data["payment"]["method"] == "free"
    assert made.data["total"]["amount"] == 0
    hold_id = await house.held("ada", showtime_id, "A2")
    dear = await book(house, "ada", showtime_id, hold_id, method="free")
    assert dear.error == (422, "UNKNOWN_PAYMENT_METHOD")
    online = await book(house, "staff", showtime_id, hold_id, {"A2": "press"}, method="free")
    assert online.error == (404, "NOT_FOUND")


async def test_a_reservation_keeps_types_and_fees_until_it_is_paid(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    await sells_by(house, showtime_id, fees=[SERVICE])
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    made = await book(house, "ada", showtime_id, hold_id, {"A2": "child"}, method="counter_later")
    assert (made.data["status"], made.data["total"]["amount"]) == ("pending", 1700)
    await sells_by(house, showtime_id)
    paid = await process(house, "staff", made.data["id"])
    assert paid.data["status"] == "confirmed"
    for name in ("seats", "total", "lines"):
        assert paid.data[name] == made.data[name]
    ledger = await house.database.fetch(
        "select account, sum(amount)::int from ledger_lines where booking_id = $1 group by 1"
        " having sum(amount) <> 0",
        made.data["id"],
    )
    assert dict(tuple(one) for one in ledger) == {
        "cash": 1700,
        "deferred": -1402,
        "tax": -130,
        "fees": -168,
    }
    given_up = await reserve(house, "ada", showtime_id, "B1")
    gone = await house.ask("ada", "DELETE", f"bookings/{given_up['id']}")
    assert (gone.data["status"], gone.data["total"]) == ("cancelled", given_up["total"])


async def test_a_group_pays_less_and_gets_back_what_it_paid(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    group = {
        "code": "group",
        "name": "Group",
        "tickets_min": 3,
        "discount": {"kind": "percent", "value": 1000},
    }
    await sells_by(house, showtime_id, group_discounts=[group])
    hold_id = await house.held("ada", showtime_id, "A1", "A2", "A3")
    made = (await book(house, "ada", showtime_id, hold_id)).data
    assert [one["price"]["amount"] for one in made["seats"]] == [900, 900, 900]
    (discount,) = [one for one in made["lines"] if one["kind"] == "group_discount"]
    assert (discount["code"], discount["amount"]["amount"], discount["quantity"]) == (
        *("group", -300),
        3,
    )
    part = await house.ask("ada", "DELETE", f"bookings/{made['id']}?seats=A1")
    assert part.data["payment"]["refunded"]["amount"] == 900
    whole = await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    assert whole.data["payment"]["refunded"]["amount"] == 2700


async def test_a_hold_that_shrinks_while_it_is_booked_is_booked_as_it_is(house: House) -> None:
    showtime_id = await house.showtime()
    await house.held("bob", showtime_id, "C5")
    await sells_by(house, showtime_id)
    for attempt in range(5):
        hold_id = await house.held("ada", showtime_id, "A1", "A2")
        path = f"showtimes/{showtime_id}/holds/{hold_id}?seats=A2"
        made, _ = await asyncio.gather(
            book(house, "ada", showtime_id, hold_id), house.ask("ada", "DELETE", path)
        )
        assert made.status == 201, (attempt, made)
        assert made.data["total"]["amount"] == 1000 * len(made.data["seats"])
        await house.ask("ada", "DELETE", f"bookings/{made.data['id']}")
