"""Gift cards that are bought by card, through a node and a double of Stripe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from cinema.integrations.stripe.double.errors import ApiError
from cinema.integrations.stripe.double.faults import Fault
from tests.e2e.api.card_orders import due, order, until
from tests.e2e.api.card_shop import CardShop, open_card_shop
from tests.e2e.api.gift_cards import accounts, book_by_card, left
from tests.e2e.api.house import Clocks
from tests.e2e.api.paying import get

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="function")]

BY_CARD = {"method": "stripe"}


@pytest_asyncio.fixture(loop_scope="function")
async def shop(database: str, clocks: Clocks) -> AsyncIterator[CardShop]:
    async with open_card_shop(database, clocks=clocks) as shop:
        house = shop.house
        token = house.token
        # Time passes; nobody has to sign in again.
        house.token = lambda person, **_: token(person, at_s=clocks.now_s())  # type: ignore[method-assign]
        yield shop


async def ordered(shop: CardShop, amount: int = 5000) -> dict[str, Any]:
    """An order that waits for its payment."""
    answer = await order(shop.house, amount, payment=BY_CARD)
    assert answer.status == 201, answer
    assert (answer.data["status"], answer.data["card"]) == ("open", None)
    return dict(answer.data)


async def seen(shop: CardShop, bought: dict[str, Any]) -> dict[str, Any]:
    return dict(await get(shop.house, "ada", f"gift-cards/orders/{bought['id']}"))


async def until_status(shop: CardShop, bought: dict[str, Any], status: str) -> None:
    await until(
        shop.house, "select status = $2 from gift_card_orders where id = $1", bought["id"], status
    )


async def bought_by_card(shop: CardShop, amount: int = 5000) -> dict[str, Any]:
    """An order that is paid."""
    bought = await ordered(shop, amount)
    shop.pay(bought)
    await until_status(shop, bought, "paid")
    return await seen(shop, bought)


async def test_a_payment_by_card_makes_the_card_once(shop: CardShop) -> None:
    bought = await ordered(shop)
    intent = shop.intent_of(bought)
    assert (intent["amount"], intent["currency"]) == (5000, "eur")
    assert intent["metadata"] == {"gift_card_order_id": bought["id"]}
    again = await shop.house.ask("ada", "POST", f"gift-cards/orders/{bought['id']}/pay")
    assert again.data == bought, "the same intent"
    assert "client_secret" not in (await seen(shop, bought))["payment"]
    shop.double.deliveries.held = True
    shop.pay(bought)
    await shop.double.deliveries.release(backwards=True, times=3)
    await until_status(shop, bought, "paid")
    await shop.idle()
    paid = await seen(shop, bought)
    assert paid["payment"] == {"method": "stripe", "status": "succeeded"}
    assert await accounts(shop.house) == {"stripe": 5000, "gift_cards": -5000}
    assert await shop.house.database.fetchval("select count(*) from gift_cards") == 1
    showtime_id = await shop.house.showtime()
    hold_id = await shop.house.held("bob", showtime_id, "A1")
    used = await book_by_card(shop.house, "bob", showtime_id, hold_id, paid["card"]["code"])
    assert used.data["status"] == "confirmed"


async def test_a_declined_card_leaves_the_order_open_for_another(shop: CardShop) -> None:
    bought = await ordered(shop)
    with pytest.raises(ApiError, match="declined"):
        shop.pay(bought, "pm_card_visa_chargeDeclined")
    await shop.idle()
    asked = await seen(shop, bought)
    assert (asked["status"], asked["payment"]["error_code"]) == ("open", "generic_decline")
    shop.pay(bought)
    await until_status(shop, bought, "paid")
    assert "error_code" not in (await seen(shop, bought))["payment"]


async def test_a_customer_who_asks_before_the_webhook_comes_has_the_card(shop: CardShop) -> None:
    bought = await ordered(shop)
    shop.double.deliveries.held = True
    shop.pay(bought)
    paid = (await shop.house.ask("ada", "POST", f"gift-cards/orders/{bought['id']}/pay")).data
    assert (paid["status"], paid["card"]["status"]) == ("paid", "active")
    await shop.double.deliveries.release(times=2)
    await shop.idle()
    assert await accounts(shop.house) == {"stripe": 5000, "gift_cards": -5000}


async def test_a_payment_of_which_nobody_tells_is_found(shop: CardShop) -> None:
    bought = await ordered(shop)
    shop.double.deliveries.held = True
    shop.pay(bought)
    assert (await seen(shop, bought))["status"] == "open"
    await due(shop.house, bought["id"])
    await until_status(shop, bought, "paid")


async def test_a_payment_of_which_nobody_tells_is_made_good_when_days_are_compared(
    shop: CardShop,
) -> None:
    bought = await ordered(shop)
    shop.double.deliveries.held = True
    shop.pay(bought)
    created = datetime.fromtimestamp(shop.intent_of(bought)["created"], UTC)
    await shop.house.database.execute(
        "insert into stripe_tasks (kind, name, created_at, due_at) values ('day', $1, now(), now())"
        " on conflict (kind, name) do update set due_at = now(), ended_at = null",
        created.date().isoformat(),
    )
    await until_status(shop, bought, "paid")
    differences = "select count(*) from payment_differences"
    assert await shop.house.database.fetchval(differences) == 0


async def test_an_order_that_nobody_pays_is_given_up_with_its_intent(
    shop: CardShop, clocks: Clocks
) -> None:
    bought = await ordered(shop)
    clocks.ahead_s += timedelta(hours=1).total_seconds()
    await until_status(shop, bought, "cancelled")
    (intent,) = shop.account.intents.values()
    assert intent["status"] == "canceled"
    asked = await seen(shop, bought)
    assert asked["payment"]["status"] == "failed"
    late = await shop.house.ask("ada", "POST", f"gift-cards/orders/{bought['id']}/pay")
    assert late.data == asked


async def test_a_process_that_dies_before_it_has_the_intent_loses_no_payment(
    shop: CardShop,
) -> None:
    shop.double.faults.add(Fault(kind="lost", path="/v1/payment_intents", count=3))
    lost = await order(shop.house, payment=BY_CARD, key="one")
    assert lost.error == (503, "RETRY")
    again = await order(shop.house, payment=BY_CARD, key="one")
    assert again.status == 201
    assert len(shop.account.intents) == 1
    shop.pay(again.data)
    await until_status(shop, again.data, "paid")


async def test_an_open_order_is_given_up_by_its_buyer(shop: CardShop) -> None:
    bought = await ordered(shop)
    gone = await shop.house.ask("ada", "DELETE", f"gift-cards/orders/{bought['id']}")
    assert (gone.status, gone.data["status"]) == (200, "cancelled")
    (intent,) = shop.account.intents.values()
    assert intent["status"] == "canceled"


async def test_an_open_order_that_was_paid_is_given_back(shop: CardShop) -> None:
    bought = await ordered(shop)
    shop.double.deliveries.held = True
    shop.pay(bought)
    gone = await shop.house.ask("ada", "DELETE", f"gift-cards/orders/{bought['id']}")
    assert gone.status == 200
    await until_status(shop, bought, "refunded")
    await shop.double.deliveries.release(times=2)
    await shop.idle()
    assert await accounts(shop.house) == {}
    assert (await seen(shop, bought))["status"] == "refunded"


async def test_a_refund_goes_back_by_the_card_once(shop: CardShop) -> None:
    bought = await bought_by_card(shop)
    for _ in range(2):
        back = await shop.house.ask("ada", "DELETE", f"gift-cards/orders/{bought['id']}")
        assert back.status == 200, back
    await until_status(shop, bought, "refunded")
    (refund,) = shop.account.refunds.values()
    assert (refund["amount"], refund["metadata"]["gift_card_order_id"]) == (5000, bought["id"])
    assert await accounts(shop.house) == {}
    assert await left(shop.house, bought["card"]["id"]) == 0


async def test_a_refund_that_fails_later_waits_for_a_manager(shop: CardShop) -> None:
    bought = await bought_by_card(shop)
    path = f"gift-cards/orders/{bought['id']}"
    await shop.house.ask("ada", "DELETE", path)
    await until_status(shop, bought, "refunded")
    (refund,) = shop.account.refunds.values()
    shop.account.settle_refund(refund["id"], succeeded=False)
    await until_status(shop, bought, "refund_failed")
    assert await accounts(shop.house) == {"stripe": 5000, "customer": -5000}
    asked = await shop.house.ask("ada", "DELETE", path)
    assert asked.data["status"] == "refund_failed", "only managers ask again"
    failed = f"gift-cards/orders?cinema_id={shop.house.cinema_id}&status=refund_failed"
    assert [one["id"] for one in await get(shop.house, "manager", failed)] == [bought["id"]]
    await shop.house.ask("manager", "DELETE", path)
    await until_status(shop, bought, "refunded")
    await shop.idle()
    assert len(shop.account.refunds) == 2
    assert await accounts(shop.house) == {}


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_card_is_blocked_while_a_bank_decides_about_its_payment(
    shop: CardShop, outcome: str
) -> None:
    bought = await bought_by_card(shop)
    showtime_id = await shop.house.showtime()
    hold_id = await shop.house.held("bob", showtime_id, "A1")
    code = bought["card"]["code"]
    assert (await book_by_card(shop.house, "bob", showtime_id, hold_id, code)).status == 201
    (intent,) = shop.account.intents.values()
    dispute = shop.account.dispute(intent["id"])
    is_blocked = "select disabled_at is not null from gift_cards"
    await until(shop.house, is_blocked)
    await shop.idle()
    hold_id = await shop.house.held("bob", showtime_id, "B1")
    refused = await book_by_card(shop.house, "bob", showtime_id, hold_id, code)
    assert refused.error == (409, "GIFT_CARD_UNUSABLE")
    back = await shop.house.ask("ada", "DELETE", f"gift-cards/orders/{bought['id']}")
    assert back.error == (409, "GIFT_CARD_NOT_RETURNABLE")
    shop.account.close_dispute(dispute["id"], outcome)
    if outcome == "won":
        await until(shop.house, "select disabled_at is null from gift_cards")
        await shop.idle()
        assert await left(shop.house, bought["card"]["id"]) == 4000
        assert (await accounts(shop.house))["gift_cards"] == -4000
    else:
        await until_status(shop, bought, "charged_back")
        await shop.idle()
        assert await left(shop.house, bought["card"]["id"]) == 0
        ledger = await accounts(shop.house)
        assert "gift_cards" not in ledger
        assert "stripe" not in ledger
        assert ledger["revenue"] == 1000, "what was used is lost"
        assert sum(ledger.values()) == 0
    assert await shop.house.database.fetchval(is_blocked) is (outcome == "lost")


async def replaced(shop: CardShop, card_id: str) -> str:
    """A new card in the place of one; its id."""
    path = f"gift-cards/{card_id}/replace"
    answer = await shop.house.ask("manager", "POST", path, {"reason": "Lost."})
    assert answer.status == 201, answer
    return str(answer.data["cards"][0]["id"])


async def is_disabled(shop: CardShop, card_id: str) -> bool:
    shown = await get(shop.house, "manager", f"gift-cards/{card_id}")
    return bool(shown["status"] == "disabled")


@pytest.mark.parametrize("outcome", ["won", "lost"])
@pytest.mark.parametrize("when", ["before", "from the first", "meanwhile", "between"])
async def test_a_dispute_is_about_whatever_card_stands_in_the_place_of_the_first(
    shop: CardShop, when: str, outcome: str
) -> None:
    bought = await bought_by_card(shop)
    first = bought["card"]["id"]
    (intent,) = shop.account.intents.values()
    second = first
    if when != "meanwhile":
        second = await replaced(shop, first)
    third = second
    if when in {"before", "from the first"}:
        third = await replaced(shop, second if when == "before" else first)
    dispute = shop.account.dispute(intent["id"])
    noted = "select disputed_at is not null from gift_card_orders"
    await until(shop.house, noted)
    await shop.idle()
    assert await is_disabled(shop, third)
    if when == "meanwhile":
        second = await replaced(shop, first)
    last = third if when in {"before", "from the first"} else await replaced(shop, second)
    assert await is_disabled(shop, last)
    assert await left(shop.house, last) == 5000
    shop.account.close_dispute(dispute["id"], outcome)
    if outcome == "won":
        await until(shop.house, f"select not coalesce(({noted}), false)")
        await shop.idle()
        assert [await is_disabled(shop, one) for one in (first, last)] == [True, False]
        assert await left(shop.house, last) == 5000
        assert await accounts(shop.house) == {"stripe": 5000, "gift_cards": -5000}
    else:
        await until_status(shop, bought, "charged_back")
        await shop.idle()
        assert await is_disabled(shop, await replaced(shop, last))
        assert await left(shop.house, last) == 0
        assert await accounts(shop.house) == {}


async def test_a_card_that_a_manager_disables_stays_so_when_the_bank_has_decided(
    shop: CardShop,
) -> None:
    bought = await bought_by_card(shop)
    card_id = bought["card"]["id"]
    (intent,) = shop.account.intents.values()
    dispute = shop.account.dispute(intent["id"])
    await until(shop.house, "select disabled_at is not null from gift_cards")
    await shop.idle()
    path = f"gift-cards/{card_id}/disable"
    off = await shop.house.ask("manager", "POST", path, {"reason": "Stolen."})
    assert off.data["disabled_reason"] == "Stolen."
    shop.account.close_dispute(dispute["id"], "won")
    await until(shop.house, "select disputed_at is null from gift_card_orders")
    await shop.idle()
    assert await is_disabled(shop, card_id)
    new = await replaced(shop, card_id)
    assert not await is_disabled(shop, new)


async def test_a_card_whose_payment_is_disputed_before_it_is_known_is_made_out_of_use(
    shop: CardShop,
) -> None:
    bought = await ordered(shop)
    shop.double.deliveries.held = True
    intent = shop.pay(bought)
    shop.double.deliveries.lose()
    shop.double.deliveries.held = False
    dispute = shop.account.dispute(intent["id"])
    await until(shop.house, "select disputed_at is not null from gift_card_orders")
    await due(shop.house, bought["id"])
    await until_status(shop, bought, "paid")
    assert await shop.house.database.fetchval(
        "select bool_and(disabled_at is not null) from gift_cards"
    )
    shop.account.close_dispute(dispute["id"], "won")
    await until(shop.house, "select delivered_at is not null from gift_card_orders")
    assert (await seen(shop, bought))["card"]["status"] == "active"


async def test_two_who_replace_a_card_at_once_leave_one_with_the_money(shop: CardShop) -> None:
    bought = await bought_by_card(shop)
    path = f"gift-cards/{bought['card']['id']}/replace"
    answers = await asyncio.gather(
        *(shop.house.ask("manager", "POST", path, {"reason": "Lost."}) for _ in range(6))
    )
    assert {answer.status for answer in answers} == {201}
    rows = await shop.house.database.fetch(
        "select balance_minor, disabled_at is null as is_usable, replaced_by is null as is_last"
        " from gift_cards order by balance_minor"
    )
    assert [tuple(row) for row in rows] == [(0, False, False)] * 6 + [(5000, True, True)]


async def test_a_card_that_is_replaced_while_a_dispute_is_noted_does_not_escape_it(
    shop: CardShop,
) -> None:
    bought = await bought_by_card(shop)
    noting = await asyncpg.connect(shop.house.address)
    try:
        async with noting.transaction():
            await noting.execute("update gift_card_orders set disputed_at = now()")
            replacing = asyncio.create_task(replaced(shop, bought["card"]["id"]))
            await until(
                shop.house,
                "select exists (select from pg_stat_activity where wait_event_type = 'Lock'"
                " and datname = current_database())",
            )
        assert await is_disabled(shop, await replacing)
    finally:
        await noting.close()
