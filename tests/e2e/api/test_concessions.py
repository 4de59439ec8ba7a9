"""Products in the same booking: sold, taxed, invoiced, handed out once, given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio

from cinema.domain.pricing.amounts import included_tax
from cinema.domain.rejections import Refused
from cinema.domain.times import from_us
from cinema.features.concessions.store import UNDER_WAY, ConcessionsRepository
from tests.e2e.api.bank import Bank
from tests.e2e.api.billing import documents_of, invoice_of
from tests.e2e.api.gift_cards import accounts
from tests.e2e.api.house import BASE_PRICE, UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import get, process
from tests.e2e.api.showtimes import cancel as cancel_showtime
from tests.e2e.api.showtimes import ended

pytestmark = pytest.mark.asyncio(loop_scope="function")

SEVERAL = 6
PRICE: int = BASE_PRICE["amount"]
POPCORN = {"name": "Popcorn", "price": 650, "tax": "standard", "category": "popcorn"}
WATER = {"name": "Water", "price": 333, "tax": "reduced", "names": {"de": "Wasser"}}


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, bank: Bank) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks) as house:
        house.node.attempts.methods.add(bank)
        await settings(house, tax_rates={"standard": 1900, "reduced": 700})
        yield house


async def settings(house: House, **changes: Any) -> None:
    """Change settings of the cinema."""
    path = f"cinemas/{house.cinema_id}/settings"
    known = (await house.ask("admin", "GET", path)).data
    head = {"If-Match": f'"{known["version"]}"'}
    wanted = {**known["settings"], **changes}
    assert (await house.ask("admin", "PUT", path, wanted, headers=head)).status == 200


async def product(house: House, **fields: Any) -> str:
    """The id of a new product."""
    body = {"cinema_id": house.cinema_id, **fields}
    added = await house.ask("manager", "POST", "concessions", body)
    assert added.status == 201, added
    return str(added.data["id"])


async def book(
    house: House,
    showtime_id: str,
    seats: tuple[str, ...],
    products: dict[str, int],
    *,
    person: str = "ada",
    key: str | None = None,
    **more: Any,
) -> Answer:
    """An attempt to book seats with products."""
    hold_id = await house.held(person, showtime_id, *seats)
    return await book_hold(house, showtime_id, hold_id, products, person=person, key=key, **more)


async def book_hold(
    house: House,
    showtime_id: str,
    hold_id: str,
    products: dict[str, int],
    *,
    person: str = "ada",
    key: str | None = None,
    **more: Any,
) -> Answer:
    """An attempt to book a hold with products."""
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "demo"},
        "concessions": [{"product_id": one, "quantity": many} for one, many in products.items()],
        **more,
    }
    return await house.ask(person, "POST", "bookings", body, key=key)


async def pick_up(house: House, code: str, *, by: str = "staff", key: str | None = None) -> Answer:
    """An attempt to hand out what a code is for."""
    body = {"cinema_id": house.cinema_id, "code": code}
    return await house.ask(by, "POST", "concessions/pick-up", body, key=key)


async def test_managers_write_products_and_customers_see_what_is_on_sale(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    body = {"cinema_id": house.cinema_id, **WATER}
    first = await house.ask("manager", "POST", "concessions", body, key="once")
    again = await house.ask("manager", "POST", "concessions", body, key="once")
    assert (first.status, again.data) == (201, first.data)
    path = f"cinemas/{house.cinema_id}/concessions"
    shown = (await house.ask(None, "GET", path)).data
    assert [(one["name"], one["price"]["amount"]) for one in shown] == [
        ("Water", 333),
        ("Popcorn", 650),
    ]
    assert shown[0]["names"] == {"de": "Wasser"}

    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for hidden in (
        {"active": False},
        {"on_sale_from": later},
        {"on_sale_until": "2020-01-01T00:00:00Z"},
    ):
        known = await house.ask("staff", "GET", f"concessions/{popcorn}")
        head = {"If-Match": known.headers["ETag"]}
        changed = await house.ask(
            "manager", "PUT", f"concessions/{popcorn}", {**POPCORN, **hidden}, headers=head
        )
        assert changed.status == 200, changed
        assert [one["name"] for one in (await house.ask(None, "GET", path)).data] == ["Water"]
    stale = await house.ask(
        "manager", "PUT", f"concessions/{popcorn}", POPCORN, headers={"If-Match": '"1"'}
    )
    assert stale.error[1] == "PRECONDITION_FAILED"
    blind = await house.ask("manager", "PUT", f"concessions/{popcorn}", POPCORN)
    assert blind.error[1] == "PRECONDITION_REQUIRED"
    assert len(await get(house, "staff", f"concessions?cinema_id={house.cinema_id}")) == 2
    head = {"If-Match": '"4"'}
    gone = await house.ask("manager", "DELETE", f"concessions/{popcorn}", headers=head, key="bye")
    told = await house.ask("manager", "DELETE", f"concessions/{popcorn}", headers=head, key="bye")
    assert (gone.status, told.data) == (200, gone.data)
    assert (await house.ask("manager", "GET", f"concessions/{popcorn}")).error[1] == "NOT_FOUND"
    lost = await house.ask("manager", "DELETE", f"concessions/{popcorn}", headers=head)
    assert lost.error[1] == "NOT_FOUND"
    audited = await house.database.fetch(
        "select action from audit_log where target_id = $1 order by at, id", popcorn
    )
    assert [row["action"] for row in audited] == [
        "product_added",
        *["product_changed"] * 3,
        "product_deleted",
    ]


async def test_products_that_cannot_be_sold_are_refused(house: House) -> None:
    async def refused(person: str = "manager", **fields: Any) -> str:
        body = {"cinema_id": house.cinema_id, **POPCORN, **fields}
        return (await house.ask(person, "POST", "concessions", body)).error[1]

    assert await refused(tax="luxury") == "VALIDATION_ERROR"
    assert await refused(price=-1) == "VALIDATION_ERROR"
    window = {"on_sale_from": "2026-02-01T00:00:00Z", "on_sale_until": "2026-01-01T00:00:00Z"}
    assert await refused(**window) == "VALIDATION_ERROR"
    assert await refused("admin", cinema_id=UNKNOWN_ID) == "UNKNOWN_REFERENCE"
    assert await refused("manager elsewhere") == "FORBIDDEN"
    path = f"cinemas/{UNKNOWN_ID}"
    assert (await house.ask(None, "GET", f"{path}/concessions")).error[1] == "NOT_FOUND"
    assert (await house.ask("admin", "GET", f"{path}/pick-ups")).error[1] == "NOT_FOUND"
    await house.database.execute(
        "insert into concession_products (id, cinema_id, product, currency, created_at)"
        ' select gen_random_uuid(), $1, \'{"name": "x", "price": 1}\', \'EUR\', now()'
        " from generate_series(1, 500)",
        house.cinema_id,
    )
    assert await refused() == "PRODUCT_LIMIT"


async def test_a_booking_with_products_is_one_sum_with_its_taxes(house: House) -> None:
    popcorn, water = await product(house, **POPCORN), await product(house, **WATER)
    showtime_id = await house.showtime()
    wanted = [{"product_id": popcorn, "quantity": 2}, {"product_id": water, "quantity": 1}]
    body = {"showtime_id": showtime_id, "seats": ["A1", "A2"], "concessions": wanted}
    quote = (await house.ask(None, "POST", "pricing/calculate", body)).data
    tickets, gross = 2 * PRICE, 2 * 650
    assert quote["total"]["amount"] == tickets + gross + 333
    assert [
        (one["product_id"], one["quantity"], one["amount"]["amount"], one["tax"]["amount"])
        for one in quote["concessions"]
    ] == [
        (popcorn, 2, gross, included_tax(gross, 1900)),
        (water, 1, 333, included_tax(333, 700)),
    ]
    made = (await book(house, showtime_id, ("A1", "A2"), {popcorn: 2, water: 1})).data
    assert made["total"]["amount"] == quote["total"]["amount"]
    assert made["payment"]["amount"] == made["total"]
    lines = {(one["kind"], one["name"]): one for one in made["lines"]}
    assert set(lines) == {
        ("product", "Popcorn"),
        ("product", "Water"),
        ("tax", "standard"),
        ("tax", "reduced"),
    }
    assert lines["product", "Popcorn"]["code"] == popcorn
    assert lines["tax", "standard"]["gross"]["amount"] == gross
    code = made["pick_up"]["code"]
    assert len(code) == 5
    assert made == await get(house, "ada", f"bookings/{made['id']}")

    tax = included_tax(gross, 1900) + included_tax(333, 700)
    total = made["total"]["amount"]
    assert await accounts(house, made["id"]) == {
        "demo": total,
        "tax": -tax,
        "deferred": tax - total,
    }
    invoice = await invoice_of(house, "ada", made["payment"]["id"])
    assert [(one["kind"], one["name"], one["gross"]["amount"]) for one in invoice["lines"]] == [
        ("seat", "", PRICE),
        ("seat", "", PRICE),
        ("product", "2 × Popcorn", gross),
        ("product", "1 × Water", 333),
    ]
    assert (invoice["total"]["amount"], invoice["tax"]["amount"]) == (total, tax)
    assert [one["rate"] for one in invoice["lines"]] == [0, 0, 1900, 700]
    assert await faults_of(house) == []


async def test_prices_of_products_are_those_of_the_booking_and_stay(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1",), {popcorn: 1})).data
    head = {"If-Match": '"1"'}
    dearer = {**POPCORN, "price": 999, "name": "Corn"}
    assert (
        await house.ask("manager", "PUT", f"concessions/{popcorn}", dearer, headers=head)
    ).status == 200
    assert made == await get(house, "ada", f"bookings/{made['id']}")
    again = (await book(house, showtime_id, ("A2",), {popcorn: 1})).data
    assert again["total"]["amount"] == PRICE + 999


async def test_products_of_elsewhere_or_not_on_sale_are_not_booked_and_cost_no_hold(
    house: House,
) -> None:
    popcorn, other = await product(house, **POPCORN), await product(house, **POPCORN, active=False)
    foreign = await product(house, **WATER)
    await house.database.execute(
        "update concession_products set currency = 'JPY' where id = $1", foreign
    )
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    for wrong in (other, foreign, UNKNOWN_ID):
        refused = await book_hold(house, showtime_id, hold_id, {popcorn: 1, wrong: 1})
        assert refused.error == (422, "UNKNOWN_PRODUCT")
        assert refused.details == {"products": [wrong]}
    twice = [{"product_id": popcorn}, {"product_id": popcorn}]
    refused = await book_hold(house, showtime_id, hold_id, {}, concessions=twice)
    assert refused.error[1] == "VALIDATION_ERROR"
    many = await book_hold(house, showtime_id, hold_id, {popcorn: 51})
    assert many.error[1] == "VALIDATION_ERROR"
    assert await house.database.fetchval("select count(*) from concession_orders") == 0
    assert (await book_hold(house, showtime_id, hold_id, {popcorn: 50})).status == 201


async def test_a_repeated_booking_has_one_code_and_one_sum(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    answers = await asyncio.gather(
        *(book_hold(house, showtime_id, hold_id, {popcorn: 1}, key="once") for _ in range(SEVERAL))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({str(answer.data) for answer in answers}) == 1
    assert await house.database.fetchval("select count(*) from concession_orders") == 1
    other = await book_hold(house, showtime_id, hold_id, {popcorn: 2}, key="once")
    assert other.error[1] == "IDEMPOTENCY_MISMATCH"
    assert await house.database.fetchval("select count(*) from concession_orders") == 1


async def test_discounts_do_not_touch_products(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    promo = {
        "code": "FREEBIE",
        "discount": {"kind": "percent", "value": 10_000},
        "cinema_ids": [house.cinema_id],
    }
    assert (await house.ask("manager", "POST", "pricing/promocodes", promo)).status == 201
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1",), {popcorn: 2}, promo_code="FREEBIE")).data
    assert (made["total"]["amount"], made["payment"]["method"]) == (1300, "demo")
    assert made["seats"][0]["price"]["amount"] == 0


async def test_what_is_handed_out_is_handed_out_once(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1",), {popcorn: 2})).data
    code, shown = made["pick_up"]["code"], await get(house, None, f"showtimes/{showtime_id}")
    cinema = await get(house, None, f"cinemas/{house.cinema_id}")
    starts_at = datetime.fromisoformat(shown["starts_at"])
    date = starts_at.astimezone(ZoneInfo(cinema["time_zone"])).date()
    path = f"cinemas/{house.cinema_id}/pick-ups?date={date}"
    (listed,) = await get(house, "staff", path)
    assert (listed["code"], listed["booking_id"], listed["status"]) == (code, made["id"], "open")
    assert listed["items"] == [{"product_id": popcorn, "name": "Popcorn", "quantity": 2}]
    assert await get(house, "staff", f"cinemas/{house.cinema_id}/pick-ups") == []

    answers = await asyncio.gather(
        *(pick_up(house, f" {code.lower()} ", by=who) for who in ("staff", "manager") * 3)
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    handed = next(answer.data for answer in answers if answer.status == 200)
    assert handed["status"] == "picked_up"
    late = await pick_up(house, code)
    assert late.error[1] == "ALREADY_PICKED_UP"
    assert datetime.fromisoformat(late.details["picked_up_at"]) == datetime.fromisoformat(
        handed["picked_up_at"]
    )
    assert await get(house, "staff", path) == []
    seen = await get(house, "ada", f"bookings/{made['id']}")
    assert seen["pick_up"] == {"code": code, "picked_up_at": handed["picked_up_at"]}
    assert (await pick_up(house, "NONE")).error[1] == "NOT_FOUND"
    assert (await pick_up(house, code, by="staff elsewhere")).error[1] == "FORBIDDEN"
    audited = await house.database.fetchval(
        "select count(*) from audit_log where action = 'concessions_picked_up'"
    )
    assert audited == 1

    other = (await book(house, showtime_id, ("A2",), {popcorn: 1})).data["pick_up"]["code"]
    first, again = [await pick_up(house, other, key="once") for _ in range(2)]
    assert (first.status, again.data) == (200, first.data)


async def test_what_is_not_paid_or_was_cancelled_is_not_handed_out(
    house: House, bank: Bank
) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (
        await book(house, showtime_id, ("A1",), {popcorn: 1}, payment={"method": "stripe"})
    ).data
    code = made["pick_up"]["code"]
    assert (made["status"], made["total"]["amount"]) == ("pending", PRICE + 650)
    assert (await pick_up(house, code)).error[1] == "PAYMENT_IN_PROGRESS"
    bank.pay(made)
    paid = (await process(house, "ada", made["id"], method="stripe")).data
    assert (paid["status"], paid["payment"]["amount"]["amount"]) == ("confirmed", PRICE + 650)
    tax = included_tax(650, 1900)
    assert await accounts(house, made["id"]) == {
        "stripe": PRICE + 650,
        "tax": -tax,
        "deferred": tax - PRICE - 650,
    }
    gone = (await house.ask("ada", "DELETE", f"bookings/{made['id']}")).data
    assert gone["payment"]["refunded"]["amount"] == PRICE + 650
    assert gone["pick_up"]["code"] == code
    assert (await pick_up(house, code)).error[1] == "BOOKING_ENDED"


async def test_products_go_back_with_the_whole_booking_unless_they_were_handed_out(
    house: House,
) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1", "A2"), {popcorn: 2})).data
    path = f"bookings/{made['id']}"
    part = await get(house, "ada", f"{path}/refund-quote?seats=A1")
    assert part["refund"]["amount"] == PRICE
    left = (await house.ask("ada", "DELETE", f"{path}?seats=A1")).data
    assert (left["status"], left["total"]["amount"]) == ("confirmed", PRICE + 1300)
    quote = await get(house, "ada", f"{path}/refund-quote")
    assert quote["refund"]["amount"] == PRICE + 1300
    whole = (await house.ask("ada", "DELETE", path, key="all")).data
    assert whole["payment"]["refunded"]["amount"] == 2 * PRICE + 1300
    again = (await house.ask("ada", "DELETE", path, key="all")).data
    assert again == whole
    assert await accounts(house, made["id"]) == {}
    *_, note, rest = await documents_of(house, "staff", made["id"], 3)
    assert (note["total"]["amount"], rest["total"]["amount"]) == (PRICE, PRICE + 1300)
    assert [(one["kind"], one["gross"]["amount"]) for one in rest["lines"]] == [
        ("seat", PRICE),
        ("product", 1300),
    ]

    eaten = (await book(house, showtime_id, ("B1",), {popcorn: 2})).data
    price = eaten["seats"][0]["price"]["amount"]
    assert (await pick_up(house, eaten["pick_up"]["code"])).status == 200
    path = f"bookings/{eaten['id']}"
    assert (await get(house, "ada", f"{path}/refund-quote"))["refund"]["amount"] == price
    amount = {"amount": price + 1, "currency": "EUR"}
    more = {"booking_id": eaten["id"], "reason": "Asked for.", "amount": amount}
    refused = await house.ask("staff", "POST", "payments/refund", more)
    assert refused.error[1] == "FORBIDDEN"
    gone = (await house.ask("ada", "DELETE", path)).data
    assert gone["payment"]["refunded"]["amount"] == price
    beyond = {**more, "amount": {"amount": 1300, "currency": "EUR"}}
    given = await house.ask("manager", "POST", "payments/refund", beyond)
    assert given.data["payment"]["refunded"]["amount"] == price + 1300
    assert await faults_of(house) == []


async def test_products_go_back_by_the_policy(house: House) -> None:
    await settings(house, refund_policy=[{"hours_before": 1, "percent": 50}])
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1",), {popcorn: 1})).data
    quote = await get(house, "ada", f"bookings/{made['id']}/refund-quote")
    half = (PRICE + 650) // 2
    assert [quote[name]["amount"] for name in ("price", "refund", "kept")] == [2 * half, half, half]
    gone = (await house.ask("ada", "DELETE", f"bookings/{made['id']}")).data
    assert gone["payment"]["refunded"]["amount"] == half
    await invoice_of(house, "ada", made["payment"]["id"])
    assert await faults_of(house) == []


async def test_a_cancelled_showtime_gives_back_what_was_not_handed_out(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    kept = (await book(house, showtime_id, ("A1",), {popcorn: 1})).data
    eaten = (await book(house, showtime_id, ("A2",), {popcorn: 1})).data
    assert (await pick_up(house, eaten["pick_up"]["code"])).status == 200
    cancelled = await cancel_showtime(house, showtime_id)
    await ended(house, cancelled.data["job_id"])
    back = [
        (await get(house, "ada", f"bookings/{one['id']}"))["payment"]["refunded"]["amount"]
        for one in (kept, eaten)
    ]
    assert back == [PRICE + 650, PRICE]
    assert (await pick_up(house, kept["pick_up"]["code"])).error[1] == "BOOKING_ENDED"
    assert await faults_of(house) == []


async def test_nothing_is_handed_out_while_a_cancellation_is_under_way(
    house: House, clocks: Clocks
) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1", "A2"), {popcorn: 1})).data
    booking_id, code = UUID(made["id"]), made["pick_up"]["code"]
    async with asyncpg.create_pool(house.address, min_size=1, max_size=1) as pool:
        orders = ConcessionsRepository(pool)
        now = from_us(house.node.kernel.clock.now_us())
        assert await orders.keep(booking_id, b"one", now) == "kept"
        assert await orders.keep(booking_id, b"one", now) == "kept"
        with pytest.raises(Refused, match="RETRY"):
            await orders.keep(booking_id, b"two", now)
        assert (await pick_up(house, code)).error[1] == "RETRY"
        assert (await house.ask("ada", "DELETE", f"bookings/{made['id']}")).error[1] == "RETRY"
        await orders.release(booking_id, b"two")
        assert (await pick_up(house, code)).error[1] == "RETRY"
        # Who has kept it has died, and no command can be under way for so long.
        await house.database.execute(
            "update concession_orders set kept_at = kept_at - $1::interval",
            UNDER_WAY + timedelta(seconds=1),
        )
        assert await orders.keep(booking_id, b"two", now) == "kept"
        await orders.release(booking_id, b"two")
        # A part is given back, and a wrong one is not: both let go of the products.
        part = await house.ask("ada", "DELETE", f"bookings/{made['id']}?seats=A2")
        assert part.status == 200
        wrong = await house.ask("ada", "DELETE", f"bookings/{made['id']}?seats=A2")
        assert wrong.error[1] == "SEAT_NOT_INCLUDED"
        assert (await pick_up(house, code)).status == 200
        assert await orders.keep(booking_id, b"three", now) == "picked_up"
        assert await orders.keep(UUID(UNKNOWN_ID), b"three", now) == "ended"
        await house.database.execute("delete from concession_orders")
        assert await orders.keep(booking_id, b"three", now) == "kept"


async def test_codes_of_bookings_that_never_came_are_forgotten(house: House) -> None:
    popcorn = await product(house, **POPCORN)
    showtime_id = await house.showtime()
    made = (await book(house, showtime_id, ("A1",), {popcorn: 1})).data
    async with asyncpg.create_pool(house.address, min_size=1, max_size=1) as pool:
        orders = ConcessionsRepository(pool)
        now = from_us(house.node.kernel.clock.now_us())
        cinema_id, taken = UUID(house.cinema_id), made["pick_up"]["code"]
        codes = iter([taken, taken, "NEW22"])
        lost = UUID(UNKNOWN_ID)
        assert await orders.reserve(lost, cinema_id, lambda: next(codes), now) == "NEW22"
        with pytest.raises(Refused, match="RETRY"):
            await orders.reserve(UUID(int=7), cinema_id, lambda: taken, now)
        assert await orders.forget(now, 10) == 0
        assert await orders.forget(now + UNDER_WAY + timedelta(seconds=1), 10) == 1
        assert await orders.pick_up_of(lost) is None
        # What was sold stays, whatever is given back.
        await orders.give_back(UUID(made["id"]))
        assert await orders.pick_up_of(UUID(made["id"])) is not None


class Player:
    """Sells, gives back and hands out at random, and works out naively what that should come to."""

    def __init__(self, house: House, chance: Random, prices: dict[str, int]) -> None:
        self.house, self.chance, self.prices = house, chance, prices
        self.showtime_id = ""
        self.free = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 13)]
        self.seats: dict[str, dict[str, int]] = {}
        self.goods: dict[str, int] = {}
        self.codes: dict[str, str] = {}
        self.paid = self.refunded = 0

    async def prepare(self) -> None:
        screen_id = await self.house.screen(grid={"rows": 6, "columns": 12})
        self.showtime_id = await self.house.showtime(
            screen_id=screen_id, live_holds_per_customer=100
        )

    async def step(self) -> None:
        other = [self.cancel_part, self.cancel, self.hand_out, self.race, self.race]
        steps = [self.sell] * 3 + (other if self.seats else [])
        await self.chance.choice(steps)()

    async def sell(self) -> None:
        seats = [self.free.pop() for _ in range(min(len(self.free), self.chance.randint(1, 3)))]
        wanted = {
            one: self.chance.randint(1, 3) for one in self.prices if self.chance.random() < 0.7
        }
        if not seats:
            return
        made = (await book(self.house, self.showtime_id, tuple(seats), wanted)).data
        cost = {one["label"]: one["price"]["amount"] for one in made["seats"]}
        goods = sum(self.prices[one] * many for one, many in wanted.items())
        assert made["total"]["amount"] == sum(cost.values()) + goods
        self.seats[made["id"]], self.goods[made["id"]] = cost, goods
        self.paid += made["total"]["amount"]
        if wanted:
            self.codes[made["id"]] = made["pick_up"]["code"]

    async def cancel_part(self) -> None:
        booking_id = self.chance.choice(list(self.seats))
        label = self.chance.choice(list(self.seats[booking_id]))
        await self.house.ask("ada", "DELETE", f"bookings/{booking_id}?seats={label}")
        self.refunded += self.seats[booking_id].pop(label)
        if not self.seats[booking_id]:
            self._ended(booking_id)

    async def cancel(self) -> None:
        booking_id = self.chance.choice(list(self.seats))
        await self.house.ask("ada", "DELETE", f"bookings/{booking_id}")
        self._ended(booking_id)

    async def hand_out(self) -> None:
        if self.codes:
            booking_id = self.chance.choice(list(self.codes))
            assert (await pick_up(self.house, self.codes.pop(booking_id))).status == 200

    async def race(self) -> None:
        """Both at once: either the goods or their money, never both."""
        if not self.codes:
            return
        booking_id = self.chance.choice(list(self.codes))
        handed, gone = await asyncio.gather(
            pick_up(self.house, self.codes[booking_id]),
            self.house.ask("ada", "DELETE", f"bookings/{booking_id}"),
        )
        if handed.status == 200:
            del self.codes[booking_id]
        else:
            assert handed.error[1] in {"RETRY", "BOOKING_ENDED"}
        if gone.status == 200:
            self._ended(booking_id)
        else:
            assert gone.error[1] == "RETRY"

    def _ended(self, booking_id: str) -> None:
        self.refunded += sum(self.seats.pop(booking_id).values())
        if self.codes.pop(booking_id, None) is not None:
            self.refunded += self.goods[booking_id]


@pytest.mark.parametrize("seed", range(3))
async def test_random_bookings_with_products_keep_money_and_goods_together(
    house: House, seed: int
) -> None:
    prices = {await product(house, **POPCORN): 650, await product(house, **WATER): 333}
    player = Player(house, Random(seed), prices)
    await player.prepare()
    for _ in range(40):
        await player.step()
    rows = await house.database.fetchrow(
        "select sum(amount_minor)::bigint as paid, sum(refunded_minor)::bigint as refunded"
        " from payments"
    )
    assert (rows["paid"], rows["refunded"]) == (player.paid, player.refunded)
    assert player.refunded
    assert (await accounts(house)).get("demo", 0) == player.paid - player.refunded
    assert await faults_of(house) == []
