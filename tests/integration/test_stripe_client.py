"""The client of Stripe, against the double: answers, refusals, lost answers, and what is logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from cinema.integrations.stripe.client import (
    MISSING,
    UNEXPECTED_STATE,
    StripeClient,
    StripeRefused,
    StripeUnavailable,
)
from cinema.integrations.stripe.double.errors import ApiError
from cinema.integrations.stripe.double.faults import Fault, FaultKind
from cinema.integrations.stripe.double.server import StripeDouble
from cinema.integrations.stripe.objects import Intent
from tests.support.stripe_double import HandClock, running_double


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with running_double(unix_s=HandClock(1000.0)) as running:
        yield running


@pytest.fixture
async def client(double: StripeDouble) -> AsyncIterator[StripeClient]:
    opened = StripeClient(double.secret_key, base=double.url)
    yield opened
    await opened.close()


async def new_intent(client: StripeClient, key: str = "k", amount: int = 1250) -> Intent:
    return await client.create_intent(
        amount=amount, currency="EUR", metadata={"booking_id": "b"}, key=key
    )


async def test_an_intent_is_made_read_and_cancelled(client: StripeClient) -> None:
    intent = await new_intent(client)
    assert (intent.status, intent.amount, intent.currency, intent.livemode) == (
        "requires_payment_method",
        1250,
        "EUR",
        False,
    )
    assert (intent.metadata, intent.created_s, intent.error_code) == (
        {"booking_id": "b"},
        1000,
        None,
    )
    assert intent.client_secret.startswith(intent.id)
    assert await client.intent(intent.id) == intent
    assert (await client.cancel_intent(intent.id)).status == "canceled"
    assert (await client.cancel_intent(intent.id)).status == "canceled", "also a second time"


async def test_what_was_paid_cannot_be_cancelled(
    client: StripeClient, double: StripeDouble
) -> None:
    intent = await new_intent(client)
    double.account.confirm_intent(intent.id, {"payment_method": "pm_card_visa"})
    with pytest.raises(StripeRefused) as refused:
        await client.cancel_intent(intent.id)
    assert refused.value.code == UNEXPECTED_STATE
    paid = await client.intent(intent.id)
    assert (paid.status, paid.amount_received) == ("succeeded", 1250)
    assert paid.charge_id is not None
    assert await client.charge_intent(paid.charge_id) == intent.id


async def test_a_decline_is_named(client: StripeClient, double: StripeDouble) -> None:
    intent = await new_intent(client)
    with pytest.raises(ApiError, match="insufficient"):
        double.account.confirm_intent(
            intent.id, {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"}
        )
    assert (await client.intent(intent.id)).error_code == "insufficient_funds"
    double.account.confirm_intent(intent.id, {"payment_method": "pm_card_authenticationRequired"})
    double.account.authenticate(intent.id, passed=False)
    code = "payment_intent_authentication_failure"
    assert (await client.intent(intent.id)).error_code == code


async def test_refunds_and_disputes_are_read(client: StripeClient, double: StripeDouble) -> None:
    intent = await new_intent(client)
    double.account.confirm_intent(intent.id, {"payment_method": "pm_card_visa"})
    refund = await client.create_refund(intent.id, amount=250, metadata={"refund_id": "r"}, key="r")
    again = await client.create_refund(intent.id, amount=250, metadata={"refund_id": "r"}, key="r")
    assert (again.id, refund.status, refund.amount, refund.failure_reason) == (
        refund.id,
        "succeeded",
        250,
        None,
    )
    double.account.settle_refund(refund.id, succeeded=False)
    failed = await client.refund(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert await client.refunds_of(intent.id) == [failed]
    dispute = await client.dispute(double.account.dispute(intent.id)["id"])
    assert (dispute.intent_id, dispute.is_open, dispute.is_lost) == (intent.id, True, False)
    double.account.close_dispute(dispute.id, "lost")
    dispute = await client.dispute(dispute.id)
    assert (dispute.is_open, dispute.is_lost) == (False, True)


async def test_lists_go_on_over_their_pages() -> None:
    clock = HandClock(1000.0)
    async with running_double(unix_s=clock) as double:
        client = StripeClient(double.secret_key, base=double.url)
        for _ in range(205):
            made = double.account.create_intent({"amount": "100", "currency": "eur"})
            double.account.confirm_intent(made["id"], {"payment_method": "pm_card_visa"})
            double.account.create_refund({"payment_intent": made["id"]})
            clock.now_s += 1
        intents = [one.created_s async for one in client.intents_between(1000, 1204)]
        refunds = [one.created_s async for one in client.refunds_between(1001, 2000)]
        assert intents == list(range(1203, 999, -1))
        assert refunds == list(range(1204, 1000, -1))
        await client.close()


@pytest.mark.parametrize("kind", ["lost", "error"])
async def test_a_call_whose_answer_is_lost_is_repeated_and_has_one_effect(
    client: StripeClient, double: StripeDouble, kind: FaultKind
) -> None:
    double.faults.add(Fault(kind=kind))
    intent = await new_intent(client)
    assert list(double.account.intents) == [intent.id]
    assert len(double.calls) == 2


async def test_a_rate_limit_is_for_the_caller_to_repeat(
    client: StripeClient, double: StripeDouble
) -> None:
    double.faults.add(Fault(kind="limited"))
    with pytest.raises(StripeUnavailable):
        await new_intent(client)
    assert not double.account.intents


async def test_an_answer_that_does_not_come_is_not_waited_for(double: StripeDouble) -> None:
    client = StripeClient(double.secret_key, base=double.url, attempt_timeout_s=0.05, retries=0)
    double.faults.add(Fault(kind="stopped"))
    with pytest.raises(StripeUnavailable):
        await new_intent(client)
    assert len(double.account.intents) == 1
    double.faults.clear()
    assert (await new_intent(client)).id in double.account.intents
    await client.close()
    client = StripeClient(double.secret_key, base=double.url, call_timeout_s=0.05)
    double.faults.add(Fault(kind="stopped", count=5))
    with pytest.raises(StripeUnavailable, match="no answer"):
        await new_intent(client)
    await client.close()


async def test_an_address_where_nobody_listens_is_unavailable() -> None:
    client = StripeClient("sk_test_x", base="http://127.0.0.1:9", retries=0)
    with pytest.raises(StripeUnavailable):
        await client.intent("pi_1")
    await client.close()


async def test_refusals_say_why(client: StripeClient) -> None:
    with pytest.raises(StripeRefused) as refused:
        await client.intent("pi_unknown")
    assert refused.value.code == MISSING
    await new_intent(client)
    with pytest.raises(StripeRefused) as refused:
        await new_intent(client, amount=1251)
    assert refused.value.code == "idempotency"


async def test_two_calls_at_once_with_one_key_make_one_intent(
    client: StripeClient, double: StripeDouble
) -> None:
    slow = double.faults.add(Fault(kind="slow"))
    calls = [asyncio.ensure_future(new_intent(client)) for _ in range(2)]
    await double.called(2)
    slow.gate.set()
    first, second = await asyncio.gather(*calls)
    assert first.id == second.id


async def test_a_new_key_counts_from_the_next_call_on(double: StripeDouble) -> None:
    client = StripeClient("", base=double.url)
    assert not client.has_key
    with pytest.raises(StripeRefused, match="no key"):
        await client.intent("pi_1")
    client.use_key("sk_test_wrong")
    with pytest.raises(StripeUnavailable, match="STRIPE_SECRET_KEY"):
        await new_intent(client)
    client.use_key(double.secret_key)
    assert (await new_intent(client)).status == "requires_payment_method"
    assert (client.has_key, client.livemode) == (True, False)
    client.use_key("rk_live_x")
    assert client.livemode
    await client.close()


async def test_nothing_that_could_pay_is_logged_or_shown(
    client: StripeClient, double: StripeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        intent = await new_intent(client)
        await client.intent(intent.id)
        double.account.confirm_intent(intent.id, {"payment_method": "pm_card_visa"})
        with pytest.raises(StripeRefused) as refused:
            await client.cancel_intent(intent.id)
    for text in (caplog.text, repr(intent), repr(refused.value), str(refused.value)):
        assert "_secret_" not in text
        assert double.secret_key not in text
