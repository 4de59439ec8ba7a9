"""A server that is killed while money moves: each payment ends booked, or given back, and once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from cinema.integrations.stripe.double.deliveries import WebhookPosts, WebhookTarget
from cinema.integrations.stripe.double.faults import Fault
from cinema.integrations.stripe.double.server import StripeDouble
from tests.support.server_process import ServerProcess, running
from tests.support.staffed_house import PATIENCE_S, Database, StaffedHouse
from tests.support.told import TOLD

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

WEBHOOK_SECRET = "whsec_of_a_server_that_is_killed"

Booking = dict[str, Any]


class Box(StaffedHouse):
    """A server with a cinema, a Stripe, and people."""

    def __init__(
        self,
        server: ServerProcess,
        double: StripeDouble,
        session: aiohttp.ClientSession,
        database: Database,
    ) -> None:
        super().__init__(lambda: [server.url], session, database)
        self.server = server
        self.double = double

    async def book(self, seat: str, method: str = "stripe") -> Booking:
        """A booking that waits for its payment."""
        (showtime_id,) = self.showtimes
        hold_id = await self.held("customer", showtime_id, seat)
        body = {"showtime_id": showtime_id, "hold_id": hold_id}
        booking: Booking = await self.ask(
            "customer", "POST", "bookings", {**body, "payment": {"method": method}}
        )
        return booking

    async def process(self, role: str, booking_id: str, method: str) -> Booking:
        """Somebody asks to pay."""
        body = {"booking_id": booking_id, "method": method}
        booking: Booking = await self.ask(role, "POST", "payments/process", body)
        return booking

    def intents_of(self, booking_id: str) -> list[dict[str, Any]]:
        """All that Stripe has of a booking, or of an order of a gift card."""
        intents = self.double.account.intents.values()
        return [one for one in intents if booking_id in one["metadata"].values()]

    def pay(self, booking_id: str, method: str = "pm_card_visa") -> str:
        """The customer pays; the intent."""
        (intent,) = self.intents_of(booking_id)
        self.double.account.confirm_intent(intent["id"], {"payment_method": method})
        return str(intent["id"])

    async def kill(self, during: Coroutine[Any, Any, Any] | None = None) -> None:
        """Kill the server, maybe while somebody waits for its answer, and start it again."""
        waiting = None if during is None else asyncio.ensure_future(during)
        if waiting is not None:
            calls = len(self.double.calls)
            await self.double.called(calls + 1)
        self.server.send(signal.SIGKILL)
        await self.server.ended()
        if waiting is not None:
            await asyncio.gather(waiting, return_exceptions=True)
        await self._start_again()

    async def kill_at(self, table: str, begin: Coroutine[Any, Any, Any]) -> None:
        """Kill the server while it is about to write to a table, and start it again."""
        async with self.database.transaction():
            await self.database.execute(f"lock table {table} in share mode")
            waiting = asyncio.ensure_future(begin)
            await self.until_somebody_waits_for(table)
            self.server.send(signal.SIGKILL)
            await self.server.ended()
        await asyncio.gather(waiting, return_exceptions=True)
        await self._start_again()

    async def _start_again(self) -> None:
        """As if the leases had ended, and the time for looks had come."""
        self.double.faults.clear()
        await self.database.execute("update stripe_tasks set due_at = now() where kind <> 'day'")
        await self.database.execute("update refunds set next_try_at = now()")
        await self.due_orders()
        await self.server.start()

    async def due_orders(self) -> None:
        """Let the queue look at orders of gift cards now."""
        await self.database.execute(
            "update gift_card_orders set due_at = now() where due_at is not null"
        )

    async def is_booked_once(self, booking_id: str) -> None:
        """One intent has paid, nothing went back, and the books say so."""
        await self.until("select status = 'confirmed' from bookings where id = $1", booking_id)
        assert [one["status"] for one in self.intents_of(booking_id)] == ["succeeded"]
        assert await self.stripe_account(booking_id) == 1000
        kinds = await self.database.fetch(
            f"select kind from {TOLD} where booking_id = $1", booking_id
        )
        assert [row["kind"] for row in kinds] == ["booking.confirmed"]

    async def cards(self) -> list[int]:
        """What is on each gift card."""
        rows = await self.database.fetch("select balance_minor from gift_cards")
        return [row["balance_minor"] for row in rows]

    async def letters(self) -> list[str]:
        """The kinds of all mails about gift cards, sent or not."""
        rows = await self.database.fetch(
            "select kind from messages where kind like 'gift_card%' order by kind"
        )
        return [row["kind"] for row in rows]

    async def books(self) -> dict[str, int]:
        """What the ledger has on each account, but for nothing."""
        rows = await self.database.fetch(
            "select account, sum(amount)::bigint as amount from ledger_lines group by account"
        )
        return {row["account"]: row["amount"] for row in rows if row["amount"]}

    async def stripe_account(self, booking_id: str) -> int:
        """What the ledger says is at Stripe."""
        return int(
            await self.database.fetchval(
                "select coalesce(sum(amount), 0) from ledger_lines"
                " where booking_id = $1 and account = 'stripe'",
                booking_id,
            )
        )


@pytest.fixture
async def box(tmp_path: Path, database: str) -> AsyncIterator[Box]:
    deliveries = WebhookPosts(None, now_s=lambda: int(time.time()), waits_s=())
    double = StripeDouble(deliveries=deliveries)
    await double.start()
    server = ServerProcess(
        tmp_path / "data",
        DATABASE_URL=database,
        DEMO_DATA="false",
        STRIPE_SECRET_KEY=double.secret_key,
        STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
        STRIPE_API_BASE=double.url,
    )
    deliveries.endpoint = WebhookTarget(f"{server.url}/api/webhooks/stripe", WEBHOOK_SECRET)
    connection = await asyncpg.connect(database)
    async with aiohttp.ClientSession() as session, running(server):
        box = Box(server, double, session, connection)
        await box.build(3)
        await box.open_till()
        yield box
    await connection.close()
    await double.stop()


async def test_a_kill_at_any_point_leaves_each_payment_booked_or_given_back_once(
    box: Box,
) -> None:
    """Takes 25 to 45 s: five starts of a node, which has to be killed for this."""
    # The intent is made, and its id not stored.
    box.double.deliveries.held = True
    box.double.faults.add(Fault(kind="stopped", path="/v1/payment_intents"))
    await box.kill(during=box.book("A1"))
    booking_id, reference = await box.database.fetchrow(
        "select booking_id::text, reference from payments"
    )
    assert (len(box.intents_of(booking_id)), reference) == (1, None)
    resumed = await box.process("customer", booking_id, "stripe")
    assert resumed["payment"]["client_secret"] == box.intents_of(booking_id)[0]["client_secret"]

    # It is paid, and nobody has told: not the webhook, which is lost with the server.
    box.double.deliveries.held = True
    box.pay(booking_id)
    box.double.deliveries.lose()
    await box.kill()
    await box.is_booked_once(booking_id)

    # It is told and stored, and the server dies while it asks how the intent stands.
    second = (await box.book("A3"))["id"]
    box.double.deliveries.held = True
    box.pay(second)
    box.double.faults.add(Fault(kind="stopped", method="GET", path="/v1/payment_intents"))
    await box.kill(during=box.double.deliveries.release())
    await box.is_booked_once(second)

    # It is booked, and the event comes only after the server was killed, twice and backwards.
    third = (await box.book("A5"))["id"]
    box.double.deliveries.held = True
    box.pay(third)
    assert (await box.process("customer", third, "stripe"))["status"] == "confirmed"
    await box.kill()
    await box.double.deliveries.release(backwards=True, times=2)
    await box.until(
        "select count(*) > 0 and bool_and(ended_at is not null) from stripe_tasks"
        " where kind = 'event'"
    )
    await box.is_booked_once(third)

    # It was paid at the counter; the card's money goes back, and the answer to that is lost.
    fourth = (await box.book("A7", "counter_later"))["id"]
    await box.process("customer", fourth, "stripe")
    intent_id = box.pay(fourth, "pm_debit")
    assert (await box.process("admin", fourth, "counter"))["status"] == "confirmed"
    box.double.faults.add(Fault(kind="stopped", path="/v1/refunds"))
    box.double.account.settle(intent_id, succeeded=True)
    async with asyncio.timeout(PATIENCE_S):
        while not box.double.account.refunds:
            await box.double.called(len(box.double.calls) + 1)
    await box.kill()
    await box.until("select status = 'succeeded' from refunds where booking_id = $1", fourth)
    refunds = [
        (one["payment_intent"], one["amount"]) for one in box.double.account.refunds.values()
    ]
    assert refunds == [(intent_id, 1000)]
    assert await box.stripe_account(fourth) == 0
    assert (
        await box.database.fetchval("select status from bookings where id = $1", fourth)
        == "confirmed"
    )
    told = await box.database.fetchval(
        "select count(*) from messages where kind = 'payment_returned'"
    )
    assert told == 1


async def test_a_kill_at_any_point_leaves_an_order_with_one_card_one_mail_and_true_books(
    box: Box,
) -> None:
    """Takes 15 to 30 s: four starts of a node."""
    order = {
        "cinema_id": box.cinema_id,
        "amount": {"amount": 5000, "currency": "EUR"},
        "payment": {"method": "stripe"},
        "recipient": {"email": "grace@example.org", "name": "Grace"},
        "deliver_on": (datetime.now(UTC) + timedelta(days=9)).date().isoformat(),
    }
    order_id = (await box.ask("customer", "POST", "gift-cards/orders", order))["id"]
    state = "select status = $2 from gift_card_orders where id = $1"

    # It is paid, and the server dies while it makes the card: nothing of that is there.
    box.double.deliveries.held = True
    intent_id = box.pay(order_id)
    await box.kill_at("messages", box.double.deliveries.release())
    await box.until(state, order_id, "paid")
    assert await box.cards() == [5000]
    assert await box.letters() == ["gift_card_receipt"]
    assert await box.books() == {"gift_cards": -5000, "stripe": 5000}

    # Its day has come, and the server dies before the mail is written.
    await box.database.execute("update gift_card_orders set deliver_at = now(), due_at = now()")
    await box.kill_at("messages", box.due_orders())
    await box.until("select delivered_at is not null from gift_card_orders")
    assert await box.letters() == ["gift_card_receipt", "gift_card_sent"]

    # The bank takes the money back, and the server dies between the card and the ledger.
    dispute = box.double.account.dispute(intent_id)
    await box.until("select disabled_at is not null from gift_cards")
    box.double.deliveries.held = True
    box.double.account.close_dispute(dispute["id"], "lost")
    await box.kill_at("ledger", box.double.deliveries.release())
    await box.until(state, order_id, "charged_back")
    await box.until(
        "select count(*) > 0 and bool_and(ended_at is not null) from stripe_tasks"
        " where kind = 'event'"
    )
    assert await box.cards() == [0]
    assert await box.books() == {}
    entries = await box.database.fetch(
        "select kind, amount_minor from gift_card_entries order by at"
    )
    assert [tuple(row) for row in entries] == [("sold", 5000), ("taken_back", -5000)]
    assert await box.letters() == ["gift_card_receipt", "gift_card_sent"]
