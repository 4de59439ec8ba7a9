"""Bookings that are paid later, as the tests of payments ask for them."""

from __future__ import annotations

from typing import Any

import asyncpg

from cinema.domain.times import from_us
from cinema.features.bookings.pending_jobs import UnpaidBookings
from cinema.features.bookings.store import BookingsRepository
from cinema.features.ledger.left_jobs import LeftAside
from cinema.features.ledger.store import AttemptsRepository
from tests.e2e.api.house import Answer, Clocks, House


async def verify(house: House, *people: str) -> None:
    """Have people whose addresses are verified."""
    await house.database.execute(
        "update users set email_verified = true where id = any($1)",
        [house.people[person] for person in people],
    )


async def reserve(house: House, person: str, showtime_id: str, *seats: str) -> Any:
    """A reservation that must succeed."""
    hold_id = await house.held(person, showtime_id, *seats)
    answer = await house.book(person, showtime_id, hold_id, method="counter_later")
    assert answer.status == 201, answer
    return answer.data


async def process(house: House, person: str, booking_id: str, *, method: str = "counter") -> Answer:
    """An attempt to pay a booking; whoever takes money at the counter has a till."""
    if method == "counter":
        await house.till(person)
    body = {"booking_id": booking_id, "method": method}
    return await house.ask(person, "POST", "payments/process", body)


async def get(house: House, person: str, path: str) -> Any:
    """What somebody gets to see."""
    return (await house.ask(person, "GET", path)).data


async def give_up(house: House, clocks: Clocks, database: str) -> int:
    """What a node does every few seconds."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        jobs = UnpaidBookings(
            house.node.kernel,
            BookingsRepository(pool),
            house.node.attempts,
            now=lambda: from_us(clocks.database.now_us()),
        )
        return await jobs.round()


async def end_left(clocks: Clocks, database: str) -> bool:
    """What a node does now and then with attempts whose bookings have ended."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        left = LeftAside(AttemptsRepository(pool), now=lambda: from_us(clocks.database.now_us()))
        return await left.look()
