"""Refunds: by the policy of the cinema, by staff, by a service that has the money, and too late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.accounts.letters import no_post
from cinema.storage.database.pool import open_pool
from tests.e2e.api.bank import Bank
from tests.e2e.api.house import UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import get, give_up, process
from tests.e2e.api.showtimes import cancel as cancel_showtime
from tests.e2e.api.showtimes import ended
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: Bank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        yield house


async def _policy(house: House, *steps: tuple[int, int]) -> None:
    path = f"cinemas/{house.cinema_id}/settings"
    known = (await house.ask("admin", "GET", path)).data
    wanted = {
        **known["settings"],
        "refund_policy": [{"hours_before": hours, "percent": part} for hours, part in steps],
    }
    head = {"If-Match": f'"{known["version"]}"'}
    assert (await house.ask("admin", "PUT", path, wanted, headers=head)).status == 200


async def _paid(house: House, bank: Bank, person: str, showtime_id: str, *seats: str) -> Any:
    """A booking that was paid by the bank."""
    hold_id = await house.held(person, showtime_id, *seats)
    booking = (await house.book(person, showtime_id, hold_id, method="stripe")).data
    bank.pay(booking)
    paid = await process(house, person, booking["id"], method="stripe")
    assert paid.data["status"] == "confirmed"
    return paid.data


async def _refund(
    house: House, person: str, booking_id: str, *, key: str | None = None, **wanted: Any
) -> Any:
    if "amount" in wanted:
        wanted["amount"] = {"amount": wanted["amount"], "currency": "EUR"}
    body = {"booking_id": booking_id, "reason": "Projector failed.", **wanted}
    return await house.ask(person, "POST", "payments/refund", body, key=key)


async def _settled(house: House) -> None:
    """Wait until the node has asked for all refunds that are due."""
    async with asyncio.timeout(20):
        while await house.database.fetchval(
            "select count(*) from refunds where status = 'pending'"
        ):
            await look_again()


async def _erased(house: House, person: str) -> bool:
    """Whether an account that is given up can be erased."""
    now = datetime.now(UTC)
    await house.database.execute(
        "update users set erase_at = $2 where id = $1", house.people[person], now
    )
    async with await open_pool(house.address, size=2) as pool:
        erasing = ErasureRepository(pool, no_post, new_id=uuid4)
        return await erasing.erase_due(now, 10) == 1


async def test_a_booking_is_refunded_by_the_policy_that_held_when_it_was_made(
    house: House,
) -> None:
    await _policy(house, (48, 100), (1, 50))
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(hours=24))
    booking_id = await house.booked("ada", showtime_id, "A1", "A2", "B1")
    await _policy(house, (0, 0))
    later_id = await house.booked("bob", showtime_id, "A5")
    quote = await get(house, "ada", f"bookings/{booking_id}/refund-quote?seats=B1")
    assert (quote["seats"], quote["percent"]) == (["B1"], 50)
    amounts = [quote[name]["amount"] for name in ("price", "refund", "kept")]
    assert amounts == [1250, 625, 625]

    part = (await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=B1", key="one")).data
    payment = part["payment"]
    assert (part["status"], part["total"]["amount"]) == ("confirmed", 3250 - 625)
    assert (payment["status"], payment["refunded"]["amount"]) == ("partially_refunded", 625)
    assert part == await get(house, "ada", f"bookings/{booking_id}")
    whole = (await house.ask("ada", "DELETE", f"bookings/{booking_id}", key="two")).data
    assert (whole["status"], whole["payment"]["status"]) == ("cancelled", "partially_refunded")
    assert whole["payment"]["refunded"]["amount"] == 625 + 1000
    again = (await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=B1", key="one")).data
    assert again == part
    entries = await get(house, "staff", f"bookings/{booking_id}/ledger")
    amounts = sorted(
        (one["kind"], line["account"], line["amount"])
        for one in entries
        for line in one["lines"]
        if one["kind"] in {"cancellation", "refund"}
    )
    assert amounts == [
        ("cancellation", "customer", -1000),
        ("cancellation", "customer", -625),
        ("cancellation", "deferred", 625),
        ("cancellation", "deferred", 1000),
        ("refund", "customer", 625),
        ("refund", "customer", 1000),
        ("refund", "demo", -1000),
        ("refund", "demo", -625),
    ]
    nothing = (await house.ask("bob", "DELETE", f"bookings/{later_id}")).data
    assert (nothing["status"], nothing["payment"]["status"]) == ("cancelled", "succeeded")
    assert "refunded" not in nothing["payment"]
    assert await faults_of(house) == []


async def test_a_quote_is_for_seats_of_the_booking_and_for_those_whom_it_concerns(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    path = f"bookings/{booking_id}/refund-quote"
    assert (await house.ask("ada", "GET", f"{path}?seats=A2")).error == (409, "SEAT_NOT_INCLUDED")
    assert (await house.ask("ada", "GET", f"{path}?seats=A1,A1")).error == (422, "DUPLICATE_SEAT")
    for person in ("bob", "staff elsewhere"):
        assert (await house.ask(person, "GET", path)).error == (404, "NOT_FOUND")
    assert (await get(house, "staff", path))["refund"]["amount"] == 1000
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    assert (await house.ask("ada", "GET", path)).error == (409, "BOOKING_ENDED")


async def test_what_a_provider_has_is_pending_until_it_is_back(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    booking = await _paid(house, bank, "ada", showtime_id, "A1", "A2")
    bank.away = True
    part = (await house.ask("ada", "DELETE", f"bookings/{booking['id']}?seats=A1")).data
    assert part["payment"]["status"] == "partially_refunded"
    assert part["payment"]["refund_pending"] == {"amount": 1000, "currency": "EUR"}
    assert part == await get(house, "ada", f"bookings/{booking['id']}")
    seen = await get(house, "ada", f"payments/{booking['payment']['id']}")
    assert seen["refund_pending"]["amount"] == 1000
    assert await faults_of(house) == []
    bank.away = False
    await _settled(house)
    assert list(bank.refunds.values()) == [("succeeded", 1000)]
    seen = await get(house, "ada", f"payments/{booking['payment']['id']}")
    assert (seen["refunded"]["amount"], seen["refund_pending"]["amount"]) == (1000, 0)
    assert await faults_of(house) == []


async def test_a_refund_that_failed_waits_for_staff_of_its_cinema(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    booking = await _paid(house, bank, "ada", showtime_id, "A1")
    bank.refuses_refunds = True
    await house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    await _settled(house)
    (failed,) = await get(house, "staff", "payments/refunds?status=failed")
    assert not await _erased(house, "ada"), "she would not know of her money any more"
    assert (failed["booking_id"], failed["status"]) == (booking["id"], "failed")
    assert (failed["amount"]["amount"], failed["error_code"]) == (1000, "card_closed")
    assert await get(house, "staff elsewhere", "payments/refunds") == []
    assert len(await get(house, "admin", "payments/refunds")) == 1
    path = f"payments/refunds/{failed['id']}/retry"
    assert (await house.ask("manager elsewhere", "POST", path)).error == (404, "NOT_FOUND")
    bank.refuses_refunds = False
    assert (await house.ask("staff", "POST", path)).data["status"] == "pending"
    await _settled(house)
    assert (await house.ask("staff", "POST", path)).error == (409, "REFUND_NOT_FAILED")
    assert await get(house, "staff", "payments/refunds") == []
    (done,) = await get(house, "staff", "payments/refunds?status=succeeded")
    assert done["settled_at"] is not None
    assert await faults_of(house) == []
    actions = await house.database.fetch("select action from audit_log where action ~ 'refund'")
    assert [row["action"] for row in actions] == ["refund_retried"]
    assert await _erased(house, "ada")


async def _told(house: House, name: str, **labels: str) -> float:
    """A value in the metrics of the node."""
    async with house.client.get(f"http://127.0.0.1:{house.port}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        (value,) = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
    return float(value)


async def test_metrics_tell_what_became_of_refunds_and_how_long_they_have_waited(
    house: House, bank: Bank, clocks: Clocks
) -> None:
    showtime_id = await house.showtime()
    one, other = [await _paid(house, bank, "ada", showtime_id, seat) for seat in ("A1", "A3")]
    await house.ask("ada", "DELETE", f"bookings/{one['id']}")
    await _settled(house)
    bank.refuses_refunds = True
    await house.ask("ada", "DELETE", f"bookings/{other['id']}")
    await _settled(house)
    clocks.ahead_s += 100_000
    async with asyncio.timeout(20):
        while await _told(house, "cinema_refunds_oldest_seconds", status="failed") < 100_000:
            await look_again()
    for status, count in (("failed", 1), ("pending", 0), ("at_counter", 0)):
        assert await _told(house, "cinema_refunds_waiting", status=status) == count
    assert await _told(house, "cinema_refunds_oldest_seconds", status="pending") == 0
    for outcome, count in (("succeeded", 1), ("failed", 1), ("delayed", 0), ("pending", 0)):
        assert await _told(house, "cinema_refund_calls_total", outcome=outcome) == count


async def test_a_manager_gives_back_more_than_seats_cost_and_never_more_than_was_paid(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2", "A3")
    assert (await _refund(house, "staff", booking_id, seats=["A1"], amount=1300)).status == 403
    more = await _refund(house, "manager", booking_id, seats=["A1"], amount=1300)
    assert more.data["payment"]["refunded"]["amount"] == 1300
    rest = await _refund(house, "manager", booking_id, seats=["A2"], amount=1701)
    assert rest.data["payment"]["refunded"]["amount"] == 3000
    beyond = await _refund(house, "manager", booking_id, amount=1)
    assert beyond.error == (409, "REFUND_TOO_HIGH")
    assert await faults_of(house) == []


async def test_staff_give_back_by_the_policy_and_managers_beyond(house: House) -> None:
    await _policy(house, (1, 50))
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2", "A3", "A4")
    assert (await _refund(house, "ada", booking_id, amount=1)).status == 403
    assert (await _refund(house, "staff elsewhere", booking_id, amount=1)).error[0] == 404
    assert (await _refund(house, "staff", UNKNOWN_ID, amount=1)).error == (404, "NOT_FOUND")
    by_policy = await _refund(house, "staff", booking_id, seats=["A1"])
    assert by_policy.data["payment"]["refunded"]["amount"] == 500
    beyond = await _refund(house, "staff", booking_id, seats=["A2"], amount=501)
    assert beyond.error == (403, "FORBIDDEN")
    less = await _refund(house, "staff", booking_id, seats=["A2"], amount=499)
    assert less.data["payment"]["refunded"]["amount"] == 999
    manager = await _refund(house, "manager", booking_id, seats=["A3"])
    assert manager.data["payment"]["refunded"]["amount"] == 1999
    too_much = await _refund(house, "staff", booking_id, amount=501)
    assert too_much.error == (403, "FORBIDDEN")
    money_alone = await _refund(house, "manager", booking_id, amount=700, key="g")
    assert money_alone.data["payment"]["refunded"]["amount"] == 2699
    assert [seat["label"] for seat in money_alone.data["seats"]] == ["A4"]
    assert money_alone.data["total"]["amount"] == 4000 - 2699
    again = await _refund(house, "manager", booking_id, amount=700, key="g")
    assert again.data == money_alone.data
    other = await _refund(house, "manager", booking_id, amount=701, key="g")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    too_high = await _refund(house, "manager", booking_id, amount=1302)
    assert too_high.error == (409, "REFUND_TOO_HIGH")
    assert too_high.details["left"] == {"amount": 1301, "currency": "EUR"}
    rest = await house.ask("admin", "DELETE", f"bookings/{booking_id}")
    assert rest.data["payment"]["refunded"]["amount"] == 2699 + 500
    assert (await _refund(house, "manager", booking_id, amount=801)).data["payment"][
        "status"
    ] == "refunded"
    assert await faults_of(house) == []
    audited = await house.database.fetchval(
        "select count(*) from audit_log where action = 'refund_made'"
    )
    assert audited == 5


async def test_refunds_that_do_not_fit_are_refused(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    body = {"booking_id": booking_id, "reason": "Rain."}
    for wrong in (
        {"amount": {"amount": 1, "currency": "USD"}},
        {"amount": {"amount": 0, "currency": "EUR"}},
        {"amount": {"amount": -1, "currency": "EUR"}},
        {"to": "charity"},
        {"reason": ""},
    ):
        answer = await house.ask("manager", "POST", "payments/refund", {**body, **wrong})
        assert answer.error == (400, "VALIDATION_ERROR"), wrong
    hold_id = await house.held("ada", showtime_id, "A3")
    pending = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    unpaid = await _refund(house, "manager", pending["id"], amount=1)
    assert unpaid.error == (409, "BOOKING_ENDED")


async def test_many_at_once_never_give_back_more_than_was_paid(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    answers = await asyncio.gather(
        *(_refund(house, "manager", booking_id, amount=700) for _ in range(6)),
        *(
            house.ask("ada", "DELETE", f"bookings/{booking_id}?seats={seat}")
            for seat in ("A1", "A2")
        ),
    )
    assert {answer.status for answer in answers} <= {200, 409}
    payment = await house.database.fetchrow(
        "select * from payments where booking_id = $1", booking_id
    )
    assert payment is not None
    assert payment["refunded_minor"] <= payment["amount_minor"]
    assert await faults_of(house) == []


async def test_money_that_comes_too_late_goes_back_once(
    house: House, bank: Bank, clocks: Clocks, database: str
) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    late = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    bank.intents[late["payment"]["id"]] = "open"
    clocks.ahead_s = 605
    assert await give_up(house, clocks, database) == 1
    await house.booked("bob", showtime_id, "A1")
    # The bank is wrong about having stopped it.
    bank.intents[late["payment"]["id"]] = "paid"
    attempts = house.node.attempts
    for _ in range(2):
        attempt = await attempts.find(UUID(late["payment"]["id"]))
        assert attempt is not None
        await attempts.settle(attempt)
    rows = await house.database.fetch("select kind, status, reason from refunds")
    assert [tuple(row) for row in rows] == [("unwanted", "pending", "SEAT_UNAVAILABLE")]
    seen = await get(house, "ada", f"payments/{late['payment']['id']}")
    assert (seen["status"], seen["refund_pending"]["amount"]) == ("refunded", 1000)
    await _settled(house)
    assert list(bank.refunds.values()) == [("succeeded", 1000)]
    assert await house.statuses(showtime_id) == {"A1": "booked"}
    # The seats are free now. The money has gone back, so they are not booked for it.
    bobs = await house.database.fetchval("select id::text from bookings where status = 'confirmed'")
    await house.ask("bob", "DELETE", f"bookings/{bobs}")
    attempt = await attempts.find(UUID(late["payment"]["id"]))
    assert attempt is not None
    await attempts.settle(attempt)
    assert await house.statuses(showtime_id) == {}
    assert await faults_of(house) == []


async def test_a_telling_under_way_books_nothing_once_the_money_goes_back(
    house: House, bank: Bank, clocks: Clocks, database: str
) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    late = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    clocks.ahead_s = 605
    assert await give_up(house, clocks, database) == 1
    bobs = await house.booked("bob", showtime_id, "A1")
    bank.intents[late["payment"]["id"]] = "paid"
    attempts = house.node.attempts
    attempt = await attempts.find(UUID(late["payment"]["id"]))
    assert attempt is not None
    await attempts.settle(attempt)
    await house.ask("bob", "DELETE", f"bookings/{bobs}")
    # Another node has read the attempt before, and asks only now. The seat is free.
    await attempts.settle(attempt)
    booking = await get(house, "ada", f"bookings/{late['id']}")
    assert booking["status"] == "expired"
    assert await house.statuses(showtime_id) == {}
    await _settled(house)
    assert list(bank.refunds.values()) == [("succeeded", 1000)]
    assert await faults_of(house) == []


async def test_what_is_paid_twice_goes_back_once(house: House, bank: Bank) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    booking = (await house.book("ada", showtime_id, hold_id, method="stripe")).data
    bank.pay(booking)
    assert (await process(house, "staff", booking["id"], method="counter")).status == 200
    attempts = house.node.attempts
    attempt = await attempts.find(UUID(booking["payment"]["id"]))
    assert attempt is not None
    assert attempt.status == "cancelled"
    for _ in range(2):
        await attempts.settle(attempt)
    await _settled(house)
    assert list(bank.refunds.values()) == [("succeeded", 1000)]
    stored = await get(house, "ada", f"bookings/{booking['id']}")
    assert (stored["status"], stored["payment"]["method"]) == ("confirmed", "counter")
    assert await faults_of(house) == []


async def test_a_cancelled_showtime_gives_back_all_of_its_own_bookings_whatever_the_policy(
    house: House, bank: Bank
) -> None:
    await _policy(house, (1, 10))
    showtime_id, other_id = await house.showtime(), await house.showtime()
    mine = await _paid(house, bank, "ada", showtime_id, "A1", "A2")
    other = await _paid(house, bank, "ada", other_id, "A1")
    demo_id = await house.booked("bob", showtime_id, "A5")
    await house.ask("bob", "DELETE", f"bookings/{demo_id}")
    answer = await cancel_showtime(house, showtime_id)
    await ended(house, answer.data["job_id"])
    await _settled(house)
    assert list(bank.refunds.values()) == [("succeeded", 2000)]
    payments = [
        (await get(house, "ada", f"bookings/{one['id']}"))["payment"]["status"]
        for one in (mine, other)
    ]
    assert payments == ["refunded", "succeeded"]
    assert (await get(house, "bob", f"bookings/{demo_id}"))["payment"]["refunded"]["amount"] == 100
    assert await faults_of(house) == []


class _Life:
    """Things that happen to the bookings of one showtime, in an order that a seed gives."""

    def __init__(
        self, house: House, bank: Bank, clocks: Clocks, database: str, chance: random.Random
    ) -> None:
        self.house, self.bank, self.clocks, self.database = house, bank, clocks, database
        self.chance = chance
        self.showtime_id = ""
        self.made: list[tuple[str, str]] = []

    async def begin(self) -> None:
        await _policy(self.house, (2, 50))
        await self.house.database.execute("update users set email_verified = true")
        self.showtime_id = await self.house.showtime()
        await self.house.move(self.showtime_id, starts_in=timedelta(hours=200))

    async def step(self) -> None:
        if not self.made or self.chance.random() < 0.3:
            return await self.book(self.chance.choice(("ada", "bob")))
        owner, booking_id = self.chance.choice(self.made)
        steps = (
            *(self.tell, self.pay, self.cancel, self.goodwill, self.wait, self.all_at_once),
            *(self.sell, self.pay_out),
        )
        what = self.chance.choices(steps, (3, 2, 3, 2, 2, 2, 2, 2))[0]
        return await what(owner, booking_id)

    async def book(self, person: str) -> None:
        seats = self.chance.sample([f"A{at}" for at in range(1, 9)], self.chance.randint(1, 3))
        held = await self.house.hold(person, self.showtime_id, *seats)
        if held.status != 201:
            return
        method = self.chance.choice(["stripe", "stripe", "demo", "counter_later"])
        hold_id = held.data["hold_id"]
        booked = await self.house.book(person, self.showtime_id, hold_id, method=method)
        if booked.status == 201:
            self.made.append((person, booked.data["id"]))

    async def tell(self, _owner: str, booking_id: str) -> None:
        """The bank tells of a payment, whatever the booking is by now."""
        row = await self.house.database.fetchrow(
            "select id from payments where booking_id = $1 and method = 'stripe' "
            "order by id limit 1",
            booking_id,
        )
        if row is None:
            return
        state = self.bank.intents.setdefault(str(row["id"]), "open")
        if state == "cancelled" and self.chance.random() < 0.8:
            return
        self.bank.intents[str(row["id"])] = "paid"
        attempt = await self.house.node.attempts.find(row["id"])
        assert attempt is not None
        await self.house.node.attempts.settle(attempt)

    async def pay(self, _owner: str, booking_id: str) -> None:
        method = self.chance.choice(["counter", "demo", "stripe"])
        await process(self.house, "staff", booking_id, method=method)

    async def sell(self, _owner: str, _booking_id: str) -> None:
        """One seat, for cash or by the terminal."""
        await self.house.till("staff")
        held = await self.house.hold("staff", self.showtime_id, f"B{self.chance.randint(1, 8)}")
        if held.status == 201:
            tender = self.chance.choice(["cash", "terminal"])
            body = {
                "showtime_id": self.showtime_id,
                "hold_id": held.data["hold_id"],
                "payment": {"method": "counter", "tender": tender},
            }
            sold = await self.house.ask("staff", "POST", "bookings", body)
            self.made.append(("staff", sold.data["id"]))

    async def pay_out(self, _owner: str, _booking_id: str) -> None:
        """Hand one refund out, as a double click."""
        waiting = await self.house.ask("staff", "GET", "payments/refunds?status=at_counter")
        if waiting.data:
            path = f"payments/refunds/{self.chance.choice(waiting.data)['id']}/pay-out"
            how = {"tender": self.chance.choice(["cash", "terminal"])}
            await asyncio.gather(*(self.house.ask("staff", "POST", path, how) for _ in range(2)))

    async def pay_all_out(self) -> None:
        """By the terminal: there may be too little cash."""
        await self.house.till("staff")
        waiting = await self.house.ask("staff", "GET", "payments/refunds?status=at_counter")
        for one in waiting.data:
            path = f"payments/refunds/{one['id']}/pay-out"
            paid = await self.house.ask("staff", "POST", path, {"tender": "terminal"})
            assert paid.status == 200, paid

    async def cancel(self, owner: str, booking_id: str) -> None:
        seats = (await get(self.house, owner, f"bookings/{booking_id}"))["seats"]
        part = f"?seats={seats[0]['label']}" if seats and self.chance.random() < 0.5 else ""
        await self.house.ask(owner, "DELETE", f"bookings/{booking_id}{part}")

    async def goodwill(self, _owner: str, booking_id: str) -> None:
        amount = self.chance.choice([1, 300, 1000])
        await _refund(self.house, "manager", booking_id, amount=amount)

    async def wait(self, _owner: str, _booking_id: str) -> None:
        self.clocks.ahead_s += self.chance.choice([300, 700])
        await give_up(self.house, self.clocks, self.database)

    async def all_at_once(self, owner: str, booking_id: str) -> None:
        await asyncio.gather(
            self.house.ask(owner, "DELETE", f"bookings/{booking_id}"),
            _refund(self.house, "manager", booking_id, amount=500),
            self.tell(owner, booking_id),
        )


@pytest.mark.parametrize("seed", range(3))
async def test_money_balances_after_every_step_of_random_histories(
    house: House, bank: Bank, clocks: Clocks, database: str, seed: int
) -> None:
    life = _Life(house, bank, clocks, database, random.Random(seed))
    await life.begin()
    for _ in range(40):
        await life.step()
        assert await faults_of(house) == []
    await _settled(house)
    await life.pay_all_out()
    assert await faults_of(house) == []
    told = await house.database.fetch(
        "select r.id::text, r.amount_minor from refunds r join payments p on p.id = r.payment_id "
        "where p.method = 'stripe' and r.status = 'succeeded'"
    )
    assert {row["id"]: ("succeeded", row["amount_minor"]) for row in told} == bank.refunds
    owed = await house.database.fetch(
        "select booking_id from ledger_lines where account = 'customer' and booking_id is not null "
        "group by booking_id having sum(amount) <> 0"
    )
    assert owed == []
