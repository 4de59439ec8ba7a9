"""What services find is found in the order of `docs/errors.md`.

Each request has the fault that is its own, and all that come later in the order.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.api.guests import guest_of, new_email
from tests.e2e.api.house import UNKNOWN_ID, House, open_house
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
    text = (Path(__file__).parents[3] / "docs" / "errors.md").read_text()
    (codes,) = re.findall(rf"^- {operation}: (.+(?:\n  .+)*)", text, re.MULTILINE)
    return re.findall(r"`([A-Z_]+)`", codes)


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

    await house.database.execute(
        "insert into disputes (id, payment_id, booking_id, status, is_open, amount_minor, currency,"
        " opened_at, updated_at)"
        " select 'dp_1', id, booking_id, 'needs_response', true, 100, 'EUR', now(), now()"
        " from payments where booking_id = $1",
        uuid.UUID(booking_id),
    )
    found = [
        await refused("staff elsewhere", ["A5", "A5"], "USD"),
        await refused("staff", ["A5", "A5"], "USD"),
    ]
    await house.database.execute("update disputes set is_open = false")
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
