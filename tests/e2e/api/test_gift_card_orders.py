"""Gift cards that customers buy by themselves: paid, sent, seen, given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from cinema.features.accounts.erasure_store import ErasureRepository
from cinema.features.giftcards.order_store import CardOrdersRepository
from cinema.features.giftcards.personal_store import GiftCardFacts
from tests.e2e.api.card_orders import order, sent, text_to, until
from tests.e2e.api.gift_cards import accounts, book_by_card, left
from tests.e2e.api.house import UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.paying import get

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    return tmp_path / "mailbox"


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str, clocks: Clocks, mailbox: Path) -> AsyncIterator[House]:
    async with open_house(database, clocks=clocks, data_dir=mailbox.parent) as house:
        token = house.token
        # Time passes; nobody has to sign in again.
        house.token = lambda person, **_: token(person, at_s=clocks.now_s())  # type: ignore[method-assign]
        yield house


async def no_post(*_: Any, **__: Any) -> None:
    """Sends nothing."""


async def give_back(house: House, order_id: str, by: str = "ada") -> Any:
    return await house.ask(by, "DELETE", f"gift-cards/orders/{order_id}")


# --- bought


async def test_a_card_is_bought_sent_and_pays_a_booking(house: House, mailbox: Path) -> None:
    made = await order(house, 2500, sender_name="Ada", message="All the best,\nyours")
    assert made.status == 201, made
    bought = made.data
    assert (bought["status"], bought["payment"]) == (
        "paid",
        {"method": "demo", "status": "succeeded"},
    )
    card_of_it = bought["card"]
    assert card_of_it["balance"] == {"amount": 2500, "currency": "EUR"}
    assert card_of_it["code"].endswith(card_of_it["last_four"])
    assert await accounts(house) == {"demo": 2500, "gift_cards": -2500}
    assert await left(house, card_of_it["id"]) == 2500

    await until(house, "select delivered_at is not null from gift_card_orders")
    letter = (await text_to(house, mailbox, "grace@example.com")).replace("\r\n", "\n")
    assert card_of_it["code"] in letter
    assert "Ada gives you" in letter
    assert "All the best,\nyours" in letter
    email = await house.database.fetchval(
        "select email from users where id = $1", house.people["ada"]
    )
    receipt = await text_to(house, mailbox, email)
    assert "25.00 EUR" in receipt
    assert bought["id"] in receipt
    assert card_of_it["code"] not in receipt

    showtime_id = await house.showtime()
    hold_id = await house.held("bob", showtime_id, "A1")
    booked = await book_by_card(house, "bob", showtime_id, hold_id, card_of_it["code"])
    assert booked.data["status"] == "confirmed"
    seen = await get(house, "ada", f"gift-cards/orders/{bought['id']}")
    assert seen["card"]["balance"]["amount"] == 1500
    assert await left(house, card_of_it["id"]) == 1500


async def test_nobody_but_the_buyer_sees_the_code(house: House) -> None:
    bought = (await order(house)).data
    path = f"gift-cards/orders/{bought['id']}"
    assert (await get(house, "ada", path))["card"]["code"] == bought["card"]["code"]
    for person in ("manager", "admin"):
        seen = await get(house, person, path)
        assert (seen["id"], seen["card"]["code"]) == (bought["id"], None)
    for person in ("bob", "staff", "staff elsewhere", "manager elsewhere"):
        assert (await house.ask(person, "GET", path)).error == (404, "NOT_FOUND"), person
    code = bought["card"]["code"].replace("-", "")
    for kept in (
        "select string_agg(c::text, '') from gift_cards c",
        "select string_agg(o::text, '') from gift_card_orders o",
        "select string_agg(a::text, '') from audit_log a",
        "select string_agg(m::text, '') from messages m",
    ):
        text = await house.database.fetchval(kept) or ""
        assert code not in text
        assert bought["card"]["code"] not in text


async def test_a_repeated_request_buys_one_card(house: House) -> None:
    answers = await asyncio.gather(*(order(house, key="one") for _ in range(3)))
    again = await order(house, key="one")
    assert {one.status for one in [*answers, again]} == {201}, answers
    assert len({one.data["card"]["code"] for one in [*answers, again]}) == 1
    assert await house.database.fetchval("select count(*) from gift_cards") == 1
    assert await accounts(house) == {"demo": 5000, "gift_cards": -5000}
    other = await order(house, 7000, key="one")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_an_order_says_what_is_wrong_with_it(house: House) -> None:
    today = datetime.now(UTC).date()
    wrong = {
        "$.amount.currency": {"currency": "JPY"},
        "$.amount.amount": {"amount": 499},
        "$.recipient.email": {"recipient": {"email": "nobody"}},
        "$.recipient.name": {"recipient": {"email": "a@example.com", "name": "a\u202eb"}},
        "$.message": {"message": "x" * 501},
        "$.deliver_on": {"deliver_on": str(today - timedelta(days=2))},
    }
    for path, change in wrong.items():
        answer = await order(house, **change)
        assert answer.error == (400, "VALIDATION_ERROR"), path
        assert answer.details["path"] == path
    too_far = await order(house, deliver_on=str(today + timedelta(days=400)))
    assert too_far.details["path"] == "$.deliver_on"
    assert (await order(house, 50_001)).details["path"] == "$.amount.amount"
    assert (await order(house, 50_000)).status == 201
    nowhere = await order(house, cinema_id=UNKNOWN_ID)
    assert nowhere.error == (422, "UNKNOWN_REFERENCE")
    other = await order(house, payment={"method": "stripe"})
    assert other.error == (422, "UNKNOWN_PAYMENT_METHOD"), "there is no key for it here"
    assert await house.database.fetchval("select count(*) from gift_cards") == 1


async def test_orders_are_counted_by_account_and_by_address(database: str) -> None:
    async with open_house(database, gift_card_orders_per_hour=2) as house:
        answers = [await order(house) for _ in range(3)]
        assert [one.status for one in answers] == [201, 201, 429]
        assert "Retry-After" in answers[-1].headers
        assert (await order(house, by="bob")).error == (429, "RATE_LIMITED"), "the same address"


async def test_lists_have_ones_own_orders_and_for_managers_those_of_their_cinema(
    house: House,
) -> None:
    first, second = [(await order(house)).data["id"] for _ in range(2)]
    by_bob = (await order(house, by="bob")).data["id"]
    assert [one["id"] for one in await get(house, "ada", "gift-cards/orders")] == [second, first]
    page = await house.ask("ada", "GET", "gift-cards/orders?limit=1")
    assert [one["id"] for one in page.data] == [second]
    cursor = page.envelope["meta"]["next_cursor"]
    rest = await house.ask("ada", "GET", f"gift-cards/orders?limit=1&cursor={cursor}")
    assert [one["id"] for one in rest.data] == [first]
    at_cinema = f"gift-cards/orders?cinema_id={house.cinema_id}"
    seen = await get(house, "manager", at_cinema)
    assert [one["id"] for one in seen] == [by_bob, second, first]
    assert {one["card"]["code"] for one in seen} == {None}
    assert await get(house, "manager", f"{at_cinema}&status=refund_failed") == []
    for person in ("ada", "staff", "manager elsewhere"):
        assert (await house.ask(person, "GET", at_cinema)).error == (403, "FORBIDDEN"), person


# --- sent


async def test_a_card_is_sent_on_its_day_once(house: House, clocks: Clocks) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    bought = (await order(house, deliver_on=str(day))).data
    assert bought["deliver_at"].startswith(str(day))
    assert bought["card"]["code"], "the buyer has it at once"
    assert await sent(house) == 0
    clocks.ahead_s += timedelta(days=4).total_seconds()
    await until(house, "select delivered_at is not null from gift_card_orders")
    assert await sent(house) == 1
    seen = await get(house, "ada", f"gift-cards/orders/{bought['id']}")
    assert seen["delivered_at"] is not None
    due = await house.database.fetchval("select due_at from gift_card_orders")
    assert due is None, "nothing is left to do"


async def test_a_card_that_was_given_back_is_not_sent(house: House, clocks: Clocks) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    bought = (await order(house, deliver_on=str(day))).data
    assert (await give_back(house, bought["id"])).data["status"] == "refunded"
    clocks.ahead_s += timedelta(days=4).total_seconds()
    other = (await order(house)).data
    await until(
        house, "select delivered_at is not null from gift_card_orders where id = $1", other["id"]
    )
    assert await sent(house) == 1


# --- given back


async def test_an_unused_card_is_given_back_for_all_of_its_money(house: House) -> None:
    bought = (await order(house)).data
    back = await give_back(house, bought["id"])
    assert back.status == 200, back
    assert (back.data["status"], back.data["card"]["status"]) == ("refunded", "disabled")
    assert back.data["card"]["code"] is None
    assert (await give_back(house, bought["id"])).data == back.data
    assert await accounts(house) == {}
    assert await left(house, bought["card"]["id"]) == 0
    showtime_id = await house.showtime()
    hold_id = await house.held("bob", showtime_id, "A1")
    used = await book_by_card(house, "bob", showtime_id, hold_id, bought["card"]["code"])
    assert used.error == (409, "GIFT_CARD_UNUSABLE")
    noted = await house.database.fetchval(
        "select count(*) from audit_log where action = 'gift_card_returned' and target_id = $1",
        bought["id"],
    )
    assert noted == 1


async def test_a_used_card_is_not_given_back(house: House) -> None:
    bought = (await order(house)).data
    showtime_id = await house.showtime()
    hold_id = await house.held("bob", showtime_id, "A1")
    assert (
        await book_by_card(house, "bob", showtime_id, hold_id, bought["card"]["code"])
    ).status == 201
    for person in ("ada", "manager"):
        refused = await give_back(house, bought["id"], person)
        assert refused.error == (409, "GIFT_CARD_NOT_RETURNABLE")
        assert refused.details == {"reason": "used"}
    assert (await accounts(house))["gift_cards"] == -4000


async def test_a_card_is_given_back_or_used_and_never_both(house: House) -> None:
    showtime_id = await house.showtime()
    for seat in ("A1", "A3", "A5"):
        bought = (await order(house, 1000)).data
        hold_id = await house.held("bob", showtime_id, seat)
        used, back = await asyncio.gather(
            book_by_card(house, "bob", showtime_id, hold_id, bought["card"]["code"]),
            give_back(house, bought["id"]),
        )
        was_used = used.status == 201 and used.data["status"] == "confirmed"
        assert was_used != (back.status == 200), (used, back)
        assert await left(house, bought["card"]["id"]) == 0
    assert "customer" not in await accounts(house)


async def test_after_two_weeks_only_managers_take_a_card_back(house: House, clocks: Clocks) -> None:
    bought = (await order(house)).data
    clocks.ahead_s += timedelta(days=15).total_seconds()
    late = await give_back(house, bought["id"])
    assert late.error == (409, "GIFT_CARD_NOT_RETURNABLE")
    assert late.details == {"reason": "too_late"}
    assert (await give_back(house, bought["id"], "manager elsewhere")).error == (404, "NOT_FOUND")
    assert (await give_back(house, bought["id"], "staff")).error == (404, "NOT_FOUND")
    assert (await give_back(house, bought["id"], "manager")).data["status"] == "refunded"


async def test_a_card_that_is_out_of_use_is_not_given_back(house: House) -> None:
    bought = (await order(house)).data
    await house.ask(
        "manager", "POST", f"gift-cards/{bought['card']['id']}/disable", {"reason": "Stolen."}
    )
    refused = await give_back(house, bought["id"])
    assert refused.error == (409, "GIFT_CARD_NOT_RETURNABLE")
    assert refused.details == {"reason": "disabled"}
    seen = await get(house, "ada", f"gift-cards/orders/{bought['id']}")
    assert (seen["card"]["status"], seen["card"]["code"]) == ("disabled", None)


# --- what is kept


async def test_texts_of_orders_are_forgotten_a_month_after_they_are_sent(
    house: House, database: str
) -> None:
    bought = (await order(house, message="Hello")).data
    await until(house, "select delivered_at is not null from gift_card_orders")
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        rows = CardOrdersRepository(pool, no_post)
        now = datetime.now(UTC) + timedelta(days=31)
        assert await rows.forget(now, 100) == 1
        assert await rows.forget(now, 100) == 0
    seen = await get(house, "ada", f"gift-cards/orders/{bought['id']}")
    assert (seen["recipient"], seen["message"]) == ({"email": "", "name": ""}, "")
    assert seen["card"]["code"] == bought["card"]["code"]


async def test_an_erased_account_leaves_no_texts_and_its_card_is_sent(
    house: House, database: str
) -> None:
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    waiting = (await order(house, deliver_on=str(day), message="Later")).data
    done = (await order(house, message="Now")).data
    delivered = "select delivered_at is not null from gift_card_orders where id = $1"
    await until(house, delivered, done["id"])
    ada, later = UUID(house.people["ada"]), datetime.now(UTC) + timedelta(seconds=1)
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        facts = [file async for file in GiftCardFacts(pool).disclose(ada)]
        (exported,) = [b"".join([piece async for piece in file.pieces]) for file in facts]
        assert {one["message"] for one in msgspec.json.decode(exported)} == {"Later", "Now"}
        assert waiting["card"]["code"].encode() not in exported
        await pool.execute("update users set erase_at = now() where id = $1", ada)
        erasure = ErasureRepository(pool, no_post, new_id=uuid4)
        for still_open in ("open", "refunding", "refund_failed"):
            status = "update gift_card_orders set status = $2, card_id = $3, due_at = null"
            values = (waiting["id"], still_open, None if still_open == "open" else card_id(waiting))
            await pool.execute(f"{status} where id = $1", *values)
            assert await erasure.erase_due(later, 10) == 0, still_open
        await pool.execute(
            "update gift_card_orders set status = 'paid', due_at = deliver_at where id = $1",
            waiting["id"],
        )
        assert await erasure.erase_due(later, 10) == 1
        await until(house, delivered, waiting["id"])
        assert await sent(house) == 2
        kept = await pool.fetch("select message from gift_card_orders where id = $1", done["id"])
        assert [row["message"] for row in kept] == [""]


def card_id(order: Any) -> UUID:
    return UUID(order["card"]["id"])
