"""What services find is found in the order of `docs/errors.md`.

Each request has the fault that is its own, and all that come later in the order.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.api.card_orders import order
from tests.e2e.api.doors import open_doors, scan, tickets_of
from tests.e2e.api.gift_cards import book_by_card, card, pay_by_card
from tests.e2e.api.guests import guest_of, new_email
from tests.e2e.api.house import UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.paying import reserve, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHILDREN: dict[str, Any] = {
    "ticket_types": [
        {"code": "adult", "name": "Adult"},
        {"code": "child", "name": "Child", "maximum": 1},
    ]
}


@pytest_asyncio.fixture
async def house(database: str) -> AsyncIterator[House]:
    async with open_house(
        database,
        promo_guesses_per_hour_per_address=1,
        guest_bookings_per_hour_per_email=1,
        mails_per_hour_per_email=1,
        gift_card_looks_per_minute=1,
    ) as house:
        yield house


async def sells_children(house: House) -> None:
    path = f"cinemas/{house.cinema_id}/pricing"
    version = (await house.ask("manager", "GET", path)).data["version"]
    changed = await house.ask(
        "manager", "PUT", path, CHILDREN, headers={"If-Match": f'"{version}"'}
    )
    assert changed.status == 200, changed


def documented(operation: str) -> list[str]:
    """The order of refusals of an operation, as clients read it."""
    (codes,) = re.findall(rf"^- {operation}: (.+(?:\n  .+)*)", page(), re.MULTILINE)
    return re.findall(r"`([A-Z_]+)`", codes)


def reasons(code: str) -> list[str]:
    """The order of the reasons of a refusal, as clients read it."""
    (told,) = re.findall(
        rf"^`{code}` says in `details.reason` why: (.+(?:\n.+)*)", page(), re.MULTILINE
    )
    return re.findall(r"`([a-z_]+)`", told)


def page() -> str:
    return (Path(__file__).parents[3] / "docs" / "errors.md").read_text()


async def disputed(house: House, *bookings: str) -> None:
    """Have the banks of customers ask for the money of bookings."""
    await house.database.executemany(
        "insert into disputes (id, payment_id, booking_id, status, is_open, amount_minor, currency,"
        " opened_at, updated_at)"
        " select 'dp_' || id, id, booking_id, 'needs_response', true, 100, 'EUR', now(), now()"
        " from payments where booking_id = $1",
        [(uuid.UUID(booking_id),) for booking_id in bookings],
    )


async def decided(house: House) -> None:
    """Have the banks decide."""
    await house.database.execute("update disputes set is_open = false")


async def with_popcorn(house: House, showtime_id: str, seat: str) -> str:
    """A booking of a seat and a product."""
    popcorn = {"cinema_id": house.cinema_id, "name": "Popcorn", "category": "popcorn", "price": 650}
    product = (await house.ask("manager", "POST", "concessions", popcorn)).data
    body = {
        "showtime_id": showtime_id,
        "hold_id": await house.held("ada", showtime_id, seat),
        "payment": {"method": "demo"},
        "concessions": [{"product_id": product["id"], "quantity": 1}],
    }
    return str((await house.ask("ada", "POST", "bookings", body)).data["id"])


async def let_in(house: House, booking_id: str) -> None:
    """Let somebody in with the tickets of a booking."""
    for ticket in await tickets_of(house, "ada", booking_id):
        assert (await scan(house, ticket["token"])).status == 200


@pytest.mark.asyncio(loop_scope="function")
async def test_a_quote(house: House) -> None:
    await sells_children(house)
    showtime_id = await house.showtime()

    async def quoted(**body: Any) -> str:
        body |= {"showtime_id": showtime_id}
        return str((await house.ask(None, "POST", "pricing/calculate", body)).error[1])

    guess: dict[str, Any] = {"promo_code": "WRONG"}
    unsold = guess | {"concessions": [{"product_id": UNKNOWN_ID, "quantity": 1}]}
    children = unsold | {"tickets": [{"type": "child", "quantity": 2}]}
    dog = unsold | {"tickets": [*children["tickets"], {"type": "dog"}]}
    assert await quoted(quantity=1, **guess) == "UNKNOWN_PROMO_CODE"
    found = [
        await quoted(seats=["A1", "A1", "Z1"], **dog),
        await quoted(seats=["A1", "A1"], **dog),
        await quoted(quantity=5, category="sofa", **dog),
        await quoted(quantity=5, **dog),
        await quoted(quantity=5, **children),
        await quoted(quantity=5, **unsold),
        await quoted(quantity=5, **guess),
    ]
    # The last one is what a guess finds while they are not too many.
    assert [*found, "UNKNOWN_PROMO_CODE"] == documented("a quote")


@pytest.mark.asyncio(loop_scope="function")
async def test_the_tickets_of_a_booking(house: House) -> None:
    await sells_children(house)
    showtime_id = await house.showtime()
    promo = {"code": "NEVER", "discount": {"kind": "amount", "value": 300}, "currency": "EUR"}
    promo |= {"cinema_ids": [house.cinema_id], "minimum_order": 1_000_000}
    made = await house.ask("manager", "POST", "pricing/promocodes", promo)
    assert made.status == 201, made
    holds = {
        "ada": await house.held("ada", showtime_id, "A1", "A2", "A3"),
        "bob": await house.held("bob", showtime_id, "A4", "A5", "A6"),
    }

    async def booked(person: str, *types: str, **body: Any) -> str:
        tickets = [dict(zip(("seat", "type"), one.split(), strict=True)) for one in types]
        body |= {"showtime_id": showtime_id, "hold_id": holds[person], "tickets": tickets}
        body["payment"] = {"method": "demo"}
        return str((await house.ask(person, "POST", "bookings", body)).error[1])

    guess: dict[str, Any] = {"promo_code": "WRONG"}
    right: dict[str, Any] = {"promo_code": "NEVER"}
    unsold = guess | {"concessions": [{"product_id": UNKNOWN_ID, "quantity": 1}]}
    once = await booked("ada", "A1 dog", "A2 child", "A3 child", **guess)
    found = [
        await booked("ada", "A1 dog", "A1 dog", "A8 child", "Z1 child", **unsold),
        await booked("ada", "A1 dog", "A1 dog", "A8 child", **unsold),
        await booked("ada", "A1 dog", "A2 child", "A8 child", **unsold),
        await booked("ada", "A1 dog", "A2 child", "A3 child", **unsold),
        await booked("ada", "A1 dog", "A2 child", "A3 child", **guess),
        once,
        await booked("bob", "A4 dog", "A5 child", "A6 child", **right),
        await booked("bob", "A5 child", "A6 child", **right),
        await booked("bob", **right),
    ]
    assert found == documented("the tickets of a booking, when its hold is live")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_guests_booking(house: House) -> None:
    showtime_id, guest, other = await house.showtime(), await guest_of(house), await guest_of(house)
    taken = new_email()
    await guest.booked(showtime_id, new_email(), "A1")
    await other.booked(showtime_id, taken, "A3")

    async def booked(email: str, method: str = "demo") -> str:
        body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": UNKNOWN_ID, "email": email}
        body["payment"] = {"method": method}
        return str((await guest.ask("POST", "bookings", body)).error[1])

    assert [
        await booked("nobody", "cheque"),
        await booked(taken, "cheque"),
        await booked(taken),
        await booked(new_email()),
    ] == documented("a guest's booking")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_refund_by_staff(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")

    async def refused(person: str, seats: list[str], currency: str = "EUR") -> str:
        body = {"booking_id": booking_id, "reason": "Projector failed.", "seats": seats}
        body |= {"amount": {"amount": 1_000_000, "currency": currency}}
        return str((await house.ask(person, "POST", "payments/refund", body)).error[1])

    await disputed(house, booking_id)
    found = [
        await refused("staff elsewhere", ["A5", "A5"], "USD"),
        await refused("staff", ["A5", "A5"], "USD"),
    ]
    await decided(house)
    found += [
        await refused("staff", ["A5", "A5"], "USD"),
        await refused("staff", ["A5", "A5"]),
        await refused("staff", ["A1", "A5"]),
        await refused("staff", ["A1"]),
    ]
    assert found == documented("a refund of seats and an amount by staff")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_mail_that_is_sent_again(house: House) -> None:
    showtime_id = await house.showtime()
    guests = [await guest_of(house) for _ in range(3)]
    ended, nobodys, sent = [
        await guest.booked(showtime_id, new_email(), seat)
        for guest, seat in zip(guests, ("A1", "A3", "A5"), strict=True)
    ]
    await verify(house, "ada")
    waiting = (await reserve(house, "ada", showtime_id, "A7"))["id"]
    await guests[0].ask("DELETE", f"bookings/{ended}")
    await house.database.executemany(
        "update guests set email = null, email_key = null where id = $1",
        [(uuid.UUID(guest.id),) for guest in guests[:2]],
    )

    async def again(booking_id: str, person: str = "staff") -> Any:
        return await house.ask(person, "POST", f"admin/bookings/{booking_id}/resend")

    assert (await again(sent)).status < 300
    answers = [
        await again(waiting, "staff elsewhere"),
        await again(waiting),
        await again(ended),
        await again(nobodys),
        await again(sent),
    ]
    assert [one.error[1] for one in answers] == documented("a mail that staff send again")


@pytest.mark.asyncio(loop_scope="function")
async def test_giving_back_ones_booking(house: House) -> None:
    showtime_id = await open_doors(house)
    booking_id = await house.booked("ada", showtime_id, "A1")
    await let_in(house, booking_id)
    await disputed(house, booking_id)

    async def given_back(person: str) -> str:
        path = f"bookings/{booking_id}?seats=A1,Z9"
        return str((await house.ask(person, "DELETE", path)).error[1])

    found = [await given_back("bob"), await given_back("ada")]
    await decided(house)
    found.append(await given_back("ada"))
    assert found == documented("giving back one's booking")


@pytest.mark.asyncio(loop_scope="function")
async def test_asking_for_other_seats(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    await verify(house, "ada")
    waiting = str((await reserve(house, "ada", showtime_id, "A3"))["id"])
    await house.held("bob", showtime_id, "B1")
    await disputed(house, booking_id)

    async def changed(person: str, booking_id: str, left: list[str], method: str = "demo") -> str:
        body = {"from": left, "to": ["B1"], "payment": {"method": method}}
        return str((await house.ask(person, "POST", f"bookings/{booking_id}/seats", body)).error[1])

    found = [
        await changed("bob", waiting, ["A3", "A5"], "counter"),
        await changed("ada", waiting, ["A3", "A5"], "counter"),
        await changed("ada", waiting, ["A3"], "counter"),
        await changed("ada", waiting, ["A3"], "cheque"),
        await changed("ada", waiting, ["A3"]),
        await changed("staff", booking_id, ["A1"], "counter"),
    ]
    await decided(house)
    found.append(await changed("staff", booking_id, ["A1"], "counter"))
    assert found == documented("asking for other seats")


async def far_showtime(house: House) -> str:
    """A showtime of a cinema at which staff may not do anything."""
    cinema = {"name": "Far", "city": "Far", "country": "DE", "time_zone": "Europe/Berlin"}
    far = (await house.ask("admin", "POST", "cinemas", {**cinema, "currency": "EUR"})).data["id"]
    screen = {"cinema_id": far, "name": "One", "grid": {"rows": 2, "columns": 8}}
    screen_id = (await house.ask("admin", "POST", "screens", screen)).data["id"]
    return str(await house.showtime(screen_id=screen_id))


@pytest.mark.asyncio(loop_scope="function")
async def test_an_exchange(house: House) -> None:
    soon_id, later_id = await open_doors(house), await house.showtime()
    new_id, far_id = await house.showtime(), await far_showtime(house)
    faulty = await with_popcorn(house, soon_id, "A1")
    ended = await house.booked("ada", later_id, "A1")
    plain = await house.booked("ada", later_id, "A3")
    await verify(house, "ada")
    waiting = str((await reserve(house, "ada", later_id, "A5"))["id"])

    async def exchanged(
        person: str,
        booking_id: str,
        showtime_id: str,
        method: str | None = None,
        *,
        hold_id: str = UNKNOWN_ID,
        key: str | None = None,
    ) -> Any:
        body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id}
        if method is not None:
            body["payment"] = {"method": method}
        return await house.ask(person, "POST", f"bookings/{booking_id}/exchange", body, key=key)

    hold_id = await house.held("ada", new_id, "A1")
    assert (await exchanged("ada", ended, new_id, hold_id=hold_id, key="one")).status == 200
    await let_in(house, faulty)
    await disputed(house, ended, faulty)
    dear = await house.held("ada", new_id, "B1")
    answers = [
        await exchanged("bob", ended, later_id, "cheque"),
        await exchanged("ada", ended, later_id, "cheque", key="one"),
        await exchanged("ada", waiting, later_id, "counter"),
        await exchanged("ada", waiting, new_id, "counter"),
        await exchanged("ada", waiting, new_id, "cheque"),
        await exchanged("ada", waiting, new_id),
        await exchanged("ada", ended, new_id),
        await exchanged("ada", faulty, new_id),
    ]
    await decided(house)
    answers += [
        await exchanged("ada", faulty, new_id),
        await exchanged("staff", faulty, far_id),
        await exchanged("staff", plain, far_id),
        await exchanged("ada", plain, new_id),
        await exchanged("ada", plain, new_id, hold_id=dear),
    ]
    assert [one.error[1] for one in answers] == documented("an exchange")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_booking_by_gift_card(house: House) -> None:
    showtime_id = await house.showtime()
    good, disabled = await card(house), await card(house)
    path = f"gift-cards/{disabled['id']}/disable"
    assert (await house.ask("manager", "POST", path, {"reason": "Stolen."})).status == 200

    async def booked(person: str, code: str) -> str:
        answer = await book_by_card(house, person, showtime_id, UNKNOWN_ID, code)
        return str(answer.error[1])

    unknown = await booked("ada", "2" * 16)
    assert [
        await booked("ada", disabled["code"]),
        unknown,
        await booked("bob", disabled["code"]),
        await booked("bob", good["code"]),
    ] == documented("a booking by gift card")


@pytest.mark.asyncio(loop_scope="function")
async def test_paying_a_booking_by_gift_card(house: House) -> None:
    showtime_id = await house.showtime()
    good, disabled, small = await card(house), await card(house), await card(house, 400)
    other = await card(house, 400)
    path = f"gift-cards/{disabled['id']}/disable"
    assert (await house.ask("manager", "POST", path, {"reason": "Stolen."})).status == 200
    await verify(house, "ada", "bob")
    ended = (await reserve(house, "ada", showtime_id, "A1"))["id"]
    assert (await house.ask("ada", "DELETE", f"bookings/{ended}")).status == 200
    adas = (await reserve(house, "ada", showtime_id, "A3"))["id"]
    bobs = (await reserve(house, "bob", showtime_id, "A5"))["id"]
    for person, booking_id, part in (("ada", adas, small), ("bob", bobs, other)):
        paid = await pay_by_card(house, person, booking_id, part["code"])
        assert paid.data["status"] == "pending", paid

    async def refused(person: str, booking_id: str, code: str | None = None) -> str:
        body = {"booking_id": booking_id, "method": "gift_card"}
        body |= {} if code is None else {"code": code}
        return str((await house.ask(person, "POST", "payments/process", body)).error[1])

    found = [
        await refused("bob", ended),
        await refused("ada", ended),
        await refused("ada", ended, "2" * 16),
    ]
    unknown = await refused("ada", adas, "2" * 16)
    found += [
        await refused("ada", adas, disabled["code"]),
        unknown,
        await refused("bob", bobs, disabled["code"]),
        await refused("bob", bobs, good["code"]),
    ]
    assert found == documented("paying a booking by gift card")


@pytest.mark.asyncio(loop_scope="function")
async def test_holding_seats(house: House) -> None:
    opens_at = (datetime.now(UTC) + timedelta(hours=12)).isoformat()
    starts_at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    presale = {"code": "FRIENDS-2026", "starts_at": starts_at, "max_uses": 10}

    async def selling() -> str:
        showtime_id = await house.showtime(sales={"opens_at": opens_at})
        path = f"showtimes/{showtime_id}/presale-codes"
        assert (await house.ask("manager", "POST", path, presale)).status == 201
        return showtime_id

    async def refused(showtime_id: str, wish: dict[str, Any], code: str = "WRONG-CODE") -> str:
        body = {**wish, "presale_code": code}
        path = f"showtimes/{showtime_id}/holds"
        return str((await house.ask("ada", "POST", path, body)).error[1])

    crowded, calm = await selling(), await selling()
    room = await house.ask("manager", "PUT", f"showtimes/{crowded}/queue", {"mode": "on"})
    assert room.status == 200, room
    unknown: dict[str, Any] = {"seats": ["Z9"]}
    best: dict[str, Any] = {"best_available": {"quantity": 1, "category": "sofa"}}
    for wish, first in ((unknown, "UNKNOWN_SEAT"), (best, "UNKNOWN_CATEGORY")):
        found = [await refused(crowded, wish), await refused(calm, wish)]
        assert found == documented("holding seats")
        assert await refused(calm, wish, presale["code"]) == first


@pytest.mark.asyncio(loop_scope="function")
async def test_a_booking_with_points(house: House) -> None:
    showtime_id, guest = await house.showtime(), await guest_of(house)
    hold_id = await house.held("ada", showtime_id, "A1")
    body: dict[str, Any] = {"showtime_id": showtime_id, "payment": {"method": "points"}}
    body["tickets"] = [{"seat": "Z9", "type": "dog"}]
    unknown = body | {"hold_id": UNKNOWN_ID}
    answers = [
        await guest.ask("POST", "bookings", unknown | {"email": new_email()}),
        await house.ask("ada", "POST", "bookings", unknown),
        await house.ask("ada", "POST", "bookings", body | {"hold_id": hold_id}),
    ]
    assert [one.error[1] for one in answers] == documented("a booking with points")


@pytest.mark.asyncio(loop_scope="function")
async def test_why_a_card_is_not_given_back(database: str) -> None:
    clocks = Clocks()
    async with open_house(database, clocks=clocks) as house:
        stolen, used = (await order(house)).data, (await order(house)).data
        showtime_id = await house.showtime()
        for one, seat in ((stolen, "A1"), (used, "A3")):
            hold_id = await house.held("bob", showtime_id, seat)
            paid = await book_by_card(house, "bob", showtime_id, hold_id, one["card"]["code"])
            assert paid.status == 201
        path = f"gift-cards/{stolen['card']['id']}/disable"
        assert (await house.ask("manager", "POST", path, {"reason": "Stolen."})).status == 200
        clocks.ahead_s += timedelta(days=15).total_seconds()

        async def given_back(bought: Any, by: str = "ada") -> Any:
            return (await house.ask(by, "DELETE", f"gift-cards/orders/{bought['id']}")).details

        found = [
            await given_back(stolen),
            await given_back(used),
            await given_back(used, "manager"),
        ]
    assert [one["reason"] for one in found] == reasons("GIFT_CARD_NOT_RETURNABLE")
