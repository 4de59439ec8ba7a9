"""Documents that a node issues, as the tests wait for them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.e2e.api.house import PATIENCE_S, House
from tests.e2e.api.paying import get
from tests.support.waiting import look_again


async def invoice_of(house: House, person: str, payment_id: str) -> Any:
    """The invoice of a payment, as soon as there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await house.ask(person, "GET", f"payments/{payment_id}/invoice")
            if answer.status != 409:
                return answer.data
            await look_again()


async def documents_of(house: House, person: str, booking_id: str, count: int) -> list[Any]:
    """The documents of a booking, as soon as there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await get(house, person, f"bookings/{booking_id}/documents")
            assert len(found) <= count
            if len(found) == count:
                return [await get(house, person, f"invoices/{one['id']}") for one in found]
            await look_again()
