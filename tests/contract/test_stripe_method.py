"""The method `stripe` against the double, by the official library: the edges of what it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.rejections import Refused
from cinema.features.ledger.methods import Attempt, RefundOrder
from cinema.features.payments.stripe_method import KEYS_KEPT, StripeMethod
from cinema.features.payments.stripe_rules import (
    AMOUNT_NOT_PAYABLE,
    failed,
    is_of,
    key_of,
    metadata_of,
    metadata_of_refund,
    mismatch,
)
from cinema.integrations.stripe.client import StripeClient, StripeRefused
from cinema.integrations.stripe.double.faults import Fault
from cinema.integrations.stripe.double.server import StripeDouble
from tests.support.stripe_double import HandClock, official_client, running_double

BOOKING, ATTEMPT, REFUND = UUID(int=1), UUID(int=2), UUID(int=3)
BEGAN = datetime.fromtimestamp(HandClock().now_s, UTC)


class Payments:
    """What the method tells of payments; nothing is disputed."""

    def __init__(self) -> None:
        self.watched: list[UUID] = []
        self.synced: list[str] = []

    async def watch(self, attempt: Attempt) -> None:
        self.watched.append(attempt.id)

    async def sync(self, intent: Any) -> str:
        self.synced.append(intent.id)
        return "booked"

    async def dispute_of(self, _attempt: Attempt) -> None:
        return None

    async def taken_for(self, *_values: Any) -> int:
        return 0


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with running_double() as running:
        yield running


@pytest.fixture
async def client(double: StripeDouble) -> AsyncIterator[StripeClient]:
    client = StripeClient(double.secret_key, base=double.url, retries=0)
    yield client
    await client.close()


def method(client: StripeClient, payments: Any = None, at: datetime = BEGAN) -> StripeMethod:
    return StripeMethod(client, payments or Payments(), now=lambda: at)


def attempt(amount_minor: int = 1250, currency: str = "EUR", **more: Any) -> Attempt:
    fields = {"status": "created", "reference": None, **more}
    return Attempt(
        id=ATTEMPT,
        booking_id=BOOKING,
        method="stripe",
        amount_minor=amount_minor,
        refunded_minor=0,
        currency=currency,
        created_at=BEGAN,
        **fields,
    )


def order(amount_minor: int = 1250, currency: str = "EUR", **more: Any) -> RefundOrder:
    return RefundOrder(
        id=REFUND, booking_id=BOOKING, amount_minor=amount_minor, currency=currency, **more
    )


async def paid(double: StripeDouble, client: StripeClient) -> Attempt:
    """An attempt whose intent was paid."""
    progress = await method(client).start(attempt())
    assert progress.reference is not None
    async with official_client(double) as api:
        await api.payment_intents.confirm_async(
            progress.reference, {"payment_method": "pm_card_visa"}
        )
    return attempt(reference=progress.reference)


async def test_what_cards_cannot_pay_is_not_asked_of_stripe(client: StripeClient) -> None:
    payments = Payments()
    tiny = attempt(1)
    started = await method(client, payments).start(tiny)
    assert (started.status, started.error_code) == ("failed", AMOUNT_NOT_PAYABLE)
    cancelled = await method(client, payments).cancel(tiny)
    assert (cancelled.status, cancelled.error_code) == ("cancelled", AMOUNT_NOT_PAYABLE)
    assert payments.watched == []


async def test_an_attempt_that_stripe_was_not_asked_for_is_pending(client: StripeClient) -> None:
    assert (await method(client).status(attempt())).status == "pending"


async def test_how_it_stands_is_what_stripe_says_or_unknown(
    double: StripeDouble, client: StripeClient
) -> None:
    payments, known = Payments(), await paid(double, client)
    # Whoever settles it tells the showtime.
    assert (await method(client, payments).status(known)).status == "pending"
    assert payments.synced == [known.reference]
    with pytest.raises(Refused, match="RETRY"):
        await method(client).status(attempt(reference="pi_of_somebody_else"))
    double.faults.add(Fault(kind="error", method="GET"))
    with pytest.raises(Refused, match="RETRY"):
        await method(client).status(known)
    double.faults.add(Fault(kind="error", method="GET"))
    with pytest.raises(Refused, match="RETRY"):
        await method(client).cancel(known)


async def test_an_intent_is_found_by_its_metadata_once_its_key_is_forgotten(
    double: StripeDouble, client: StripeClient
) -> None:
    other = msgspec.structs.replace(attempt(), id=UUID(int=9))
    await client.create_intent(
        amount=1250, currency="EUR", metadata=metadata_of(other), key=key_of(other)
    )
    first = await method(client).intent_of(attempt())
    late = BEGAN + KEYS_KEPT + timedelta(seconds=1)
    await client.create_intent(
        amount=1250, currency="EUR", metadata=metadata_of(other), key="another"
    )
    assert (await method(client, at=late).intent_of(attempt())).id == first.id
    # One that was never made is made.
    unknown = msgspec.structs.replace(attempt(), id=UUID(int=10))
    made = await method(client, at=late).intent_of(unknown)
    assert made.metadata == metadata_of(unknown)


async def test_what_was_paid_in_the_moment_of_its_cancelling_is_answered_as_paid(
    double: StripeDouble, client: StripeClient
) -> None:
    known = await paid(double, client)
    intent = await method(client).intent_of(known)
    assert (await method(client).cancelled(intent)).status == "succeeded"
    nobodys = msgspec.structs.replace(intent, id="pi_of_somebody_else")
    with pytest.raises(StripeRefused):
        await method(client).cancelled(nobodys)


async def test_a_refund_is_asked_for_once_and_then_looked_at(
    double: StripeDouble, client: StripeClient
) -> None:
    known = await paid(double, client)
    first = await method(client).refund(known, order(500))
    assert (first.status, first.reference is None) == ("succeeded", False)
    again = await method(client).refund(known, order(500))
    looked = await method(client).refund(known, order(500, reference=first.reference))
    assert first == again == looked


async def test_a_refund_that_cards_cannot_carry_has_failed(
    double: StripeDouble, client: StripeClient
) -> None:
    known = await paid(double, client)
    # Two digits at most.
    refund = await method(client).refund(known, order(1251, "KWD"))
    assert (refund.status, refund.error_code) == ("failed", AMOUNT_NOT_PAYABLE)


async def test_refunds_and_intents_of_others_are_none_of_ours(
    double: StripeDouble, client: StripeClient
) -> None:
    known = await paid(double, client)
    refund = await client.create_refund(
        known.reference or "", amount=100, metadata={"booking_id": "x"}, key="of others"
    )
    assert not is_of(refund, order())
    lost = msgspec.structs.replace(refund, status="failed")
    assert failed(lost) is None
    ours = msgspec.structs.replace(lost, metadata=metadata_of_refund(known, order()))
    undone = failed(ours)
    assert undone is not None
    assert undone.id == REFUND
    intent = await method(client).intent_of(known)
    assert mismatch(intent, known, livemode=False) is None
    assert mismatch(intent, attempt(1), livemode=False) == "amount"
