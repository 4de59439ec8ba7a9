"""Uses of promo codes: exactly as many as allowed, and given back when nothing came of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from cinema.domain.times import from_us
from cinema.features.pricing.jobs import UsesGivenBack
from cinema.features.pricing.promo_use_store import PromoUsesRepository
from tests.e2e.api.house import Answer, House, open_house
from tests.e2e.api.paying import verify

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def code(house: House, name: str, **terms: Any) -> str:
    """A new code of this house; 3.00 off a booking unless the terms say otherwise."""
    text = f"{name}-{house.cinema_id[-8:]}"
    body = {
        "code": text,
        "discount": {"kind": "amount", "value": 300},
        "currency": "EUR",
        "cinema_ids": [house.cinema_id],
        **terms,
    }
    made = await house.ask("manager", "POST", "pricing/promocodes", body)
    assert made.status == 201, made
    return text


async def book(
    house: House, person: str, showtime_id: str, seat: str, promo: str, **more: Any
) -> Answer:
    """A booking of one seat with a code."""
    hold_id = more.pop("hold_id", None) or await house.held(person, showtime_id, seat)
    key = more.pop("key", None)
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "promo_code": promo,
        "payment": {"method": more.pop("method", "demo")},
        **more,
    }
    return await house.ask(person, "POST", "bookings", body, key=key)


async def uses(house: House, promo: str) -> int:
    """How often a code counts as used."""
    count: int = await house.database.fetchval(
        "select uses from promo_codes where code = $1", promo
    )
    return count


async def returned(house: House, database: str, *, later_s: int = 0) -> int:
    """What a node does every few seconds."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        now_us = house.node.kernel.clock.now_us() + later_s * 1_000_000
        return await UsesGivenBack(PromoUsesRepository(pool), now=lambda: from_us(now_us)).round()


async def test_a_code_takes_off_what_it_says_and_is_used(house: House) -> None:
    showtime_id = await house.showtime()
    promo = await code(house, "Ten", max_uses=10)
    made = await book(house, "ada", showtime_id, "A1", f" {promo.lower()} ")
    assert made.status == 201, made
    assert made.data["total"]["amount"] == 700
    assert [(one["kind"], one["amount"]["amount"]) for one in made.data["lines"]] == [
        ("promo", -300)
    ]
    assert await uses(house, promo) == 1
    state = await house.database.fetchval(
        "select state from promo_uses where booking_id = $1", made.data["id"]
    )
    assert state == "used"


async def test_of_many_at_once_as_many_use_a_code_as_may(house: House) -> None:
    """Each wants a seat of its own, so that nothing but the code is scarce."""
    screen_id = await house.screen(grid={"rows": 6, "columns": 10})
    showtime_id = await house.showtime(
        screen_id=screen_id, seats_per_hold=20, live_holds_per_customer=100
    )
    promo = await code(house, "Rush", max_uses=20)
    seats = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 9)]
    await house.database.execute("update users set email_verified = true")
    holds = [await house.held("admin", showtime_id, seat) for seat in seats]
    answers = await asyncio.gather(
        *(
            book(house, "admin", showtime_id, seat, promo, hold_id=hold_id)
            for seat, hold_id in zip(seats, holds, strict=True)
        )
    )
    made = [one for one in answers if one.status == 201]
    refused = {one.error for one in answers if one.status != 201}
    assert len(made) == await uses(house, promo) == 20
    assert refused == {(422, "UNKNOWN_PROMO_CODE")}
    assert {one.data["total"]["amount"] for one in made} == {700}


async def test_a_customer_uses_a_code_as_often_as_allowed_by_whatever_name(house: House) -> None:
    await verify(house, "ada")
    await house.database.execute(
        "update users set email_key = $2 where id = $1", house.people["ada"], "one@example.com"
    )
    showtime_id = await house.showtime()
    promo = await code(house, "Three", max_uses_per_customer=3)
    first = await asyncio.gather(
        *(book(house, "ada", showtime_id, seat, promo) for seat in ("A1", "A2", "A3", "A4"))
    )
    assert sorted(one.status for one in first) == [201, 201, 201, 422]
    (refused,) = [one for one in first if one.status != 201]
    assert refused.error == (422, "PROMO_NOT_APPLICABLE")
    assert refused.details == {"reason": "CUSTOMER_LIMIT", "limit": 3}
    guest = await book(house, "guest", showtime_id, "B1", promo, email="One@Example.com")
    assert guest.error == (422, "PROMO_NOT_APPLICABLE")
    assert (await book(house, "bob", showtime_id, "B2", promo)).status == 201
    assert await uses(house, promo) == 4


@pytest_asyncio.fixture(loop_scope="module")
async def own_house(database: str) -> AsyncIterator[House]:
    """A house whose database is the test's."""
    async with open_house(database) as house:
        yield house


async def test_uses_go_back_when_bookings_end_or_fail(own_house: House, database: str) -> None:
    house = own_house
    showtime_id = await house.showtime()
    promo = await code(house, "Back", max_uses=1)
    made = (await book(house, "ada", showtime_id, "A1", promo)).data
    refused = await book(house, "bob", showtime_id, "A2", promo)
    assert refused.error == (422, "UNKNOWN_PROMO_CODE")
    await house.ask("ada", "DELETE", f"bookings/{made['id']}")
    await returned(house, database)
    assert await uses(house, promo) == 0
    await verify(house, "bob")
    later = await book(house, "bob", showtime_id, "A3", promo, method="counter_later")
    assert (later.status, await uses(house, promo)) == (201, 1)
    await house.ask("bob", "DELETE", f"bookings/{later.data['id']}")
    await returned(house, database)
    assert await uses(house, promo) == 0
    hold_id = await house.held("ada", showtime_id, "B1")
    twice = [
        await book(house, "ada", showtime_id, "B1", promo, hold_id=hold_id, key="same")
        for _ in range(2)
    ]
    assert twice[0].data == twice[1].data
    assert await uses(house, promo) == 1
    assert await returned(house, database, later_s=86_400) == 0
    assert await uses(house, promo) == 1


async def test_a_part_of_a_booking_keeps_its_use(own_house: House, database: str) -> None:
    house = own_house
    showtime_id = await house.showtime()
    promo = await code(house, "Part", max_uses=1)
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    made = (await book(house, "ada", showtime_id, "", promo, hold_id=hold_id)).data
    assert [one["price"]["amount"] for one in made["seats"]] == [850, 850]
    part = await house.ask("ada", "DELETE", f"bookings/{made['id']}?seats=A1")
    assert part.data["payment"]["refunded"]["amount"] == 850
    await returned(house, database)
    assert await uses(house, promo) == 1


async def test_a_crash_before_the_booking_costs_no_use(own_house: House, database: str) -> None:
    house = own_house
    promo = await code(house, "Crash", max_uses=1)
    await house.database.execute("update promo_codes set uses = 1 where code = $1", promo)
    await house.database.execute(
        "insert into promo_uses (booking_id, promo_id, customers, reserved_at)"
        " select gen_random_uuid(), id, '{}', now() from promo_codes where code = $1",
        promo,
    )
    assert await returned(house, database) == 0
    assert await returned(house, database, later_s=3600) == 1
    assert await uses(house, promo) == 0


async def test_what_costs_nothing_with_a_code_is_free(house: House) -> None:
    showtime_id = await house.showtime()
    promo = await code(house, "All", discount={"kind": "percent", "value": 10_000}, currency=None)
    made = await book(house, "ada", showtime_id, "A1", promo)
    assert (made.data["status"], made.data["payment"]["method"]) == ("confirmed", "free")
    assert made.data["total"]["amount"] == 0


async def test_a_code_whose_minimum_is_missed_is_refused_and_not_used(house: House) -> None:
    showtime_id = await house.showtime()
    promo = await code(house, "Least", minimum_order=5000)
    hold_id = await house.held("ada", showtime_id, "A1")
    refused = await book(house, "ada", showtime_id, "A1", promo, hold_id=hold_id)
    assert refused.error == (422, "PROMO_NOT_APPLICABLE")
    assert refused.details == {"reason": "MINIMUM_ORDER"}
    assert await uses(house, promo) == 0
    wrong = await book(house, "ada", showtime_id, "A1", "NO-SUCH-CODE", hold_id=hold_id)
    assert wrong.error == (422, "UNKNOWN_PROMO_CODE")
