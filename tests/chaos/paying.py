"""Customers who pay by card while nodes die: whatever happens, the money is where the seats say.

They buy at showtimes of their own, through a double of Stripe whose events come late, twice, out of
order, or never, and whose answers are lost at times. Some pay when the time for it is over, some
never, some give back what they have bought. At the end nothing is under way any more, and what
Stripe has of each booking is what its seats cost.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import Any, Final

import aiohttp
import asyncpg

from cinema.features.ledger.refund_jobs import CLAIM_S
from cinema.features.payments.stripe_jobs import LEASE
from cinema.features.payments.stripe_service import CONFIRM_LEASE
from cinema.integrations.stripe.double.deliveries import Event, WebhookPosts, WebhookTarget
from cinema.integrations.stripe.double.errors import ApiError
from cinema.integrations.stripe.double.faults import Fault
from cinema.integrations.stripe.double.server import StripeDouble
from tests.support.load import API, CLIENT_ERRORS, Customer, customers, enrol
from tests.support.money import at_rest, money_faults, sales
from tests.support.server_process import SECRET

SHOWTIMES: Final = 4
PAYERS: Final = 24
EARLY: Final = 12
"""How many begin to pay with the first fault, and pay when the time for that ends, or never."""

WINDOW_S: Final = 60
"""The shortest time to pay that can be set."""

WEBHOOK_SECRET: Final = "whsec_of_a_cluster_in_chaos"
SETTINGS: Final = {
    "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "PAYMENT_WINDOW_SECONDS": str(WINDOW_S),
    "PAYMENT_GRACE_SECONDS": "60",
}

LOST: Final = 0.15
TWICE: Final = 0.2
LATE_S: Final = 3.0
"""What becomes of an event: never told, told twice, or so late that others overtake it."""

FAULTY: Final = 0.08
PAUSE_S: Final = 0.8
AGAIN_S: Final = 0.25
SETTLE_S: Final = 150.0
NUDGE_S: Final = 5.0
DECIDED: Final = timedelta(seconds=15)
"""Longer than a live node works on one thing, by its deadline for commands."""

NOT_NOW: Final = frozenset({"RETRY", "OVERLOADED", "OUTCOME_UNKNOWN"})
"""Whoever is told so asks again with the same key."""

USUAL: Final = frozenset(
    {"SEAT_UNAVAILABLE", "ORPHAN_SEAT", "HOLD_LIMIT", "HOLD_ENDED", "BOOKING_ENDED"}
    | {"PAYMENT_FAILED", "PAYMENT_IN_PROGRESS"}
)
"""Others were faster, or a payment is being decided: then nothing is given back."""

_FREE_TASKS: Final = """
update stripe_tasks set due_at = now()
where ended_at is null and kind <> 'day' and due_at > now()
    and due_at < now() + case when kind = 'settle' then $1::interval else $2::interval end"""
_FREE_REFUNDS: Final = """
update refunds set next_try_at = now()
where status = 'pending' and next_try_at > now() and next_try_at < now() + $1::interval"""

_people = count(0xC000, PAYERS + EARLY)
_keys = count(1)


class ToAnyNode(WebhookPosts):
    """Events that are lost, doubled and overtaken, each sent to any of the nodes."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(None, now_s=lambda: int(time.time()), waits_s=(0.5, 1.0, 2.0, 4.0))
        self._draw = draw
        self._urls: Sequence[str] = ()

    def send_to(self, urls: Sequence[str]) -> None:
        """The nodes."""
        self._urls = urls
        self._choose()

    def _choose(self) -> None:
        url = self._draw.choice(list(self._urls))
        self.endpoint = WebhookTarget(f"{url}{API}/webhooks/stripe", WEBHOOK_SECRET)

    async def _deliver(self, event: Event) -> None:
        fate = self._draw.random()
        if fate < LOST:
            return
        await asyncio.sleep(self._draw.uniform(0.0, LATE_S) if fate > 1 - TWICE else 0.0)
        await super()._deliver(event)
        if fate < LOST + TWICE:
            await self.post(event)

    async def post(self, event: Event) -> bool:
        """See `WebhookPosts.post`."""
        self._choose()
        return await super().post(event)


class Payers:
    """All who pay, and what they have found wrong."""

    def __init__(
        self,
        double: StripeDouble,
        urls: Sequence[str],
        showtimes: Sequence[str],
        labels: Sequence[str],
        session: aiohttp.ClientSession,
        seed: int,
    ) -> None:
        self.wrong: list[str] = []
        self.told: Counter[str] = Counter()
        self._double = double
        self._urls = list(urls)
        self._showtimes = list(showtimes)
        self._labels = list(labels)
        self._session = session
        self._draw = random.Random(seed)
        self._over = False
        self._began_s = time.monotonic()
        self._people = customers(SECRET, next(_people), PAYERS + EARLY, now_s=time.time())

    @asynccontextmanager
    async def paying(self, dsn: str) -> AsyncIterator[None]:
        """They pay as long as the body runs, and then finish what they are at."""
        await enrol(dsn, self._people)
        self._began_s = time.monotonic()
        tasks = [
            asyncio.create_task(
                self._early(one) if number < EARLY else self._buys(one), name="payer"
            )
            for number, one in enumerate(self._people)
        ]
        try:
            yield
            self._over = True
            self._double.faults.clear()
            for done in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(done, BaseException):
                    self.wrong.append(f"a payer ended with {done!r}")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what they do

    async def _early(self, one: Customer) -> None:
        """Begin at once; pay about when the time for it ends, or never."""
        booking = await self._begun(one)
        if booking is None:
            return
        ends_s = self._began_s + WINDOW_S + self._draw.uniform(-2.0, 6.0)
        kind = self._draw.choice(("never", "late", "debit"))
        if kind == "debit":
            self._confirm(booking, "pm_debit")
        await asyncio.sleep(max(0.0, ends_s - time.monotonic()))
        if kind == "debit":
            self._settle(booking)
        elif kind == "late":
            self._confirm(booking, "pm_card_visa")

    async def _buys(self, one: Customer) -> None:
        while not self._over:
            await asyncio.sleep(self._draw.uniform(0.0, 2 * PAUSE_S))
            booking = await self._begun(one)
            if booking is not None:
                await self._paid(one, booking)

    async def _begun(self, one: Customer) -> dict[str, Any] | None:
        """A booking that waits for its payment; None if somebody else was faster."""
        draw, showtime_id = self._draw, self._draw.choice(self._showtimes)
        if draw.random() < FAULTY:
            kind = draw.choice(("lost", "error", "limited"))
            path = draw.choice(("/v1/payment_intents", "/v1/refunds"))
            self._double.faults.add(Fault(kind=kind, path=path))
        first = draw.randrange(0, len(self._labels) - 1, 2)
        path, seats = f"showtimes/{showtime_id}/holds", self._labels[first : first + 2]
        hold = await self._ask(one, "POST", path, {"seats": seats})
        if hold is None:
            return None
        wanted = {"showtime_id": showtime_id, "hold_id": hold["hold_id"]}
        return await self._ask(one, "POST", "bookings", {**wanted, "payment": {"method": "stripe"}})

    async def _paid(self, one: Customer, booking: dict[str, Any]) -> None:
        """Pay, ask about it, and maybe give all or a part of it back."""
        draw = self._draw
        if draw.random() < 0.15:
            self._confirm(booking, "pm_card_visa_chargeDeclined")
        if draw.random() < 0.15:
            self._confirm(booking, "pm_debit")
            await asyncio.sleep(draw.uniform(0.0, 1.0))
            self._settle(booking)
        else:
            self._confirm(booking, "pm_card_visa")
        if draw.random() < 0.5:
            body = {"booking_id": booking["id"], "method": "stripe"}
            await self._ask(one, "POST", "payments/process", body)
        await asyncio.sleep(draw.uniform(0.0, PAUSE_S))
        fate = draw.random()
        if fate < 0.5:
            seat = f"?seats={booking['seats'][0]['label']}" if fate < 0.2 else ""
            await self._ask(one, "DELETE", f"bookings/{booking['id']}{seat}")

    # --- their browsers, and the server

    def _confirm(self, booking: Mapping[str, Any], method: str) -> None:
        intent = self._intent(booking)
        if intent is not None:
            # It was paid, or given up, meanwhile; or the card is declined, as it should be.
            with suppress(ApiError):
                self._double.account.confirm_intent(intent["id"], {"payment_method": method})

    def _settle(self, booking: Mapping[str, Any]) -> None:
        intent = self._intent(booking)
        if intent is not None and intent["status"] == "processing":
            self._double.account.settle(intent["id"], succeeded=self._draw.random() < 0.8)

    def _intent(self, booking: Mapping[str, Any]) -> dict[str, Any] | None:
        secret = booking["payment"].get("client_secret")
        for intent in self._double.account.intents.values():
            if intent["client_secret"] == secret:
                return dict(intent)
        return None

    async def _ask(self, one: Customer, method: str, path: str, body: Any = None) -> Any:
        """Ask any of the nodes until there is an answer that says what happened."""
        headers = {"Authorization": f"Bearer {one.token}"}
        headers["Idempotency-Key"] = f"payer-{next(_keys)}"
        while True:
            url = f"{self._draw.choice(self._urls)}{API}/{path}"
            try:
                async with self._session.request(method, url, json=body, headers=headers) as reply:
                    answer = await reply.json()
            except CLIENT_ERRORS:
                answer = None
            if answer is not None and answer["success"]:
                self.told["done"] += 1
                return answer["data"]
            code = "no answer" if answer is None else answer["error"]["code"]
            self.told[code] += 1
            if answer is not None and code not in NOT_NOW:
                if code not in USUAL:
                    self.wrong.append(f"{method} {path.partition('/')[0]}: {answer['error']}")
                return None
            await asyncio.sleep(self._draw.uniform(AGAIN_S / 2, AGAIN_S))

    # --- the end

    async def check(self, dsn: str) -> list[str]:
        """Wait until nothing is under way, and compare the money; what is wrong."""
        database = await asyncpg.connect(dsn)
        try:
            try:
                async with asyncio.timeout(SETTLE_S):
                    await self._rest(database)
            except TimeoutError:
                self.wrong += [f"never at rest: {what}" for what in await at_rest(database)]
            self.wrong += [f"money: {fault}" for fault in await money_faults(database)]
            self.wrong += await self._differences(database)
        finally:
            await database.close()
        return self.wrong

    async def _rest(self, database: asyncpg.Connection[asyncpg.Record]) -> None:
        """Wait; what dead nodes have claimed is free once no live one can be working on it."""
        nudged_s = 0.0
        while await at_rest(database):
            if time.monotonic() - nudged_s > NUDGE_S:
                nudged_s = time.monotonic()
                await database.execute(
                    *(_FREE_TASKS, CONFIRM_LEASE - DECIDED, LEASE - DECIDED),
                )
                await database.execute(_FREE_REFUNDS, timedelta(seconds=CLAIM_S) - DECIDED)
            await asyncio.sleep(AGAIN_S)

    async def _differences(self, database: asyncpg.Connection[asyncpg.Record]) -> list[str]:
        """Bookings of which Stripe has another sum than what their seats cost."""
        account, kept = self._double.account, Counter[str]()
        for intent in account.intents.values():
            if intent["status"] == "succeeded":
                kept[intent["metadata"]["booking_id"]] += intent["amount"]
        for refund in account.refunds.values():
            if refund["status"] == "succeeded":
                self.told["refunded"] += 1
                kept[refund["metadata"]["booking_id"]] -= refund["amount"]
        found = []
        for sale in await sales(database, list(kept)):
            at_stripe = kept[sale["id"]]
            self.told[f"paid and {sale['status']}"] += 1
            wanted = sale["total_minor"] if sale["status"] == "confirmed" else 0
            if not at_stripe == sale["stripe"] == wanted:
                found.append(f"Stripe has {at_stripe} of {dict(sale)}, and not {wanted}")
        return found
