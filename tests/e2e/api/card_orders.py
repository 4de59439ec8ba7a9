"""Orders of gift cards, as the tests place them and look at what came of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.e2e.api.guests import mails, text_of
from tests.e2e.api.house import Answer, House
from tests.support.waiting import look_again

BUSY_S = 60.0
"""A busy machine takes long to come to an order, or to write a mail."""


async def order(
    house: House, amount: int = 5000, *, by: str = "ada", key: str | None = None, **more: Any
) -> Answer:
    """An attempt to buy a card."""
    if isinstance(more.get("amount"), int):
        amount = more.pop("amount")
    body = {
        "cinema_id": house.cinema_id,
        "amount": {"amount": amount, "currency": more.pop("currency", "EUR")},
        "payment": more.pop("payment", {"method": "demo"}),
        "recipient": more.pop("recipient", {"email": "grace@example.com", "name": "Grace"}),
        **more,
    }
    return await house.ask(by, "POST", "gift-cards/orders", body, key=key)


async def until(house: House, question: str, *values: Any) -> None:
    """Wait until a question to the database is answered with true."""
    async with asyncio.timeout(BUSY_S):
        while not await house.database.fetchval(question, *values):
            await look_again()


async def text_to(house: House, mailbox: Path, email: str) -> str:
    """The text of the one mail to an address, once it is there."""
    async with asyncio.timeout(BUSY_S):
        while True:
            texts = [
                text_of(mail)
                for mail in mails(mailbox)
                if mail["To"].addresses[0].addr_spec == email
            ]
            if texts:
                (text,) = texts
                return text
            await look_again()


async def sent(house: House) -> int:
    """How many cards were sent."""
    return int(
        await house.database.fetchval("select count(*) from messages where kind = 'gift_card_sent'")
    )


async def due(house: House, order_id: str) -> None:
    """Let the queue look at an order now."""
    await house.database.execute(
        "update gift_card_orders set due_at = now() where id = $1 and due_at is not null", order_id
    )
