"""Gift cards, as the tests sell them, pay with them and look at their money."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from cinema.domain.times import from_us
from cinema.features.giftcards.jobs import CardsCredited
from cinema.features.giftcards.use_store import CardUsesRepository
from cinema.storage.encryption import Cipher
from tests.e2e.api.house import PATIENCE_S, Answer, House
from tests.support.waiting import look_again

NOBODY_SEALS = Cipher([bytes(32)])


async def sell(
    house: House, amount: int = 5000, *, by: str = "manager", key: str | None = None, **more: Any
) -> Answer:
    """An attempt to sell cards."""
    body = {
        "cinema_id": house.cinema_id,
        "amount": {"amount": amount, "currency": more.pop("currency", "EUR")},
        "payment": more.pop("payment", {"method": "demo"}),
        **more,
    }
    return await house.ask(by, "POST", "gift-cards", body, key=key)


async def card(house: House, amount: int = 5000) -> dict[str, Any]:
    """A card that must be sold: its id and its code."""
    answer = await sell(house, amount)
    assert answer.status == 201, answer
    (sold,) = answer.data["cards"]
    return dict(sold)


async def book_by_card(
    house: House, person: str, showtime_id: str, hold_id: str, code: str, *, key: str | None = None
) -> Answer:
    """An attempt to book a hold by a card."""
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "gift_card", "code": code},
    }
    return await house.ask(person, "POST", "bookings", body, key=key)


async def pay_by_card(house: House, person: str, booking_id: str, code: str) -> Answer:
    """An attempt to pay a booking by a card."""
    body = {"booking_id": booking_id, "method": "gift_card", "code": code}
    return await house.ask(person, "POST", "payments/process", body)


async def left(house: House, card_id: str) -> int:
    """What is on a card, as its row says; its entries say the same."""
    row = await house.database.fetchrow(
        "select balance_minor, (select sum(amount_minor) from gift_card_entries where card_id = $1)"
        " as of_entries from gift_cards where id = $1",
        card_id,
    )
    assert row["balance_minor"] == row["of_entries"]
    return int(row["balance_minor"])


async def credited(house: House, database: str) -> int:
    """What a node does every few seconds."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        store = CardUsesRepository(pool)
        now = from_us(house.node.kernel.clock.now_us())
        return await CardsCredited(store, now=lambda: now).round()


async def refunded(house: House, booking_id: str) -> None:
    """Wait until nothing that goes back of a booking is on its way."""
    async with asyncio.timeout(PATIENCE_S):
        while await house.database.fetchval(
            "select exists (select from refunds where booking_id = $1 and status = 'pending')",
            booking_id,
        ):
            await look_again()


async def accounts(house: House, booking_id: str | None = None) -> dict[str, int]:
    """What the ledger says of a booking, or in all; accounts of 0 are left out."""
    rows = await house.database.fetch(
        "select account, sum(amount)::bigint as amount from ledger_lines"
        " where $1::uuid is null or booking_id = $1 group by account",
        booking_id,
    )
    return {row["account"]: row["amount"] for row in rows if row["amount"]}
