"""Presale codes: who holds seats before sales open, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from cinema.actors.kernel import Kernel
from cinema.actors.messages import Outcome, Unavailable
from tests.e2e.api.house import LABELS, PATIENCE_S, UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = "FRIENDS-2026"
REFUSED = (409, "PRESALE_CODE_REFUSED")


@pytest_asyncio.fixture(loop_scope="module")
async def clocked(database: str, clocks: Clocks) -> AsyncIterator[House]:
    """A house whose time the test moves."""
    async with open_house(database, clocks=clocks) as house:
        yield house


async def opening(house: House) -> str:
    """A showtime whose sale begins in twelve hours."""
    opens_at = datetime.now(UTC) + timedelta(hours=12)
    return await house.showtime(sales={"opens_at": opens_at.isoformat()})


async def add(
    house: House, showtime_id: str, person: str = "manager", *, starts_h: int = -1, **terms: Any
) -> Answer:
    starts_at = (datetime.now(UTC) + timedelta(hours=starts_h)).isoformat()
    body = {"code": CODE, "starts_at": starts_at, "max_uses": 10, **terms}
    return await house.ask(person, "POST", f"showtimes/{showtime_id}/presale-codes", body)


async def hold(
    house: House,
    person: str,
    showtime_id: str,
    seat: str,
    code: str | None = CODE,
    key: str | None = None,
) -> Answer:
    body: dict[str, Any] = {"seats": [seat]}
    if code is not None:
        body["presale_code"] = code
    return await house.ask(person, "POST", f"showtimes/{showtime_id}/holds", body, key=key)


async def uses(house: House, showtime_id: str) -> int:
    (code,) = (await house.ask("manager", "GET", f"showtimes/{showtime_id}/presale-codes")).data
    return int(code["uses"])


async def until_used(house: House, showtime_id: str, count: int) -> None:
    async with asyncio.timeout(3 * PATIENCE_S):
        while await uses(house, showtime_id) != count:
            await look_again()


async def test_with_a_code_seats_are_held_and_booked_before_sales_open(house: House) -> None:
    showtime_id = await opening(house)
    await add(house, showtime_id)
    assert (await hold(house, "ada", showtime_id, "A1", None)).error == (409, "SALES_CLOSED")
    unknown = await hold(house, "ada", showtime_id, "A1", "SOMETHING-ELSE")
    assert (unknown.error, unknown.details) == (REFUSED, {"reason": "unknown"})
    held = await hold(house, "ada", showtime_id, "A1", CODE.lower())
    assert held.status == 201
    again = await hold(house, "ada", showtime_id, "A3")
    assert (again.error, again.details) == (REFUSED, {"reason": "used_by_you"})
    booking = await house.book("ada", showtime_id, held.data["hold_id"])
    assert booking.status == 201
    assert await uses(house, showtime_id) == 1


async def test_a_code_is_good_from_its_time_on_and_needed_only_before_sales_open(
    house: House,
) -> None:
    showtime_id = await opening(house)
    await add(house, showtime_id, starts_h=1)
    early = await hold(house, "ada", showtime_id, "A1")
    assert (early.error, early.details) == (REFUSED, {"reason": "not_yet"})
    on_sale = await house.showtime()
    assert (await hold(house, "ada", on_sale, "A1", "NO-SUCH-CODE")).status == 201


async def test_many_at_once_use_a_code_as_often_as_it_may_be_used(house: House) -> None:
    showtime_id = await opening(house)
    await add(house, showtime_id, max_uses=3, uses_per_customer=2)
    people = ("ada", "bob", "guest") * 3
    answers = await asyncio.gather(
        *(
            hold(house, person, showtime_id, label)
            # None of row C, where a seat is for companions.
            for person, label in zip(people, LABELS[:16], strict=False)
        )
    )
    won = [person for person, answer in zip(people, answers, strict=False) if answer.status == 201]
    assert len(won) == 3, [answer.error for answer in answers if answer.status != 201]
    assert all(won.count(person) <= 2 for person in people)
    assert {answer.error for answer in answers if answer.status != 201} == {REFUSED}
    assert await uses(house, showtime_id) == 3


async def test_a_hold_that_is_refused_gives_the_use_back_and_a_repeated_one_takes_none(
    house: House,
) -> None:
    showtime_id = await opening(house)
    await add(house, showtime_id, max_uses=2, uses_per_customer=1)
    key = "once"
    first = await hold(house, "ada", showtime_id, "A1", key=key)
    second = await hold(house, "ada", showtime_id, "A1", key=key)
    assert (first.status, second.status) == (201, 201)
    assert second.data["hold_id"] == first.data["hold_id"]
    assert (await hold(house, "bob", showtime_id, "A1")).error == (409, "SEAT_UNAVAILABLE")
    assert await uses(house, showtime_id) == 1
    assert (await hold(house, "bob", showtime_id, "A3")).status == 201


async def test_a_key_that_is_used_for_another_hold_gives_no_use_back(house: House) -> None:
    showtime_id = await opening(house)
    await add(house, showtime_id, max_uses=1)
    assert (await hold(house, "ada", showtime_id, "A1", key="one")).status == 201
    other = await hold(house, "ada", showtime_id, "A3", key="one")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    assert await uses(house, showtime_id) == 1
    assert (await hold(house, "bob", showtime_id, "A3")).error == REFUSED


async def test_the_use_of_a_hold_that_was_tried_twice_stays_as_long_as_the_hold(
    clocked: House, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtime_id = await opening(clocked)
    await add(clocked, showtime_id)

    async def away(*_: Any) -> Outcome:
        return Unavailable(code="RETRY", retry_after_s=1)

    with monkeypatch.context() as patched:
        patched.setattr(Kernel, "ask", away)
        tried = await hold(clocked, "ada", showtime_id, "A1", key="tried")
        assert tried.error == (503, "RETRY")
    held = await hold(clocked, "ada", showtime_id, "A1", key="tried")
    assert held.status == 201
    noted = "select hold_id::text, look_at from presale_uses where showtime_id = $1"
    (before,) = await clocked.database.fetch(noted, UUID(showtime_id))
    assert before["hold_id"] == held.data["hold_id"]
    clocks.ahead_s += 61
    async with asyncio.timeout(3 * PATIENCE_S):
        while True:
            (after,) = await clocked.database.fetch(noted, UUID(showtime_id))
            if after != before:
                break
            await look_again()
    assert await uses(clocked, showtime_id) == 1


async def test_a_hold_that_ends_without_a_booking_gives_its_use_back(
    clocked: House, clocks: Clocks
) -> None:
    showtime_id = await opening(clocked)
    await add(clocked, showtime_id)
    released = (await hold(clocked, "ada", showtime_id, "A1")).data["hold_id"]
    await hold(clocked, "bob", showtime_id, "A3")
    held = (await hold(clocked, "guest", showtime_id, "A5")).data["hold_id"]
    assert (await clocked.book("guest", showtime_id, held)).status == 201
    await clocked.ask("ada", "DELETE", f"showtimes/{showtime_id}/holds/{released}")
    clocks.ahead_s += 61
    await until_used(clocked, showtime_id, 2)
    assert (await hold(clocked, "ada", showtime_id, "A1")).status == 201
    # All holds are over by then; what is booked stays.
    clocks.ahead_s += 3600
    await until_used(clocked, showtime_id, 1)


async def test_the_use_of_a_hold_that_staff_hand_over_stays_with_the_booking(
    clocked: House, clocks: Clocks
) -> None:
    showtime_id, old_id = await opening(clocked), await clocked.showtime()
    await add(clocked, showtime_id)
    booking_id = await clocked.booked("ada", old_id, "A1")
    held = (await hold(clocked, "staff", showtime_id, "A1")).data["hold_id"]
    body = {"showtime_id": showtime_id, "hold_id": held}
    answer = await clocked.ask("staff", "POST", f"bookings/{booking_id}/exchange", body)
    assert answer.status == 200, answer
    clocks.ahead_s += 61
    looked = "select count(*) from presale_uses where showtime_id = $1 and look_at is null"
    async with asyncio.timeout(3 * PATIENCE_S):
        while not await clocked.database.fetchval(looked, UUID(showtime_id)):
            # Without the use nobody would ever say that it stays.
            assert await uses(clocked, showtime_id) == 1


async def test_codes_are_changed_and_deleted_by_managers_of_the_cinema(house: House) -> None:
    showtime_id = await opening(house)
    assert (await add(house, showtime_id, "manager elsewhere")).error == (403, "FORBIDDEN")
    assert (await add(house, UNKNOWN_ID)).error == (404, "NOT_FOUND")
    code = (await add(house, showtime_id)).data
    assert (await add(house, showtime_id)).error == (409, "NAME_TAKEN")
    path = f"showtimes/{showtime_id}/presale-codes/{code['id']}"
    terms = {"starts_at": code["starts_at"], "max_uses": 1, "uses_per_customer": 5}
    assert (await house.ask("manager", "PUT", path, terms)).error == (428, "PRECONDITION_REQUIRED")
    seen = {"If-Match": f'"{code["version"]}"'}
    changed = (await house.ask("manager", "PUT", path, terms, headers=seen)).data
    assert changed == {**code, **terms, "version": 2}
    for method, body in (("PUT", terms), ("DELETE", None)):
        stale = await house.ask("manager", method, path, body, headers=seen)
        assert (stale.error, stale.details) == ((412, "PRECONDITION_FAILED"), {"version": 2})
    seen = {"If-Match": '"2"'}
    assert (await hold(house, "ada", showtime_id, "A1")).status == 201
    used_up = await hold(house, "ada", showtime_id, "A3")
    assert used_up.details == {"reason": "used_up"}
    for method, body in (("PUT", terms), ("DELETE", None)):
        answer = await house.ask("manager elsewhere", method, path, body, headers=seen)
        assert answer.error == (403, "FORBIDDEN")
    deleted = await house.ask("manager", "DELETE", path, headers=seen)
    assert deleted.data == {"id": code["id"]}
    gone = await house.ask("manager", "DELETE", path, headers=seen)
    assert gone.error == (404, "NOT_FOUND")
    assert (await hold(house, "bob", showtime_id, "A3")).details == {"reason": "unknown"}
    assert (await add(house, showtime_id)).status == 201
