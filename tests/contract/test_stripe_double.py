"""The double of Stripe, held to the types of the official library and to what Stripe documents."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from cinema.integrations.stripe.double.cards import CARDS, METHODS
from cinema.integrations.stripe.double.deliveries import WebhookPosts, WebhookTarget
from cinema.integrations.stripe.double.errors import ApiError
from cinema.integrations.stripe.double.faults import Fault
from cinema.integrations.stripe.double.server import StripeDouble
from tests.support.stripe_double import HandClock, official_client, running_double

STATES = {
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
}
"""Of a payment intent ("How intents work")."""

REFUND_STATES = {"pending", "requires_action", "succeeded", "failed", "canceled"}

WEBHOOK_SECRET = "whsec_test"


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with running_double() as running:
        yield running


@pytest.fixture
async def api(double: StripeDouble) -> AsyncIterator[stripe.V1Services]:
    async with official_client(double) as client:
        yield client


async def new_intent(api: stripe.V1Services, amount: int = 1250, currency: str = "eur") -> Any:
    return await api.payment_intents.create_async(
        {"amount": amount, "currency": currency, "metadata": {"booking_id": "b"}}
    )


async def paid(api: stripe.V1Services, method: str = "pm_card_visa", amount: int = 1250) -> Any:
    intent = await new_intent(api, amount)
    return await api.payment_intents.confirm_async(intent.id, {"payment_method": method})


def conforms(found: stripe.StripeObject, kind: type[stripe.StripeObject]) -> None:
    """All that the type requires is there, all that is there is of the type, and literals hold."""
    assert type(found) is kind
    fields = {name: one for name, one in kind.__annotations__.items() if name != "OBJECT_NAME"}
    answered = found.to_dict()
    required = {name for name, one in fields.items() if type(None) not in typing.get_args(one)}
    required -= {name for name in fields if name.startswith("_")}
    assert required <= answered.keys()
    assert answered.keys() <= fields.keys()
    for name, value in answered.items():
        allowed = literals(fields[name])
        if isinstance(value, str) and allowed:
            assert value in allowed, (name, value)
        if fields[name] in {int, str, bool}:
            assert type(value) is fields[name], name


def literals(hint: Any) -> set[Any]:
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    return {value for one in typing.get_args(hint) for value in literals(one)}


async def test_intents_charges_refunds_disputes_and_events_have_the_types_of_the_library(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    intent = await new_intent(api)
    conforms(intent, stripe.PaymentIntent)
    declined = await new_intent(api)
    with pytest.raises(stripe.CardError):
        await api.payment_intents.confirm_async(
            declined.id, {"payment_method": "pm_card_visa_chargeDeclined"}
        )
    conforms(await api.payment_intents.retrieve_async(declined.id), stripe.PaymentIntent)
    asked = await new_intent(api)
    await api.payment_intents.confirm_async(
        asked.id, {"payment_method": "pm_card_authenticationRequired"}
    )
    conforms(await api.payment_intents.retrieve_async(asked.id), stripe.PaymentIntent)
    done = await paid(api)
    conforms(done, stripe.PaymentIntent)
    conforms(await api.charges.retrieve_async(done.latest_charge), stripe.Charge)
    refund = await api.refunds.create_async({"payment_intent": done.id, "amount": 250})
    conforms(refund, stripe.Refund)
    double.account.settle_refund(refund.id, succeeded=False)
    conforms(await api.refunds.retrieve_async(refund.id), stripe.Refund)
    dispute = double.account.dispute(done.id)
    conforms(await api.disputes.retrieve_async(dispute["id"]), stripe.Dispute)
    events = await api.events.list_async({"limit": 100})
    assert len(events.data) == len(double.account.events)
    for event in events.data:
        conforms(event, stripe.Event)
    conforms(await api.events.retrieve_async(events.data[0].id), stripe.Event)


def test_states_are_those_of_the_library() -> None:
    assert literals(stripe.PaymentIntent.__annotations__["status"]) == STATES


async def test_a_payment_with_a_good_card_succeeds_once(api: stripe.V1Services) -> None:
    intent = await new_intent(api)
    assert intent.status == "requires_payment_method"
    assert intent.client_secret.startswith(f"{intent.id}_secret_")
    done = await api.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert (done.status, done.amount_received) == ("succeeded", 1250)
    charge = await api.charges.retrieve_async(done.latest_charge)
    assert (charge.status, charge.paid, charge.amount_captured) == ("succeeded", True, 1250)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert refused.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.payment_intents.cancel_async(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("number", "code", "decline"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000009987", "card_declined", "lost_card"),
        ("4000000000009979", "card_declined", "stolen_card"),
        ("4000000000000069", "expired_card", None),
        ("4000000000000127", "incorrect_cvc", None),
        ("4000000000000119", "processing_error", None),
    ],
)
async def test_a_declined_card_is_not_charged_and_another_may_pay(
    api: stripe.V1Services, number: str, code: str, decline: str | None
) -> None:
    intent = await new_intent(api)
    data: Any = {"payment_method_data": {"type": "card", "card": {"number": number}}}
    with pytest.raises(stripe.CardError) as refused:
        await api.payment_intents.confirm_async(intent.id, data)
    assert refused.value.code == code
    found = await api.payment_intents.retrieve_async(intent.id)
    assert (found.status, found.amount_received) == ("requires_payment_method", 0)
    assert found.last_payment_error is not None
    assert getattr(found.last_payment_error, "decline_code", None) == decline
    charge = await api.charges.retrieve_async(found.latest_charge)
    assert (charge.status, charge.paid, charge.amount_captured) == ("failed", False, 0)
    with pytest.raises(stripe.InvalidRequestError):
        await api.refunds.create_async({"payment_intent": intent.id})
    again = await api.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert again.status == "succeeded"


async def test_an_unknown_number_is_refused_before_any_bank_is_asked(
    api: stripe.V1Services,
) -> None:
    intent = await new_intent(api)
    data: Any = {"payment_method_data": {"type": "card", "card": {"number": "4000000000000000"}}}
    with pytest.raises(stripe.CardError) as refused:
        await api.payment_intents.confirm_async(intent.id, data)
    assert refused.value.code == "incorrect_number"
    assert (await api.payment_intents.retrieve_async(intent.id)).latest_charge is None


async def test_a_card_that_asks_for_3d_secure_waits_for_its_owner(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    intent = await paid(api, "pm_card_authenticationRequired")
    assert (intent.status, intent.latest_charge) == ("requires_action", None)
    assert intent.next_action.type == "use_stripe_sdk"
    double.account.authenticate(intent.id, passed=True)
    assert (await api.payment_intents.retrieve_async(intent.id)).status == "succeeded"
    intent = await paid(api, "pm_card_authenticationRequired")
    double.account.authenticate(intent.id, passed=False)
    found = await api.payment_intents.retrieve_async(intent.id)
    assert found.status == "requires_payment_method"
    assert found.last_payment_error is not None
    assert found.last_payment_error.code == "payment_intent_authentication_failure"
    intent = await paid(api, "pm_card_authenticationRequired")
    assert (await api.payment_intents.cancel_async(intent.id)).status == "canceled"


async def test_a_debit_is_processing_cannot_be_cancelled_and_ends_late(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    intent = await paid(api, "pm_debit")
    assert intent.status == "processing"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.payment_intents.cancel_async(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"
    double.account.settle(intent.id, succeeded=True)
    assert (await api.payment_intents.retrieve_async(intent.id)).status == "succeeded"
    intent = await paid(api, "pm_debit")
    double.account.settle(intent.id, succeeded=False)
    found = await api.payment_intents.retrieve_async(intent.id)
    assert (found.status, found.amount_received) == ("requires_payment_method", 0)


async def test_a_cancelled_intent_stays_cancelled(api: stripe.V1Services) -> None:
    intent = await new_intent(api)
    cancelled = await api.payment_intents.cancel_async(
        intent.id, {"cancellation_reason": "abandoned"}
    )
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    for attempt in (
        api.payment_intents.cancel_async(intent.id),
        api.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await attempt
        assert refused.value.code == "payment_intent_unexpected_state"


async def test_no_more_goes_back_than_was_paid(api: stripe.V1Services) -> None:
    done = await paid(api)
    await api.refunds.create_async({"payment_intent": done.id, "amount": 1000})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await api.refunds.create_async({"payment_intent": done.id, "amount": 251})
    rest = await api.refunds.create_async({"payment_intent": done.id})
    assert rest.amount == 250
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.refunds.create_async({"payment_intent": done.id, "amount": 1})
    assert refused.value.code == "charge_already_refunded"
    charge = await api.charges.retrieve_async(done.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (1250, True)


async def test_refunds_may_wait_and_fail(api: stripe.V1Services, double: StripeDouble) -> None:
    done = await paid(api, "pm_card_pendingRefund")
    refund = await api.refunds.create_async({"payment_intent": done.id})
    assert refund.status == "pending"
    double.account.settle_refund(refund.id, succeeded=True)
    assert (await api.refunds.retrieve_async(refund.id)).status == "succeeded"
    double.account.settle_refund(refund.id, succeeded=False)
    failed = await api.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    charge = await api.charges.retrieve_async(done.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert {failed.status, refund.status} <= REFUND_STATES


async def test_a_refund_that_fails_after_it_has_succeeded_is_told_and_stays_failed(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    done = await paid(api)
    first = await api.refunds.create_async(
        {"payment_intent": done.id}, {"idempotency_key": "refund-1"}
    )
    assert first.status == "succeeded"
    double.account.settle_refund(first.id, succeeded=False)
    told = {
        event["type"]: event["data"]["object"]["status"]
        for event in double.account.events.values()
        if event["data"]["object"]["id"] == first.id
    }
    assert told == {
        "refund.created": "succeeded",
        "refund.updated": "failed",
        "charge.refund.updated": "failed",
        "refund.failed": "failed",
    }
    for succeeded in (True, False):
        with pytest.raises(ApiError, match="ended"):
            double.account.settle_refund(first.id, succeeded=succeeded)
    # The money is there again, and another refund may give it back; the old key answers as before.
    repeated = await api.refunds.create_async(
        {"payment_intent": done.id}, {"idempotency_key": "refund-1"}
    )
    assert repeated.id == first.id
    second = await api.refunds.create_async(
        {"payment_intent": done.id}, {"idempotency_key": "refund-2"}
    )
    assert (second.status, second.amount) == ("succeeded", 1250)
    assert second.id != first.id


async def test_what_is_disputed_is_not_refunded(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    done = await paid(api, "pm_card_createDispute")
    (dispute,) = (await api.disputes.list_async({"payment_intent": done.id})).data
    assert (dispute.status, dispute.amount) == ("needs_response", 1250)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await api.refunds.create_async({"payment_intent": done.id})
        assert refused.value.code == "charge_disputed"
    double.account.close_dispute(dispute.id, "won")
    assert (await api.refunds.create_async({"payment_intent": done.id})).amount == 1250
    lost = await paid(api, "pm_card_createDispute")
    (other,) = (await api.disputes.list_async({"payment_intent": lost.id})).data
    double.account.close_dispute(other.id, "lost")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.refunds.create_async({"payment_intent": lost.id})
    assert refused.value.code == "charge_disputed"


async def test_what_a_dispute_leaves_of_a_charge_is_refunded(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    done = await paid(api)
    dispute = double.account.dispute(done.id, 400)
    double.account.close_dispute(dispute["id"], "lost")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        await api.refunds.create_async({"payment_intent": done.id, "amount": 851})
    assert (await api.refunds.create_async({"payment_intent": done.id})).amount == 850
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.refunds.create_async({"payment_intent": done.id, "amount": 1})
    assert refused.value.code == "charge_disputed"


async def test_the_same_key_has_one_effect(api: stripe.V1Services, double: StripeDouble) -> None:
    body: Any = {"amount": 1250, "currency": "eur"}
    first = await api.payment_intents.create_async(body, {"idempotency_key": "k"})
    again = await api.payment_intents.create_async(body, {"idempotency_key": "k"})
    assert (first.id, len(double.account.intents)) == (again.id, 1)
    with pytest.raises(stripe.IdempotencyError):
        await api.payment_intents.create_async(
            {"amount": 1251, "currency": "eur"}, {"idempotency_key": "k"}
        )
    assert len(double.account.intents) == 1


async def test_of_two_calls_at_once_with_one_key_the_second_is_a_conflict(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    slow = double.faults.add(Fault(kind="slow"))
    body: Any = {"amount": 1250, "currency": "eur"}
    first = asyncio.ensure_future(api.payment_intents.create_async(body, {"idempotency_key": "k"}))
    await double.called(1)
    with pytest.raises(stripe.APIError) as refused:
        await api.payment_intents.create_async(body, {"idempotency_key": "k"})
    assert refused.value.http_status == 409
    slow.gate.set()
    assert (await first).id in double.account.intents
    assert len(double.account.intents) == 1


async def test_a_refused_call_leaves_its_key_free_and_a_declined_one_does_not(
    api: stripe.V1Services,
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await api.payment_intents.create_async(
            {"amount": 0, "currency": "eur"}, {"idempotency_key": "k"}
        )
    intent = await api.payment_intents.create_async(
        {"amount": 100, "currency": "eur"}, {"idempotency_key": "k"}
    )
    method: Any = {"payment_method": "pm_card_visa_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await api.payment_intents.confirm_async(intent.id, method, {"idempotency_key": "c"})
    charges = await api.charges.list_async({"payment_intent": intent.id})
    assert len(charges.data) == 1


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (500, "jpy", None),
        (5120, "kwd", None),
        (5124, "kwd", "invalid_charge_amount"),
        (500, "isk", None),
        (501, "isk", "invalid_charge_amount"),
        (49, "eur", "amount_too_small"),
        (50, "eur", None),
        (99_999_999, "eur", None),
        (100_000_000, "eur", "amount_too_large"),
    ],
)
async def test_amounts_follow_the_rules_of_their_currency(
    api: stripe.V1Services, amount: int, currency: str, code: str | None
) -> None:
    if code is None:
        assert (await new_intent(api, amount, currency)).amount == amount
        return
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await new_intent(api, amount, currency)
    assert refused.value.code == code


async def test_what_nobody_knows_is_refused(api: stripe.V1Services, double: StripeDouble) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.payment_intents.retrieve_async("pi_unknown")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    body: Any = {"amount": 1250, "currency": "eur", "amuont": 3}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await api.payment_intents.create_async(body)
    assert refused.value.code == "parameter_unknown"
    async with official_client(double, "sk_test_another") as stranger:
        with pytest.raises(stripe.AuthenticationError):
            await stranger.payment_intents.retrieve_async("pi_unknown")


async def test_lists_are_pages_newest_first_and_between_two_times() -> None:
    clock = HandClock(1000.0)
    async with running_double(unix_s=clock) as double, official_client(double) as api:
        made = []
        for _ in range(5):
            made.append((await new_intent(api)).id)
            clock.now_s += 1
        page = await api.payment_intents.list_async({"limit": 2})
        assert ([one.id for one in page.data], page.has_more) == (made[:2:-1], True)
        rest = await api.payment_intents.list_async({"starting_after": made[3], "limit": 100})
        assert ([one.id for one in rest.data], rest.has_more) == (made[2::-1], False)
        between = await api.payment_intents.list_async({"created": {"gte": 1001, "lt": 1003}})
        assert [one.id for one in between.data] == [made[2], made[1]]


async def test_answers_get_lost_and_limited_and_broken_on_command(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    double.faults.add(Fault(kind="lost"))
    with pytest.raises(stripe.APIConnectionError):
        await new_intent(api)
    assert len(double.account.intents) == 1
    double.faults.add(Fault(kind="error"))
    with pytest.raises(stripe.APIError):
        await new_intent(api)
    double.faults.add(Fault(kind="limited"))
    with pytest.raises(stripe.RateLimitError):
        await new_intent(api)
    assert len(double.account.intents) == 1
    await new_intent(api)
    assert len(double.account.intents) == 2


class Shop:
    """An endpoint for webhooks: verifies as the library does, and answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[stripe.Event] = []
        self.now_s = 0

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = stripe.Webhook.construct_event(
            body, request.headers["Stripe-Signature"], WEBHOOK_SECRET, tolerance=0
        )
        self.got.append(event)
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


async def test_events_are_signed_and_come_again_until_they_are_taken() -> None:
    shop, clock = Shop(), HandClock()
    shop.answers = [500, 503]
    application = web.Application()
    application.router.add_post("/hook", shop.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    waits: list[float] = []

    async def sleep(wait_s: float) -> None:
        waits.append(wait_s)

    deliveries = WebhookPosts(
        WebhookTarget(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", WEBHOOK_SECRET),
        now_s=lambda: int(clock.now_s),
        sleep=sleep,
        waits_s=(1.0, 5.0, 30.0),
    )
    async with (
        running_double(unix_s=clock, deliveries=deliveries) as double,
        official_client(double) as api,
    ):
        intent = await new_intent(api)
        await deliveries.settled()
        assert [event.type for event in shop.got] == ["payment_intent.created"] * 3
        assert (len({event.id for event in shop.got}), waits) == (1, [1.0, 5.0])
        shop.got.clear()
        deliveries.held = True
        await api.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
        assert not shop.got
        await deliveries.release(backwards=True, times=2)
        assert [event.type for event in shop.got] == [
            "payment_intent.succeeded",
            "payment_intent.succeeded",
            "charge.succeeded",
            "charge.succeeded",
        ]
        conforms(shop.got[0], stripe.Event)
        conforms(shop.got[0].data.object, stripe.PaymentIntent)
    await runner.cleanup()


async def test_a_browser_pays_with_the_secret_of_the_intent_only(
    api: stripe.V1Services, double: StripeDouble
) -> None:
    intent, other = await new_intent(api), await new_intent(api)
    async with official_client(double, "pk_test_browser") as browser:
        with pytest.raises(stripe.AuthenticationError):
            await browser.payment_intents.retrieve_async(intent.id)
        with pytest.raises(stripe.AuthenticationError):
            await browser.payment_intents.confirm_async(
                intent.id,
                {"payment_method": "pm_card_visa", "client_secret": other.client_secret},
            )
        done = await browser.payment_intents.confirm_async(
            intent.id, {"payment_method": "pm_card_visa", "client_secret": intent.client_secret}
        )
    assert done.status == "succeeded"


async def test_a_person_pays_on_the_page(api: stripe.V1Services, double: StripeDouble) -> None:
    intent = await new_intent(api)
    address = f"{double.url}/pay/{intent.id}"
    async with aiohttp.ClientSession() as person:
        async with person.get(address, params={"client_secret": "wrong"}) as page:
            assert page.status == 404
        async with person.get(address, params={"client_secret": intent.client_secret}) as page:
            assert "12.50 EUR" in await page.text()

        async def step(name: str, number: str = "") -> str:
            form = {"client_secret": intent.client_secret, "step": name, "number": number}
            async with person.post(address, data=form) as answer:
                assert answer.status == 200
                return await answer.text()

        assert "Your card was declined." in await step("card", "4000000000000002")
        assert "requires_action" in await step("card", "4000002500003155")
        assert "succeeded" in await step("passed")
        assert "needs_response" in str(double.account.disputes) or "succeeded" in await step(
            "disputed"
        )
    assert len(double.account.disputes) == 1


def test_every_card_of_a_ready_made_method_is_a_card() -> None:
    assert all(card in CARDS.values() or card.later for card in METHODS.values())


def test_live_keys_are_not_taken() -> None:
    with pytest.raises(ValueError, match="live"):
        StripeDouble(secret_key="sk_live_x")
