"""Gift cards and points under concurrency and faults: money always ends where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from cinema.actors.messages import OUTCOME_UNKNOWN, Outcome, Unavailable
from cinema.domain.rejections import Refused, refuse
from cinema.features.giftcards.use_store import CardUsesRepository
from cinema.features.ledger.methods import (
    Attempt,
    MethodRegistry,
    PaymentMethod,
    Progress,
    RefundOrder,
    RefundProgress,
)
from cinema.features.ledger.service import AttemptsService
from tests.e2e.api import points
from tests.e2e.api.bank import Bank
from tests.e2e.api.gift_cards import (
    accounts,
    book_by_card,
    card,
    credited,
    left,
    pay_by_card,
    refunded,
)
from tests.e2e.api.house import PATIENCE_S, Clocks, House, open_house
from tests.e2e.api.paying import give_up, process
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="function")

ROUNDS = 14
AT_ONCE = 3
BALANCES = (500, 1700, 4000)
SEATS = [f"{row}{number}" for row in "ABCD" for number in range(1, 13)]

NO_FAULT_OF = 5
"""Of so many calls one is lost on its way there, and one on its way back."""


UNDECIDED = """
select exists (select from bookings where status = 'pending')
    or exists (select from payments where reserved and status in ('created', 'pending'))"""


class Crashing:
    """A way to pay whose caller dies at times: before it has done anything, or after it has."""

    def __init__(self, method: PaymentMethod, chance: Random) -> None:
        self._method = method
        self._chance = chance
        self.faults = 0
        self.name, self.waits, self.settles = method.name, method.waits, method.settles

    async def start(self, attempt: Attempt) -> Progress:
        fault = self._fault()
        if fault == "before":
            raise refuse("RETRY")
        progress = await self._method.start(attempt)
        if fault == "after":
            raise refuse("RETRY")
        return progress

    async def status(self, attempt: Attempt) -> Progress:
        return await self._method.status(attempt)

    async def cancel(self, attempt: Attempt) -> Progress:
        return await self._method.cancel(attempt)

    async def refund(self, attempt: Attempt, order: RefundOrder) -> RefundProgress:
        fault = self._fault()
        if fault == "before":
            raise refuse("RETRY")
        progress = await self._method.refund(attempt, order)
        if fault == "after":
            raise refuse("RETRY")
        return progress

    def _fault(self) -> str:
        fault = {0: "before", 1: "after"}.get(self._chance.randrange(NO_FAULT_OF), "")
        self.faults += bool(fault)
        return fault


def lose_confirmations(attempts: AttemptsService, chance: Random) -> None:
    """Let some confirmations never arrive, and the answers of some be lost."""
    confirm = attempts.confirm

    async def unreliable(*values: Any) -> Outcome:
        fault = chance.randrange(NO_FAULT_OF)
        if fault == 0:
            return Unavailable("RETRY")
        outcome = await confirm(*values)
        return Unavailable(OUTCOME_UNKNOWN) if fault == 1 else outcome

    attempts.confirm = unreliable  # type: ignore[method-assign]


def replace(methods: MethodRegistry, method: PaymentMethod) -> None:
    """Put a method in the place of that of the same name."""
    methods._methods[method.name] = method  # noqa: SLF001


class Player:
    """Does what customers, a bank, staff and time do, in an order that a seed decides."""

    def __init__(self, house: House, bank: Bank, clocks: Clocks, database: str, seed: int) -> None:
        self.house, self.bank, self.clocks, self.database = house, bank, clocks, database
        self.chance = Random(seed)
        self.free = list(SEATS)
        self.chance.shuffle(self.free)
        self.cards: list[dict[str, Any]] = []
        self.bookings: list[str] = []
        self.showtime_id = ""
        self.statuses: set[int] = set()

    async def prepare(self) -> None:
        screen_id = await self.house.screen(grid={"rows": 4, "columns": 12})
        self.showtime_id = await self.house.showtime(
            screen_id=screen_id, live_holds_per_customer=100, seats_per_hold=20
        )
        self.cards = [await card(self.house, balance) for balance in BALANCES]
        await points.earn(self.house, 30)
        await points.give(self.house, "ada", 1300)

    def step(self) -> Awaitable[None]:
        steps: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (4, self.book_by_card),
            (2, self.book_otherwise),
            (3, self.pay_by_card),
            (2, self.book_by_points),
            (3, self.pay_by_points),
            (4, self.pay_the_rest),
            (2, self.bank_is_paid),
            (2, self.bank_tells),
            (2, self.give_back),
            (1, self.time_to_pay_is_over),
            (1, self.nobody_looks_for_long),
            (1, self.credit),
        ]
        weights = [weight for weight, _ in steps]
        (chosen,) = self.chance.choices([step for _, step in steps], weights)
        return chosen()

    async def book_by_card(self) -> None:
        hold_id = await self._hold()
        code = self.chance.choice(self.cards)["code"]
        self._made(await book_by_card(self.house, "ada", self.showtime_id, hold_id, code))

    async def book_otherwise(self) -> None:
        method = self.chance.choice(["stripe", "demo"])
        hold_id = await self._hold()
        self._made(await self.house.book("ada", self.showtime_id, hold_id, method=method))

    async def pay_by_card(self) -> None:
        if self.bookings:
            booking_id = self.chance.choice(self.bookings[-4:])
            code = self.chance.choice(self.cards)["code"]
            self._note(await pay_by_card(self.house, "ada", booking_id, code))

    async def book_by_points(self) -> None:
        hold_id = await self._hold()
        self._made(await points.book_by_points(self.house, "ada", self.showtime_id, hold_id))

    async def pay_by_points(self) -> None:
        if self.bookings:
            booking_id = self.chance.choice(self.bookings[-4:])
            self._note(await process(self.house, "ada", booking_id, method="points"))

    async def pay_the_rest(self) -> None:
        if self.bookings:
            method = self.chance.choice(["stripe", "demo"])
            booking_id = self.chance.choice(self.bookings[-4:])
            self._note(await process(self.house, "ada", booking_id, method=method))

    async def bank_is_paid(self) -> None:
        if waiting := [one for one, state in self.bank.intents.items() if state == "open"]:
            self.bank.intents[self.chance.choice(waiting)] = "paid"

    async def bank_tells(self) -> None:
        if paid := [one for one, state in self.bank.intents.items() if state == "paid"]:
            await self.told(self.chance.choice(paid))

    async def told(self, attempt_id: str) -> None:
        attempt = await self.house.node.attempts.find(UUID(attempt_id))
        assert attempt is not None
        await self.house.node.attempts.settle(attempt)

    async def give_back(self) -> None:
        if self.bookings:
            booking_id = self.chance.choice(self.bookings)
            self._note(await self.house.ask("ada", "DELETE", f"bookings/{booking_id}"))

    async def time_to_pay_is_over(self) -> None:
        self.clocks.ahead_s += 601
        await self._give_up()

    async def nobody_looks_for_long(self) -> None:
        """The showtime itself ends what is overdue."""
        self.clocks.ahead_s += 1500

    async def credit(self) -> None:
        await credited(self.house, self.database)
        await points.credited(self.house, self.database)

    async def _tell_all(self) -> None:
        for attempt_id, state in list(self.bank.intents.items()):
            if state == "paid":
                await self.told(attempt_id)

    async def _give_up(self) -> None:
        with suppress(Refused):
            await give_up(self.house, self.clocks, self.database)

    async def _hold(self) -> str:
        seats = [self.free.pop() for _ in range(self.chance.choice([1, 1, 2]))]
        return await self.house.held("ada", self.showtime_id, *seats)

    def _made(self, answer: Any) -> None:
        self._note(answer)
        if answer.status == 201:
            self.bookings.append(answer.data["id"])

    def _note(self, answer: Any) -> None:
        assert answer.status in {200, 201, 409, 503}, answer
        self.statuses.add(answer.status)

    async def check(self) -> None:
        """What is true at any moment."""
        for one in self.cards:
            assert await left(self.house, one["id"]) >= 0
        assert await points.left(self.house, "ada") >= 0
        wrong = await self.house.database.fetch(
            "select b.id from bookings b where b.status = 'confirmed' and b.total_minor <> ("
            " select sum(p.amount_minor - p.refunded_minor) from payments p"
            " where p.booking_id = b.id and p.status in ('succeeded', 'partially_refunded'))"
        )
        assert not wrong, "confirmed, and not paid exactly"

    async def come_to_rest(self) -> None:
        """Whatever is under way ends, and what was said is heard."""
        await self._tell_all()
        self.clocks.ahead_s += 601
        async with asyncio.timeout(PATIENCE_S):
            # A busy node may answer that it is to be asked again.
            while True:
                await self._tell_all()
                await self._give_up()
                await self.house.statuses(self.showtime_id)
                if not await self.house.database.fetchval(UNDECIDED):
                    break
        for booking_id in await self.house.database.fetch("select id from bookings"):
            # Those that wait longer and longer for a provider wait for nothing now.
            await self.house.database.execute(
                "update refunds set next_try_at = now() where status = 'pending'"
            )
            await refunded(self.house, str(booking_id["id"]))
        await self.credit()


async def check_earned(house: House) -> None:
    """Each booking has given what is left of its payments is worth, whatever happened before."""
    wrong = await house.database.fetch(
        "select e.booking_id from loyalty_earnings e where e.earned_minor <> coalesce(("
        " select sum(p.amount_minor - p.refunded_minor) * 30 / 100 from payments p"
        " where p.booking_id = e.booking_id and p.method <> 'points'"
        " and p.status in ('succeeded', 'partially_refunded', 'refunded')), 0)::bigint"
    )
    assert not wrong
    given = await house.database.fetchval(
        "select coalesce(sum(amount_minor - missing_minor), 0) from loyalty_entries"
        " where kind in ('earned', 'taken_back') and booking_id is not null"
    )
    assert given == await house.database.fetchval(
        "select coalesce(sum(earned_minor), 0) from loyalty_earnings"
    )
    assert not await house.database.fetchval("select count(*) from loyalty_due")


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: Bank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        token = house.token
        # Time passes; nobody has to sign in again.
        house.token = lambda person, **_: token(person, at_s=clocks.now_s())  # type: ignore[method-assign]
        yield house


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_money_of_cards_ends_where_it_belongs(
    house: House, bank: Bank, clocks: Clocks, database: str, seed: int
) -> None:
    player = Player(house, bank, clocks, database, seed)
    await player.prepare()
    attempts = house.node.attempts
    known = [attempts.methods.get(name) for name in ("gift_card", "points")]
    crashing = [Crashing(one, Random(seed)) for one in known]
    for one in crashing:
        replace(attempts.methods, one)
    confirm = attempts.confirm
    lose_confirmations(attempts, Random(seed + 1))
    for _ in range(ROUNDS):
        await asyncio.gather(*(player.step() for _ in range(AT_ONCE)))
        await player.check()
    for method in known:
        replace(attempts.methods, method)
    attempts.confirm = confirm  # type: ignore[method-assign]
    await player.come_to_rest()
    await player.check()
    assert any(one.faults for one in crashing)
    assert {200, 201} <= player.statuses

    ledger = await accounts(house)
    balances = sum([await left(house, one["id"]) for one in player.cards])
    assert ledger["gift_cards"] == -balances
    assert ledger.get("points", 0) == -await points.left(house, "ada")
    await check_earned(house)
    assert "customer" not in ledger, "somebody owes something, or is owed"
    for row in await house.database.fetch("select id from bookings"):
        assert "customer" not in await accounts(house, str(row["id"])), row["id"]
    states = await house.database.fetch("select distinct state from gift_card_uses")
    assert {row["state"] for row in states} <= {"chosen", "used", "returned"}
    states = await house.database.fetch("select distinct state from loyalty_uses")
    assert {row["state"] for row in states} <= {"used", "returned"}
    at_bank = sum(
        [
            await house.database.fetchval(
                "select amount_minor from payments where id = $1", UUID(one)
            )
            for one, state in bank.intents.items()
            if state == "paid"
        ]
    )
    given_back = sum(amount for _, amount in bank.refunds.values())
    assert ledger.get("stripe", 0) == at_bank - given_back


async def test_money_that_comes_to_a_card_while_it_is_replaced_is_handed_on(
    house: House, database: str
) -> None:
    sold, showtime_id = await card(house, 1000), await house.showtime()
    new = await card(house, 1)
    hold_id = await house.held("ada", showtime_id, "A1")
    made = (await book_by_card(house, "ada", showtime_id, hold_id, sold["code"])).data
    order = RefundOrder(id=uuid4(), booking_id=UUID(made["id"]), amount_minor=400, currency="EUR")
    replacing = house.database.transaction()
    await replacing.start()
    await house.database.execute(
        "update gift_cards set replaced_by = $2, disabled_at = now() where id = $1",
        *(sold["id"], new["id"]),
    )
    async with asyncpg.create_pool(database, min_size=2, max_size=2) as pool:
        store = CardUsesRepository(pool)
        now = datetime.now(UTC)
        refund = asyncio.create_task(store.refund(UUID(made["payment"]["id"]), order, now))
        async with asyncio.timeout(PATIENCE_S):
            while not await pool.fetchval(
                "select exists (select from pg_stat_activity"
                " where wait_event_type = 'Lock' and query like '%refunded%')"
            ):
                await look_again()
        await replacing.commit()
        assert await refund
    assert await left(house, sold["id"]) == 400, "it did not know of the other one"
    await credited(house, database)
    assert (await left(house, sold["id"]), await left(house, new["id"])) == (0, 401)
    await credited(house, database)
    assert await left(house, new["id"]) == 401
