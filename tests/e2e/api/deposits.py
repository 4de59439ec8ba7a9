"""Deposits of groups, as the tests take them and have time go by."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import UUID

import asyncpg

from cinema.domain.times import from_us
from cinema.features.accounts.throttles import Throttles
from cinema.features.bookings.store import BookingsRepository
from cinema.features.cashdesk.till_store import TillsRepository
from cinema.features.deposits.jobs import OpenDeposits
from cinema.features.deposits.service import DepositsService
from cinema.features.deposits.store import DepositsRepository
from cinema.features.giftcards.service import GiftCardsService
from cinema.features.giftcards.store import GiftCardsRepository
from cinema.features.giftcards.use_store import CardUsesRepository
from tests.e2e.api.gift_cards import NOBODY_SEALS, credited
from tests.e2e.api.house import PATIENCE_S, Answer, Clocks, House
from tests.e2e.api.paying import give_up

CASH = {"method": "counter", "tender": "cash"}


async def take(
    house: House, booking_id: str, person: str = "staff", *, key: str | None = None, **more: Any
) -> Answer:
    """An attempt to take a quarter, of which half is kept."""
    body = {"percent": 25, "kept_percent": 50, "payment": CASH, **more}
    return await house.ask(person, "POST", f"bookings/{booking_id}/deposit", body, key=key)


async def deposit_of(house: House, booking_id: str, person: str = "staff") -> Any:
    """The deposit of a booking."""
    return (await house.ask(person, "GET", f"bookings/{booking_id}/deposit")).data


async def looked(house: House, database: str) -> int:
    """What a node does every few seconds."""
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        store = GiftCardsRepository(pool, NOBODY_SEALS, TillsRepository(pool))

        def now() -> Any:
            return from_us(house.node.kernel.clock.now_us())

        new_id = cast("Any", None)
        cards = GiftCardsService(
            *(store, CardUsesRepository(pool), cast("Throttles", None)),
            demo=True,
            new_id=new_id,
            now=now,
        )
        deposits = DepositsRepository(pool, store, cast("Any", None))
        service = DepositsService(
            *(deposits, BookingsRepository(pool), cards, house.node.attempts),
            demo=True,
            new_id=new_id,
            now=now,
        )
        return await OpenDeposits(service, deposits).round()


async def is_due(database: str, booking_id: str, until: str) -> bool:
    """What is asked before the mail about the rest is sent."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        nobody = cast("Any", None)
        return await DepositsRepository(pool, nobody, nobody).is_due(UUID(booking_id), until)


async def until_ended(house: House, clocks: Clocks, database: str, booking_id: str) -> Any:
    """The deposit once it is decided; nodes look until then."""
    async with asyncio.timeout(3 * PATIENCE_S):
        while True:
            await give_up(house, clocks, database)
            await credited(house, database)
            await looked(house, database)
            deposit = await deposit_of(house, booking_id)
            if deposit["status"] != "taken":
                return deposit
