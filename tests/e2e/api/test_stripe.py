"""Payments by card, from the hold to the booking, through a node and a double of Stripe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from cinema.features.ledger.methods import Attempt, RefundOrder, RefundProgress
from cinema.features.ledger.refund_store import DueRefund, RefundsRepository
from cinema.integrations.stripe.double.errors import ApiError
from cinema.integrations.stripe.double.faults import Fault
from cinema.integrations.stripe.signatures import signed
from cinema.storage.database.pool import open_pool
from tests.e2e.api.card_shop import WEBHOOK_SECRET, CardShop, database_of_a_module, open_card_shop
from tests.e2e.api.doors import scan, tickets_of
from tests.e2e.api.house import UNKNOWN_ID, Answer
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import get, verify
from tests.support.told import TOLD
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

WINDOW_S = 200
"""How long customers may take to pay here, and seats are kept after that."""

BACK = "select status = 'succeeded' from refunds where booking_id = $1"


async def recorded(shop: CardShop, booking: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The refunds of a booking that are written down."""
    rows = await shop.house.database.fetch(
        "select kind, status, reason, amount_minor from refunds where booking_id = $1"
        " order by created_at, id",
        booking["id"],
    )
    return [tuple(row) for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_shop(postgres_server: str, template_database: str) -> AsyncIterator[CardShop]:
    """One shop for all tests here; its clock goes forward, by less than a token lives."""
    async with (
        database_of_a_module(postgres_server, template_database) as address,
        open_card_shop(
            address, payment_window_seconds=WINDOW_S, payment_grace_seconds=WINDOW_S
        ) as opened,
    ):
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def shop(open_shop: CardShop) -> CardShop:
    """Where nothing is held back."""
    open_shop.double.deliveries.held = False
    open_shop.double.faults.clear()
    return open_shop


async def test_a_card_pays_a_booking(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1", "A2")
    assert (booking["status"], booking["payment"]["status"]) == ("pending", "pending")
    intent = shop.intent_of(booking)
    assert (intent["amount"], intent["currency"]) == (2000, "eur")
    assert intent["metadata"] == {
        "booking_id": booking["id"],
        "payment_id": booking["payment"]["id"],
    }
    resumed = (await shop.process("ada", booking)).data
    assert resumed["payment"]["client_secret"] == booking["payment"]["client_secret"]
    assert resumed == booking
    shop.pay(booking)
    await shop.until(booking, "confirmed")
    await shop.idle()
    confirmed = await get(shop.house, "ada", f"bookings/{booking['id']}")
    assert confirmed["payment"]["status"] == "succeeded"
    assert "client_secret" not in confirmed["payment"]
    assert await shop.house.statuses(showtime_id) == {"A1": "booked", "A2": "booked"}
    assert (await shop.ledger(booking))["stripe"] == 2000
    again = await shop.process("ada", booking)
    assert again.data["status"] == "confirmed"


async def test_a_customer_who_asks_before_the_webhook_comes_finds_it_paid(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.double.deliveries.held = True
    shop.pay(booking)
    answer = await shop.process("ada", booking)
    assert answer.data["status"] == "confirmed"
    assert "client_secret" not in answer.data["payment"]
    await shop.double.deliveries.release(times=3)
    await shop.idle()
    assert await shop.status(booking) == "confirmed"
    assert (await shop.ledger(booking))["stripe"] == 1000


async def test_a_declined_card_leaves_the_seats_and_another_card_pays(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    with pytest.raises(ApiError, match="declined"):
        shop.pay(booking, "pm_card_visa_chargeDeclined")
    await shop.until_found(
        "select error_code = 'generic_decline' from payments where id = $1",
        booking["payment"]["id"],
    )
    assert await shop.status(booking) == "pending"
    assert await shop.house.statuses(showtime_id) == {"A1": "held"}
    shop.pay(booking, "pm_card_authenticationRequired")
    await shop.idle()
    assert await shop.status(booking) == "pending"
    shop.account.authenticate(shop.intent_of(booking)["id"], passed=True)
    await shop.until(booking, "confirmed")
    assert (await shop.ledger(booking))["stripe"] == 1000


async def test_events_twice_and_backwards_change_nothing(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.double.deliveries.held = True
    with pytest.raises(ApiError):
        shop.pay(booking, "pm_card_visa_chargeDeclined")
    shop.pay(booking, "pm_card_authenticationRequired")
    shop.account.authenticate(shop.intent_of(booking)["id"], passed=True)
    await shop.double.deliveries.release(backwards=True, times=3)
    await shop.until(booking, "confirmed")
    await shop.idle()
    assert await shop.status(booking) == "confirmed"
    ledger = await shop.ledger(booking)
    assert ledger["stripe"] == 1000
    outbox = await shop.house.database.fetch(
        f"select kind from {TOLD} where booking_id = $1", booking["id"]
    )
    assert [row["kind"] for row in outbox] == ["booking.confirmed"]


async def test_a_payment_of_which_nobody_tells_is_found(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.double.deliveries.held = True
    shop.pay(booking)
    shop.double.deliveries.lose()
    shop.clocks.ahead_s += 130
    await shop.until(booking, "confirmed")


async def test_a_payment_that_came_after_the_second_bound_is_found_too(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await expired_while_processing(shop, showtime_id, "A1")
    shop.double.deliveries.held = True
    shop.account.settle(shop.intent_of(booking)["id"], succeeded=True)
    shop.double.deliveries.lose()
    shop.clocks.ahead_s += 65
    await shop.until(booking, "confirmed")


async def test_an_intent_that_outlives_its_booking_is_cancelled(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    away = shop.double.faults.add(Fault(kind="error", count=1000))
    shop.double.faults.add(Fault(kind="error", method="GET", count=1000))
    assert away.count
    await ended_at_its_second_bound(shop, showtime_id, booking)
    assert shop.intent_of(booking)["status"] == "requires_payment_method"
    shop.double.faults.clear()
    shop.clocks.ahead_s += 65
    await shop.until_found(
        "select outcome = 'cancelled' from stripe_tasks where kind = 'look' and name = $1",
        booking["payment"]["id"],
    )
    assert shop.intent_of(booking)["status"] == "canceled"


async def test_an_answer_that_is_lost_makes_no_second_intent(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    shop.double.faults.add(Fault(kind="lost", count=3))
    booking = await shop.book("ada", showtime_id, "A1")
    assert "client_secret" not in booking["payment"]
    resumed = (await shop.process("ada", booking)).data
    named = [one["metadata"]["payment_id"] for one in shop.account.intents.values()]
    assert named.count(booking["payment"]["id"]) == 1
    shop.pay(resumed)
    await shop.until(booking, "confirmed")


async def test_what_is_not_paid_in_time_cannot_be_paid_any_more(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.clocks.ahead_s += WINDOW_S + 5
    shop.double.faults.add(Fault(kind="error", path="/v1/payment_intents", count=1000))
    shop.double.faults.add(Fault(kind="error", method="GET", count=1000))
    assert await shop.give_up() == 0
    assert await shop.house.statuses(showtime_id) == {"A1": "held"}
    shop.double.faults.clear()
    await shop.give_up()
    await shop.until(booking, "expired")
    assert shop.intent_of(booking)["status"] == "canceled"
    assert await shop.house.statuses(showtime_id) == {}
    with pytest.raises(ApiError, match="canceled"):
        shop.pay(booking)
    await shop.idle()


async def test_what_is_paid_at_the_bound_is_confirmed(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.double.deliveries.held = True
    shop.pay(booking)
    shop.clocks.ahead_s += WINDOW_S + 5
    assert await shop.give_up() == 0
    await shop.until(booking, "confirmed")
    await shop.double.deliveries.release()
    await shop.idle()
    assert await shop.house.statuses(showtime_id) == {"A1": "booked"}
    assert (await shop.ledger(booking))["stripe"] == 1000


async def test_a_customer_who_has_paid_cannot_give_up_and_one_who_has_not_can(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    paid = await shop.book("ada", showtime_id, "A1")
    unpaid = await shop.book("ada", showtime_id, "A3")
    shop.double.deliveries.held = True
    shop.pay(paid)
    refused = await shop.house.ask("ada", "DELETE", f"bookings/{paid['id']}")
    assert refused.error == (409, "PAYMENT_IN_PROGRESS")
    assert await shop.status(paid) == "confirmed"
    ended = await shop.house.ask("ada", "DELETE", f"bookings/{unpaid['id']}")
    assert ended.data["status"] == "cancelled"
    assert shop.intent_of(unpaid)["status"] == "canceled"
    await shop.double.deliveries.release()
    await shop.idle()


async def expired_while_processing(shop: CardShop, showtime_id: str, seat: str) -> dict[str, Any]:
    """A booking that ended at its second bound, while a debit was under way."""
    booking = await shop.book("ada", showtime_id, seat)
    shop.pay(booking, "pm_debit")
    await shop.idle()
    await ended_at_its_second_bound(shop, showtime_id, booking)
    return booking


async def ended_at_its_second_bound(
    shop: CardShop, showtime_id: str, booking: dict[str, Any]
) -> None:
    """Time passes, and the showtime itself frees the seats."""
    shop.clocks.ahead_s += 2 * WINDOW_S + 10
    # Reading the showtime lets its timer end what is overdue.
    async with asyncio.timeout(10):
        while await shop.house.statuses(showtime_id):
            await look_again()
    assert await shop.status(booking) == "expired"
    # The look that was due by then is over; the next one comes in a minute.
    await shop.until_found(
        """select attempts > 0 and due_at <= clock_timestamp() + $2 * interval '1 second'
        from stripe_tasks where kind = 'look' and name = $1""",
        booking["payment"]["id"],
        shop.clocks.ahead_s + 61,
    )


async def test_a_late_payment_gets_its_seats_if_they_are_free(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await expired_while_processing(shop, showtime_id, "A1")
    shop.account.settle(shop.intent_of(booking)["id"], succeeded=True)
    await shop.until(booking, "confirmed")
    await shop.idle()
    assert await shop.house.statuses(showtime_id) == {"A1": "booked"}
    assert (await shop.ledger(booking))["stripe"] == 1000
    assert not shop.refunds_of(booking)


async def test_a_late_payment_for_seats_that_are_sold_goes_back_once_and_is_told(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    booking = await expired_while_processing(shop, showtime_id, "A1")
    await shop.house.booked("bob", showtime_id, "A1")
    shop.double.deliveries.held = True
    shop.account.settle(shop.intent_of(booking)["id"], succeeded=True)
    shop.double.faults.add(Fault(kind="lost", path="/v1/refunds", count=3))
    await shop.double.deliveries.release(times=3)
    await shop.until_found(BACK, booking["id"])
    await shop.idle()
    (refund,) = shop.refunds_of(booking)
    assert (refund["amount"], refund["status"]) == (1000, "succeeded")
    assert await shop.status(booking) == "expired"
    payment = await get(shop.house, "ada", f"payments/{booking['payment']['id']}")
    assert (payment["status"], payment["refunded"]["amount"]) == ("refunded", 1000)
    assert payment["refund_pending"]["amount"] == 0
    assert "stripe" not in await shop.ledger(booking)
    assert await recorded(shop, booking) == [("unwanted", "succeeded", "SEAT_UNAVAILABLE", 1000)]
    assert await faults_of(shop.house) == []
    told = await shop.house.database.fetch(
        "select dedupe_key from messages where kind = 'payment_returned'"
    )
    key = f"payment_returned:{booking['payment']['id']}"
    assert [row["dedupe_key"] for row in told].count(key) == 1
    # It stays so, also if the seats are free again when it is told once more.
    (bobs,) = await get(shop.house, "bob", "bookings")
    await shop.house.ask("bob", "DELETE", f"bookings/{bobs['id']}")
    answer = await shop.process("ada", booking)
    assert answer.error == (409, "BOOKING_ENDED")
    for event in list(shop.account.events.values()):
        event["id"] += "_again"
        await shop.double.deliveries.post(event)
    await shop.idle()
    assert await shop.house.statuses(showtime_id) == {}
    assert len(shop.refunds_of(booking)) == 1


async def test_a_booking_that_was_paid_otherwise_gives_the_card_its_money_back(
    shop: CardShop,
) -> None:
    await verify(shop.house, "ada")
    showtime_id = await shop.house.showtime()
    hold_id = await shop.house.held("ada", showtime_id, "A1")
    booking = (await shop.house.book("ada", showtime_id, hold_id, method="counter_later")).data
    carded = (await shop.process("ada", booking)).data
    shop.double.deliveries.held = True
    shop.pay(carded, "pm_debit")
    await shop.house.till("staff")
    paid = await shop.process("staff", booking, "counter")
    assert paid.data["status"] == "confirmed"
    shop.account.settle(shop.intent_of(carded)["id"], succeeded=True)
    await shop.double.deliveries.release(backwards=True, times=2)
    await shop.until_found(BACK, booking["id"])
    await shop.idle()
    (refund,) = shop.refunds_of(booking)
    assert refund["amount"] == 1000
    assert await shop.status(booking) == "confirmed"
    ledger = await shop.ledger(booking)
    assert (ledger["cash"], "stripe" in ledger) == (1000, False)
    assert await recorded(shop, booking) == [("unwanted", "succeeded", "PAID_OTHERWISE", 1000)]
    assert await faults_of(shop.house) == []


async def test_money_that_buys_nothing_and_cannot_go_back_is_on_the_work_list(
    shop: CardShop,
) -> None:
    await verify(shop.house, "ada")
    showtime_id = await shop.house.showtime()
    hold_id = await shop.house.held("ada", showtime_id, "A1")
    booking = (await shop.house.book("ada", showtime_id, hold_id, method="counter_later")).data
    carded = (await shop.process("ada", booking)).data
    shop.double.deliveries.held = True
    shop.pay(carded, "pm_card_pendingRefund")
    await shop.house.till("staff")
    assert (await shop.process("staff", booking, "counter")).data["status"] == "confirmed"
    shop.double.deliveries.held = False
    await shop.double.deliveries.release()
    await shop.until_found(
        "select reference is not null from refunds where booking_id = $1", booking["id"]
    )
    payment = await get(shop.house, "ada", f"payments/{carded['payment']['id']}")
    assert (payment["status"], payment["refund_pending"]["amount"]) == ("refunded", 1000)
    assert (await shop.ledger(booking))["stripe"] == 1000, "it is owed, and not back"
    assert await faults_of(shop.house) == []
    (refund,) = shop.refunds_of(booking)
    shop.account.settle_refund(refund["id"], succeeded=False)
    await shop.until_found(
        "select status = 'failed' from refunds where booking_id = $1", booking["id"]
    )
    listed = await get(shop.house, "staff", "payments/refunds?status=failed")
    (found,) = [one for one in listed if one["booking_id"] == booking["id"]]
    assert (found["kind"], found["error_code"]) == ("unwanted", "expired_or_canceled_card")
    assert await faults_of(shop.house) == []


async def test_a_refund_that_fails_after_it_had_succeeded_is_owed_again_until_it_is_back(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.pay(booking)
    await shop.until(booking, "confirmed")
    await shop.house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    await shop.until_found(BACK, booking["id"])
    assert await shop.ledger(booking) == {}
    before = await undone(shop)
    shop.double.deliveries.held = True
    (first,) = shop.refunds_of(booking)
    shop.account.settle_refund(first["id"], succeeded=False)
    await shop.double.deliveries.release(backwards=True, times=2)
    await shop.idle()
    assert await recorded(shop, booking) == [("cancellation", "failed", "", 1000)]
    assert await shop.ledger(booking) == {"stripe": 1000, "customer": -1000}
    seen = (await get(shop.house, "ada", f"bookings/{booking['id']}"))["payment"]
    assert (seen["refunded"]["amount"], seen["refund_pending"]["amount"]) == (1000, 1000)
    assert await undone(shop) == before + 1
    assert await faults_of(shop.house) == []

    listed = await get(shop.house, "staff", "payments/refunds?status=failed")
    (failed,) = [one for one in listed if one["booking_id"] == booking["id"]]
    assert (failed["error_code"], failed["settled_at"]) == ("expired_or_canceled_card", None)
    again = await shop.house.ask("staff", "POST", f"payments/refunds/{failed['id']}/retry")
    assert again.data["status"] == "pending"
    await shop.until_found(BACK, booking["id"])
    assert await shop.ledger(booking) == {}
    assert [one["status"] for one in shop.refunds_of(booking)] == ["failed", "succeeded"]
    # What is told once more of the first one is old news; the second one may fail too.
    for event in list(shop.account.events.values()):
        if event["data"]["object"]["id"] == first["id"]:
            event["id"] += "_again"
            await shop.double.deliveries.post(event)
    await shop.idle()
    assert await shop.ledger(booking) == {}
    shop.account.settle_refund(shop.refunds_of(booking)[1]["id"], succeeded=False)
    await shop.until_found(
        "select status = 'failed' from refunds where booking_id = $1", booking["id"]
    )
    assert await shop.ledger(booking) == {"stripe": 1000, "customer": -1000}
    assert await faults_of(shop.house) == []


async def undone(shop: CardShop) -> float:
    """How many refunds have failed after they had succeeded, as the metrics say."""
    async with shop.house.client.get(f"http://127.0.0.1:{shop.house.port}/metrics") as reply:
        families = text_string_to_metric_families(await reply.text())
    (found,) = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "cinema_refunds_undone_total"
    ]
    return found


async def paid_wrongly(address: str, seen: list[Any]) -> None:
    """Somebody pays another amount than was asked for."""
    async with open_card_shop(address) as shop:
        showtime_id = await shop.house.showtime()
        booking = await shop.book("ada", showtime_id, "A1")
        shop.account.intents[shop.intent_of(booking)["id"]]["amount"] = 100
        shop.pay(booking)
        await shop.idle()
        answer = await shop.process("ada", booking)
        seen.append((answer.data["status"], await shop.status(booking)))
        seen.append(await get(shop.house, "admin", "admin/payments/differences"))


async def test_an_intent_that_is_not_what_was_asked_for_confirms_nothing(
    postgres_server: str, template_database: str
) -> None:
    seen: list[Any] = []
    async with database_of_a_module(postgres_server, template_database) as address:
        # A house complains about everything that was logged as an error: people have to look.
        with pytest.raises(AssertionError, match="payment_differs"):
            await paid_wrongly(address, seen)
    states, (difference,) = seen
    assert states == ("pending", "pending")
    assert (difference["kind"], difference["ours"]) == ("mismatch_amount", "1000 EUR")
    assert difference["theirs"] == "100 EUR succeeded"


async def test_a_dispute_is_noted_and_the_money_is_not_given_back_twice(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.pay(booking, "pm_card_createDispute")
    await shop.until(booking, "confirmed")
    await shop.idle()
    found = "select id, status, is_open from disputes where booking_id = $1"
    (dispute,) = await shop.house.database.fetch(found, booking["id"])
    assert tuple(dispute)[1:] == ("needs_response", True)
    assert (await get(shop.house, "ada", f"bookings/{booking['id']}"))["disputed"]
    (ticket,) = await tickets_of(shop.house, "ada", booking["id"])
    assert (await scan(shop.house, ticket["token"])).error == (409, "TICKET_BLOCKED")
    refused = (409, "PAYMENT_DISPUTED")
    part = {"booking_id": booking["id"], "reason": "Noise."}
    money = {"amount": {"amount": 100, "currency": "EUR"}}
    for body in (part, {**part, **money}, {**part, **money, "to": "gift_card"}):
        answer = await shop.house.ask("manager", "POST", "payments/refund", body)
        assert answer.error == refused
    for person in ("ada", "staff"):
        answer = await shop.house.ask(person, "DELETE", f"bookings/{booking['id']}")
        assert answer.error == refused
    seats = {"from": ["A1"], "to": ["A2"]}
    answer = await shop.house.ask("ada", "POST", f"bookings/{booking['id']}/seats", seats)
    assert answer.error == refused
    other = await shop.house.showtime()
    exchange = {"showtime_id": other, "hold_id": await shop.house.held("ada", other, "A1")}
    answer = await shop.house.ask("ada", "POST", f"bookings/{booking['id']}/exchange", exchange)
    assert answer.error == refused
    assert await recorded(shop, booking) == []
    assert await shop.house.database.fetchval("select count(*) from gift_cards") == 0

    shop.double.deliveries.held = True
    shop.account.close_dispute(dispute["id"], "won")
    await shop.double.deliveries.release(backwards=True, times=2)
    await shop.idle()
    (dispute,) = await shop.house.database.fetch(found, booking["id"])
    assert tuple(dispute)[1:] == ("won", False)
    (shown,) = [
        one for one in await get(shop.house, "ada", "bookings") if one["id"] == booking["id"]
    ]
    assert (shown["disputed"], shown["status"]) == (False, "confirmed")
    assert (await scan(shop.house, ticket["token"])).error == (409, "TOO_EARLY")
    answer = await shop.house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    assert answer.data["status"] == "cancelled"
    await shop.until_found(BACK, booking["id"])
    assert await faults_of(shop.house) == []


async def test_a_booking_exchanged_for_one_that_is_disputed_is_so_too_and_ends_with_it(
    shop: CardShop,
) -> None:
    first, second = await shop.house.showtime(), await shop.house.showtime()
    booking = await shop.book("ada", first, "A1")
    intent = shop.pay(booking)
    await shop.until(booking, "confirmed")
    exchange = {"showtime_id": second, "hold_id": await shop.house.held("ada", second, "A1")}
    new = await shop.house.ask("ada", "POST", f"bookings/{booking['id']}/exchange", exchange)
    assert new.status in {200, 201}, new
    dispute = shop.account.dispute(intent["id"])
    await shop.idle()
    path = f"bookings/{new.data['id']}"
    assert (await get(shop.house, "ada", path))["disputed"]
    assert (await shop.house.ask("ada", "DELETE", path)).error == (409, "PAYMENT_DISPUTED")
    shop.account.close_dispute(dispute["id"], "lost")
    await shop.until(new.data, "cancelled")
    await shop.until_found(BACK, new.data["id"])
    await shop.idle()
    assert not (await get(shop.house, "ada", path))["disputed"]
    assert not shop.refunds_of(new.data)
    at_stripe = await shop.house.database.fetchval(
        "select coalesce(sum(amount), 0) from ledger_lines"
        " where account = 'stripe' and booking_id = any($1)",
        [booking["id"], new.data["id"]],
    )
    assert at_stripe == 0
    assert await faults_of(shop.house) == []


async def test_what_a_bank_takes_of_a_booking_that_had_ended_is_written_off_once(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    intent = shop.pay(booking)
    await shop.until(booking, "confirmed")
    body = {
        "booking_id": booking["id"],
        "reason": "Noise.",
        "seats": ["A1"],
        "amount": {"amount": 300, "currency": "EUR"},
    }
    gone = await shop.house.ask("manager", "POST", "payments/refund", body)
    assert gone.data["status"] == "cancelled", gone
    await shop.until_found(BACK, booking["id"])
    dispute = shop.account.dispute(intent["id"])
    await shop.idle()
    assert (await shop.ledger(booking))["stripe"] == 700
    shop.double.deliveries.held = True
    shop.account.close_dispute(dispute["id"], "lost")
    await shop.double.deliveries.release(times=2)
    await shop.idle()
    assert await shop.ledger(booking) == {}
    assert await recorded(shop, booking) == [
        ("cancellation", "succeeded", "", 300),
        ("goodwill", "succeeded", "DISPUTE_LOST", 700),
    ]
    payment = await get(shop.house, "ada", f"payments/{booking['payment']['id']}")
    assert (payment["status"], payment["refund_pending"]["amount"]) == ("refunded", 0)
    assert await faults_of(shop.house) == []


async def test_a_lost_dispute_about_a_part_settles_that_part_and_the_rest_goes_back(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1", "A2")
    intent = shop.pay(booking)
    await shop.until(booking, "confirmed")
    dispute = shop.account.dispute(intent["id"], 400)
    await shop.idle()
    shop.account.close_dispute(dispute["id"], "lost")
    await shop.until(booking, "cancelled")
    await shop.until_found(BACK, booking["id"])
    await shop.idle()
    assert [one["amount"] for one in shop.refunds_of(booking)] == [1600]
    assert await recorded(shop, booking) == [("cancellation", "succeeded", "", 2000)]
    assert await shop.ledger(booking) == {}
    assert await faults_of(shop.house) == []


async def test_no_more_is_written_off_than_a_bank_has_taken(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    intent = shop.pay(booking)
    await shop.until(booking, "confirmed")
    body = {
        "booking_id": booking["id"],
        "reason": "Noise.",
        "seats": ["A1"],
        "amount": {"amount": 300, "currency": "EUR"},
    }
    assert (await shop.house.ask("manager", "POST", "payments/refund", body)).status in {200, 201}
    await shop.until_found(BACK, booking["id"])
    for amount in (200, 150):
        dispute = shop.account.dispute(intent["id"], amount)
        await shop.idle()
        shop.account.close_dispute(dispute["id"], "lost")
        await shop.idle()
    assert await recorded(shop, booking) == [
        ("cancellation", "succeeded", "", 300),
        ("goodwill", "succeeded", "DISPUTE_LOST", 200),
        ("goodwill", "succeeded", "DISPUTE_LOST", 150),
    ]
    assert (await shop.ledger(booking))["stripe"] == 350
    assert await faults_of(shop.house) == []


async def test_what_an_exchanged_booking_has_kept_is_written_off_when_a_dispute_is_lost(
    shop: CardShop,
) -> None:
    first, second = await shop.house.showtime(), await shop.house.showtime()
    booking = await shop.book("ada", first, "A1")
    intent = shop.pay(booking)
    await shop.until(booking, "confirmed")
    exchange = {"showtime_id": second, "hold_id": await shop.house.held("ada", second, "A1")}
    new = await shop.house.ask("ada", "POST", f"bookings/{booking['id']}/exchange", exchange)
    assert new.status in {200, 201}, new
    body = {
        "booking_id": new.data["id"],
        "reason": "Noise.",
        "seats": ["A1"],
        "amount": {"amount": 300, "currency": "EUR"},
    }
    gone = await shop.house.ask("manager", "POST", "payments/refund", body)
    assert gone.data["status"] == "cancelled", gone
    await shop.until_found(BACK, new.data["id"])
    dispute = shop.account.dispute(intent["id"])
    await shop.idle()
    shop.account.close_dispute(dispute["id"], "lost")
    await shop.idle()
    assert await recorded(shop, new.data) == [
        ("cancellation", "succeeded", "", 300),
        ("goodwill", "succeeded", "DISPUTE_LOST", 700),
    ]
    assert [one["amount"] for one in shop.refunds_of(new.data)] == [300]
    at_stripe = await shop.house.database.fetchval(
        "select coalesce(sum(amount), 0) from ledger_lines"
        " where account = 'stripe' and booking_id = any($1)",
        [booking["id"], new.data["id"]],
    )
    assert at_stripe == 0
    assert await faults_of(shop.house) == []


async def test_nothing_goes_back_while_a_bank_decides_and_a_lost_dispute_ends_the_booking(
    shop: CardShop,
) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.pay(booking, "pm_card_createDispute")
    await shop.until(booking, "confirmed")
    await shop.idle()
    payment_id = UUID(booking["payment"]["id"])
    order = RefundOrder(
        id=uuid4(), booking_id=UUID(booking["id"]), amount_minor=1000, currency="EUR"
    )
    method = shop.house.node.attempts.methods.get("stripe")

    async def refunded() -> RefundProgress:
        row = await shop.house.database.fetchrow(
            """select id, booking_id, method, status, amount_minor, refunded_minor, currency,
            reference, created_at from payments where id = $1""",
            payment_id,
        )
        return await method.refund(Attempt(**dict(row)), order)

    assert (await refunded()).status == "pending"
    (dispute,) = [
        one
        for one in shop.account.disputes.values()
        if one["payment_intent"] == shop.intent_of(booking)["id"]
    ]
    shop.account.close_dispute(dispute["id"], "lost")
    await shop.until(booking, "cancelled")
    await shop.idle()
    await shop.until_found(BACK, booking["id"])
    assert await recorded(shop, booking) == [("cancellation", "succeeded", "", 1000)]
    again = await refunded()
    assert (again.status, again.error_code) == ("failed", "charge_disputed"), "nothing is left"
    assert not shop.refunds_of(booking)
    assert await shop.house.statuses(showtime_id) == {}

    # Whoever was refused just before it was lost, and says so just after that, tries again at once.
    due = DueRefund(
        id=uuid4(),
        payment_id=payment_id,
        booking_id=UUID(booking["id"]),
        kind="goodwill",
        amount_minor=100,
        currency="EUR",
        reference=None,
        attempts=1,
        asked_again=0,
    )
    later = datetime.now(UTC) + timedelta(days=1)
    await shop.house.database.execute(
        "insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor,"
        " currency, status, attempts, next_try_at, created_at)"
        " values ($1, $2, $3, $4, 'goodwill', 100, 'EUR', 'pending', 1, $5, now())",
        *(due.id, due.payment_id, due.booking_id, showtime_id, later),
    )
    async with await open_pool(shop.house.address, size=1) as pool:
        await RefundsRepository(pool).put_off(due, later, None, "charge_disputed")
    await shop.until_found("select status = 'failed' from refunds where id = $1", due.id)
    await shop.house.database.execute("delete from refunds where id = $1", due.id)


async def test_nothing_secret_is_stored_or_listed(shop: CardShop) -> None:
    showtime_id = await shop.house.showtime()
    booking = await shop.book("ada", showtime_id, "A1")
    shop.pay(booking)
    await shop.until(booking, "confirmed")
    await shop.idle()
    secret = booking["payment"]["client_secret"]
    for table in ("payments", "stripe_tasks", "bookings", "outbox"):
        rows = await shop.house.database.fetch(f"select t::text as row from {table} t")
        assert [row["row"] for row in rows if secret in row["row"]] == []


def event(kind: str = "payment_intent.succeeded", name: str = "evt_1", **more: Any) -> bytes:
    """An event as Stripe posts it."""
    about = {"id": "pi_nobody", "object": "payment_intent"}
    return msgspec.json.encode(
        {"id": name, "object": "event", "type": kind, "data": {"object": about}, **more}
    )


async def post(
    shop: CardShop, body: bytes, *, path: str = "webhooks/stripe", **signing: Any
) -> Answer:
    """A webhook of anybody."""
    secret = signing.get("secret", WEBHOOK_SECRET)
    at_s = int(shop.clocks.now_s()) - signing.get("age_s", 0)
    headers = {"Stripe-Signature": signed(body, secret, at_s), **signing.get("headers", {})}
    async with shop.house.client.post(path, data=body, headers=headers) as reply:
        raw = await reply.read()
        return Answer(reply.status, reply.headers, msgspec.json.decode(raw))


async def test_an_event_is_stored_once_and_only_if_it_counts(shop: CardShop) -> None:
    assert (await post(shop, event())).data == {"new": True}
    assert (await post(shop, event())).data == {"new": False}
    other = await post(shop, event(name="evt_2"), path="../webhooks/stripe")
    assert other.data == {"new": True}, "also at the address without a version"
    for body in (
        event("customer.created", "evt_3"),
        event("payment_intent.created", "evt_4"),
        event(name="evt_5", livemode=True),
        event(name="evt_6", account="acct_of_others"),
    ):
        assert (await post(shop, body)).data == {"new": False}
    names = await shop.house.database.fetch(
        "select name from stripe_tasks where kind = 'event' and name like 'evt__'"
    )
    assert sorted(row["name"] for row in names) == ["evt_1", "evt_2"]
    await shop.idle()
    outcome = await shop.house.database.fetchval(
        "select outcome from stripe_tasks where kind = 'event' and name = 'evt_1'"
    )
    assert outcome == "resource_missing", "nobody tries for ever what Stripe does not know"


async def test_what_stripe_has_not_signed_is_refused(shop: CardShop) -> None:
    refused = (400, "INVALID_SIGNATURE")
    assert (await post(shop, event(name="evt_seven"), secret="whsec_wrong")).error == refused
    assert (await post(shop, event(name="evt_seven"), age_s=301)).error == refused
    assert (
        await post(shop, event(name="evt_seven"), headers={"Stripe-Signature": ""})
    ).error == refused
    assert (await post(shop, b"{")).error == (400, "MALFORMED_JSON")
    assert (await post(shop, b'{"id": "evt_seven"}')).error == (400, "MALFORMED_JSON")
    assert (await post(shop, event(name="evt_seven" + "7" * 300))).error == (400, "MALFORMED_JSON")
    large = event(name="evt_seven", filling="x" * (256 << 10))
    assert (await post(shop, large)).error == (413, "PAYLOAD_TOO_LARGE")
    fits = event(name="evt_8", filling="x" * ((256 << 10) - 300))
    assert (await post(shop, fits)).data == {"new": True}
    names = await shop.house.database.fetch(
        "select name from stripe_tasks where name like 'evt_seven%'"
    )
    assert not names
    await shop.idle()


async def compared(address: str, seen: list[Any]) -> None:
    """A day with one payment of each kind is compared twice."""
    async with open_card_shop(address) as shop:
        showtime_id = await shop.house.showtime()
        good = await shop.book("ada", showtime_id, "A1")
        shop.pay(good)
        gone = await shop.book("ada", showtime_id, "A3")
        shop.pay(gone)
        back = await shop.book("ada", showtime_id, "A5")
        intent = shop.pay(back)
        for booking in (good, gone, back):
            await shop.until(booking, "confirmed")
        await shop.idle()
        fails = await shop.book("ada", showtime_id, "B1")
        shop.pay(fails)
        await shop.until(fails, "confirmed")
        await shop.house.ask("ada", "DELETE", f"bookings/{fails['id']}")
        await shop.until_found(BACK, fails["id"])
        await shop.idle()
        taken = await shop.book("ada", showtime_id, "B3")
        intent_of_taken = shop.pay(taken)
        await shop.until(taken, "confirmed")
        lost = shop.account.dispute(intent_of_taken["id"])
        await shop.idle()
        shop.account.close_dispute(lost["id"], "lost")
        await shop.until_found(BACK, taken["id"])
        await shop.idle()
        shop.double.deliveries.held = True
        shop.account.dispute(shop.intent_of(good)["id"])
        shop.account.settle_refund(shop.refunds_of(fails)[0]["id"], succeeded=False)
        late = await shop.book("bob", showtime_id, "A7")
        shop.pay(late)
        shop.account.create_refund({"payment_intent": intent["id"], "amount": "400"})
        shop.account.intents[shop.intent_of(gone)["id"]]["status"] = "requires_payment_method"
        for metadata in ({}, {"payment_id": UNKNOWN_ID, "booking_id": UNKNOWN_ID}):
            other = shop.account.create_intent(
                {"amount": "700", "currency": "eur", "metadata": metadata}
            )
            shop.account.confirm_intent(other["id"], {"payment_method": "pm_card_visa"})
        shop.double.deliveries.lose()
        for _ in range(2):
            await compare_days(shop)
        seen.append(await get(shop.house, "admin", "admin/payments/differences?resolved=true"))
        seen.append(await get(shop.house, "admin", "admin/payments/differences"))
        seen.append(await shop.status(late))
        seen.append(await recorded(shop, fails))
        seen.append((await get(shop.house, "ada", f"bookings/{good['id']}"))["disputed"])
        # It is decided, and again nobody tells.
        (dispute,) = shop.account.disputes.keys() - {lost["id"]}
        shop.double.deliveries.held = True
        shop.account.close_dispute(dispute, "won")
        shop.double.deliveries.lose()
        await compare_days(shop)
        seen.append((await get(shop.house, "ada", f"bookings/{good['id']}"))["disputed"])
        page = await shop.house.ask("admin", "GET", "admin/payments/differences?limit=2")
        seen.append(len(page.data))
        cursor = page.envelope["meta"]["next_cursor"]
        rest = f"admin/payments/differences?limit=2&cursor={cursor}"
        seen.append(len(await get(shop.house, "admin", rest)))


async def compare_days(shop: CardShop) -> None:
    """What is done an hour after the end of a day, for each on which something was paid.

    They are two if a day ends in the middle of the test.
    """
    moments = {one["created"] for one in shop.account.intents.values()} | {shop.clocks.now_s()}
    for day in sorted({datetime.fromtimestamp(one, UTC).date() for one in moments}):
        await compare(shop, day.isoformat())


async def compare(shop: CardShop, name: str) -> None:
    await shop.house.database.execute(
        "insert into stripe_tasks (kind, name, created_at, due_at) values ('day', $1, now(), now())"
        " on conflict (kind, name) do update set ended_at = null, due_at = now()",
        name,
    )
    await shop.until_found(
        "select ended_at is not null from stripe_tasks where kind = 'day' and name = $1", name
    )


async def test_a_day_is_compared_and_what_differs_is_noted_once_and_mended(
    postgres_server: str, template_database: str
) -> None:
    seen: list[Any] = []
    async with database_of_a_module(postgres_server, template_database) as address:
        with pytest.raises(AssertionError, match="payment_differs"):
            await compared(address, seen)
    everything, still_open, status, of_failed, disputed, is_still, first, second = seen
    assert (disputed, is_still) == (True, False)
    found = {one["kind"]: (one["ours"], one["theirs"]) for one in everything}
    assert found == {
        "not_booked": ("pending", "1000 EUR"),
        "not_paid": ("1000 EUR", "1000 EUR requires_payment_method"),
        "refunded": ("0 EUR", "400 EUR"),
        "unknown_payment": ("", "700 EUR"),
    }
    assert len(everything) == len(found)
    assert {one["kind"] for one in still_open} == found.keys() - {"not_booked"}
    assert status == "confirmed"
    assert of_failed == [("cancellation", "failed", "", 1250)]
    assert (first, second) == (2, 1)
