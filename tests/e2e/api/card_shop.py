"""A house whose customers pay by card: a node, and a double of Stripe that tells it of payments."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from cinema.integrations.stripe.double.deliveries import WebhookTarget
from cinema.integrations.stripe.double.server import StripeDouble
from cinema.settings import Secret
from tests.e2e.api.house import PATIENCE_S, Answer, Clocks, House, open_house
from tests.e2e.api.paying import give_up, process
from tests.support.stripe_double import HandClock, running_double
from tests.support.waiting import look_again

WEBHOOK_SECRET = "whsec_of_the_house"

Booking = dict[str, Any]


class CardShop:
    """One house and its Stripe."""

    def __init__(self, house: House, double: StripeDouble, clocks: Clocks) -> None:
        self.house = house
        self.double = double
        self.clocks = clocks

    @property
    def account(self) -> Any:
        """The account at Stripe."""
        return self.double.account

    async def book(self, person: str, showtime_id: str, *seats: str) -> Booking:
        """A booking that waits for its payment."""
        hold_id = await self.house.held(person, showtime_id, *seats)
        answer = await self.house.book(person, showtime_id, hold_id, method="stripe")
        assert answer.status == 201, answer
        booking: Booking = answer.data
        return booking

    def intent_of(self, booking: Booking) -> dict[str, Any]:
        """The intent whose secret the customer has."""
        secret = booking["payment"]["client_secret"]
        (found,) = [one for one in self.account.intents.values() if one["client_secret"] == secret]
        return dict(found)

    def pay(self, booking: Booking, method: str = "pm_card_visa") -> dict[str, Any]:
        """The customer's browser confirms the intent."""
        intent: dict[str, Any] = self.account.confirm_intent(
            self.intent_of(booking)["id"], {"payment_method": method}
        )
        return intent

    async def process(self, person: str, booking: Booking, method: str = "stripe") -> Answer:
        """The customer asks to pay, or to go on."""
        return await process(self.house, person, booking["id"], method=method)

    async def status(self, booking: Booking) -> str:
        """Of a booking, as admins see it."""
        answer = await self.house.ask("admin", "GET", f"bookings/{booking['id']}")
        return str(answer.data["status"])

    async def until(self, booking: Booking, status: str) -> None:
        """Wait for what must come."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.status(booking) != status:
                await look_again()

    async def until_found(self, question: str, *values: Any) -> None:
        """Wait until a question to the database is answered with true."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.house.database.fetchval(question, *values):
                await look_again()

    async def give_up(self) -> int:
        """What a node does every few seconds about bookings that nobody has paid."""
        return await give_up(self.house, self.clocks, self.house.address)

    async def idle(self) -> None:
        """Wait until nothing is left to do about payments, but for what is looked at again."""
        await self.double.deliveries.settled()
        await self.until_found("""
            select not exists (
                select from stripe_tasks where ended_at is null and kind not in ('look', 'day')
            )""")

    async def ledger(self, booking: Booking) -> dict[str, int]:
        """What a booking has left on each account; all of it sums to 0."""
        rows = await self.house.database.fetch(
            "select account, sum(amount)::bigint as amount from ledger_lines"
            " where booking_id = $1 group by account",
            booking["id"],
        )
        found = {row["account"]: row["amount"] for row in rows if row["amount"]}
        assert sum(found.values()) == 0
        return found

    def refunds_of(self, booking: Booking) -> list[dict[str, Any]]:
        """What went back of a booking's payments at Stripe."""
        return [
            refund
            for refund in self.account.refunds.values()
            if refund["metadata"]["booking_id"] == booking["id"]
        ]

    async def payment(self, booking: Booking, field: str) -> Any:
        """A column of the payment that came with a booking."""
        return await self.house.database.fetchval(
            f"select {field} from payments where id = $1", booking["payment"]["id"]
        )


_numbers = itertools.count(1)


@asynccontextmanager
async def database_of_a_module(postgres_server: str, template_database: str) -> AsyncIterator[str]:
    """A clone of the template that is there as long as the block."""
    name = f"cinema_cards_{os.getpid()}_{next(_numbers)}"
    server = await asyncpg.connect(postgres_server)
    try:
        await server.execute(
            f"create database {name} template {template_database} strategy file_copy"
        )
        yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
        await server.execute(f"drop database {name} with (force)")
    finally:
        await server.close()


@asynccontextmanager
async def open_card_shop(
    address: str, *, clocks: Clocks | None = None, **settings: Any
) -> AsyncIterator[CardShop]:
    """A shop of its own."""
    clocks = clocks or Clocks()
    clock = HandClock()
    async with (
        running_double(unix_s=clock) as double,
        open_house(
            address,
            clocks=clocks,
            stripe_secret_key=Secret(double.secret_key),
            stripe_webhook_secret=Secret(WEBHOOK_SECRET),
            stripe_api_base=double.url,
            **settings,
        ) as house,
    ):
        clock.follow(clocks.now_s)
        url = f"http://127.0.0.1:{house.port}/api/v1/webhooks/stripe"
        double.deliveries.endpoint = WebhookTarget(url, WEBHOOK_SECRET)
        yield CardShop(house, double, clocks)
