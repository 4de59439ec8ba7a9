"""Orders of gift cards under faults: a paid one has one card, and money ends where it belongs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from cinema.domain.rejections import Refused, refuse
from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.ledger.refund_rules import Undone
from tests.e2e.api.bank import Bank
from tests.e2e.api.card_orders import due, order, sent, until
from tests.e2e.api.gift_cards import accounts, book_by_card, left
from tests.e2e.api.house import Clocks, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="function")

STEPS = 40
AT_ONCE = 3
SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 13)]
FAULT_EVERY = 5
"""Of so many calls one is lost on its way to the bank, and one on its way back."""


class UnreliableBank(Bank):
    """A bank that is not reached at times, or whose answer is lost."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.chance: Random | None = chance
        self.faults: Counter[str] = Counter()

    async def start(self, attempt: Attempt) -> Progress:
        return await self._asked(super().start(attempt))

    async def status(self, attempt: Attempt) -> Progress:
        # An order that nobody has begun to pay is as unknown to a bank as to Stripe.
        if str(attempt.id) not in self.intents:
            return Progress(status="pending")
        return await self._asked(super().status(attempt))

    async def cancel(self, attempt: Attempt) -> Progress:
        return await self._asked(super().cancel(attempt))

    async def refund(self, attempt: Attempt, wanted: RefundOrder) -> RefundProgress:
        return await self._asked(super().refund(attempt, wanted))

    async def _asked(self, call: Awaitable[Any]) -> Any:
        fault = ""
        if self.chance is not None:
            fault = {0: "before", 1: "after"}.get(self.chance.randrange(FAULT_EVERY), "")
        if fault:
            self.faults[fault] += 1
        if fault == "before":
            call.close()  # type: ignore[attr-defined]
            raise refuse("RETRY")
        answer = await call
        if fault == "after":
            raise refuse("RETRY")
        return answer


class Player:
    """Does what customers, a bank, staff and time do, in an order that a seed decides."""

    def __init__(self, house: House, bank: UnreliableBank, clocks: Clocks, seed: int) -> None:
        self.house, self.bank, self.clocks = house, bank, clocks
        self.chance = Random(seed)
        self.free = list(SEATS)
        self.reading = asyncio.Lock()
        """The tests have one connection of their own."""
        self.showtime_id = ""
        self.statuses: Counter[tuple[str, int]] = Counter()

    async def prepare(self) -> None:
        screen_id = await self.house.screen(grid={"rows": 6, "columns": 12})
        self.showtime_id = await self.house.showtime(
            screen_id=screen_id, live_holds_per_customer=100, seats_per_hold=20
        )

    def step(self) -> Awaitable[None]:
        steps: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (4, self.order),
            (2, self.pay),
            (4, self.bank_is_paid),
            (3, self.bank_tells),
            (2, self.queue_looks),
            (3, self.use),
            (3, self.give_back),
            (1, self.refund_fails_late),
            (1, self.bank_decides),
            (1, self.time_passes),
        ]
        weights = [weight for weight, _ in steps]
        (chosen,) = self.chance.choices([step for _, step in steps], weights)
        return chosen()

    async def ids(self, *statuses: str) -> list[str]:
        async with self.reading:
            rows = await self.house.database.fetch(
                "select id from gift_card_orders"
                " where $1::text[] = '{}' or status = any($1) order by id",
                list(statuses),
            )
        return [str(row["id"]) for row in rows]

    async def some(self, *statuses: str) -> str | None:
        ids = await self.ids(*statuses)
        return self.chance.choice(ids) if ids else None

    async def order(self) -> None:
        method = self.chance.choice(["stripe", "stripe", "demo"])
        self._note("order", await order(self.house, 2000, payment={"method": method}))

    async def pay(self) -> None:
        if one := await self.some():
            path = f"gift-cards/orders/{one}/pay"
            self._note("pay", await self.house.ask("ada", "POST", path))

    async def bank_is_paid(self) -> None:
        if waiting := [one for one, state in self.bank.intents.items() if state == "open"]:
            self.bank.intents[self.chance.choice(waiting)] = "paid"

    async def bank_tells(self) -> None:
        if self.bank.intents:
            one = self.chance.choice(list(self.bank.intents))
            await self._told(one)

    async def queue_looks(self) -> None:
        if one := await self.some():
            async with self.reading:
                await due(self.house, one)

    async def use(self) -> None:
        if (one := await self.some("paid")) is None:
            return
        seen = (await self.house.ask("ada", "GET", f"gift-cards/orders/{one}")).data
        if seen["card"]["code"] is None:
            return
        hold_id = await self.house.held("bob", self.showtime_id, self.free.pop())
        code = seen["card"]["code"]
        self._note("use", await book_by_card(self.house, "bob", self.showtime_id, hold_id, code))

    async def give_back(self) -> None:
        if one := await self.some():
            by = self.chance.choice(["ada", "manager"])
            path = f"gift-cards/orders/{one}"
            self._note("give back", await self.house.ask(by, "DELETE", path))

    async def refund_fails_late(self) -> None:
        one = await self.some("refunded")
        if one is None:
            return
        async with self.reading:
            row = await self.house.database.fetchrow(
                "select method, asked_again from gift_card_orders where id = $1", one
            )
        if row["method"] == "stripe":
            self.bank.refunds.pop(one, None)
            orders = self.house.node.card_orders
            undone = Undone(
                id=UUID(one), again=row["asked_again"], reference="", error_code="card_closed"
            )
            await orders.undone(undone)

    async def bank_decides(self) -> None:
        """A dispute that is won: a card is blocked for a while."""
        if one := await self.some("paid"):
            orders = self.house.node.card_orders
            await orders.disputed(UUID(one), "open", None)
            await orders.disputed(UUID(one), "won", None)

    async def time_passes(self) -> None:
        self.clocks.ahead_s += self.chance.choice([120, 3600])

    async def _told(self, order_id: str) -> None:
        with suppress(Refused):
            await self.house.node.card_orders.told(UUID(order_id), f"intent-{order_id}")

    def _note(self, what: str, answer: Any) -> None:
        assert answer.status in {200, 201, 409, 503}, (what, answer)
        self.statuses[what, answer.status] += 1

    async def check(self) -> None:
        """What is true at any moment."""
        database = self.house.database
        assert not await database.fetchval("select sum(amount) from ledger_lines")
        lonely = await database.fetch(
            "select o.id from gift_card_orders o where (o.paid_at is not null) <> exists ("
            " select from gift_cards c where c.sale_id = o.id and c.id = o.card_id)"
        )
        assert not lonely, "a paid order without its card, or a card that nobody paid"
        several = await database.fetch(
            "select sale_id from gift_cards group by sale_id having count(*) > 1"
        )
        assert not several
        for row in await database.fetch("select id from gift_cards"):
            assert await left(self.house, row["id"]) >= 0

    async def come_to_rest(self) -> None:
        """Whatever is under way ends, and what was said is heard."""
        self.bank.chance = None
        self.clocks.ahead_s += timedelta(hours=2).total_seconds()
        for one in await self.ids():
            await due(self.house, one)
            await self._told(one)
        await until(
            self.house,
            "select not exists (select from gift_card_orders"
            " where status in ('open', 'refunding') or (status = 'paid' and due_at is not null))",
        )


@pytest.fixture
def bank() -> UnreliableBank:
    return UnreliableBank(Random(0))


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: UnreliableBank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        token = house.token
        # Time passes; nobody has to sign in again.
        house.token = lambda person, **_: token(person, at_s=clocks.now_s())  # type: ignore[method-assign]
        yield house


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_paid_order_has_one_card_and_the_ledger_balances(
    house: House, bank: UnreliableBank, clocks: Clocks, seed: int
) -> None:
    player = Player(house, bank, clocks, seed)
    bank.chance = Random(seed)
    await player.prepare()
    for _ in range(STEPS // AT_ONCE):
        await asyncio.gather(*(player.step() for _ in range(AT_ONCE)))
        await player.check()
    await player.come_to_rest()
    await player.check()
    assert set(bank.faults) == {"before", "after"}
    assert player.statuses["order", 201]

    paid = {one for one, state in bank.intents.items() if state == "paid"}
    of_stripe = await house.database.fetch(
        "select id from gift_card_orders where method = 'stripe' and paid_at is not null"
    )
    assert {str(row["id"]) for row in of_stripe} == paid, "whatever was paid has its card"
    ledger = await accounts(house)
    balances = await house.database.fetchval(
        "select coalesce(sum(balance_minor), 0) from gift_cards"
    )
    assert ledger.get("gift_cards", 0) == -balances
    failed = await house.database.fetchval(
        "select coalesce(sum(amount_minor), 0) from gift_card_orders where status = 'refund_failed'"
    )
    assert ledger.get("customer", 0) == -failed, "what is owed is on the list of staff"
    given_back = sum(amount for _, amount in bank.refunds.values())
    assert ledger.get("stripe", 0) == 2000 * len(paid) - given_back
    delivered = await house.database.fetchval(
        "select count(*) from gift_card_orders where delivered_at is not null"
    )
    assert await sent(house) == delivered, "each card is sent once"
