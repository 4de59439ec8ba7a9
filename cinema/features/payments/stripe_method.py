"""Payments by card: the method `stripe`, which asks Stripe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from cinema.domain.rejections import Refused, refuse
from cinema.features.ledger.disputes import DISPUTED
from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.payments.stripe_rules import (
    AMOUNT_NOT_PAYABLE,
    MISMATCH,
    STRIPE,
    is_for,
    is_of,
    key_of,
    key_of_refund,
    metadata_of,
    metadata_of_refund,
    mismatch,
    progress_of,
    refund_progress,
)
from cinema.features.payments.stripe_service import StripePayments
from cinema.integrations.stripe.amounts import NotPayable, stripe_amount
from cinema.integrations.stripe.client import (
    UNEXPECTED_STATE,
    StripeClient,
    StripeRefused,
    StripeUnavailable,
)
from cinema.integrations.stripe.objects import Intent
from cinema.telemetry.logging import LogLimit

STRIPE_UNAVAILABLE: Final = "stripe_unavailable"
STRIPE_REFUSED: Final = "stripe_refused"
PAYMENT_MISMATCHED: Final = "payment_mismatched"

KEYS_KEPT: Final = timedelta(hours=23)
"""For a day Stripe answers a repeated key with the first answer; later it would act once more."""

CLOCKS_APART_S: Final = 60
"""How far Stripe's clock may be from ours."""

log = structlog.get_logger(__name__)


class StripeMethod:
    """See `PaymentMethod`. An attempt is a payment intent; its reference is the intent's id.

    The payment of one booking that has succeeded is handed to `payments`, which alone tells its
    showtime, and is answered as `pending`: whoever asked looks at the booking, and finds it
    confirmed, or soon.
    """

    name = STRIPE
    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(
        self,
        client: StripeClient,
        payments: StripePayments,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._payments = payments
        self._now = now
        self._limit = LogLimit()

    async def start(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.start`; the same intent each time."""
        try:
            amount = stripe_amount(attempt.amount_minor, attempt.currency)
        except NotPayable:
            return Progress(status="failed", error_code=AMOUNT_NOT_PAYABLE)
        try:
            await self._payments.watch(attempt)
            return await self._compared(await self._intent(attempt, amount), attempt)
        except (StripeUnavailable, StripeRefused) as error:
            raise self._unknown(error, attempt) from None

    async def status(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.status`."""
        if attempt.reference is None:
            return Progress(status="pending")
        try:
            return await self._compared(await self._client.intent(attempt.reference), attempt)
        except (StripeUnavailable, StripeRefused) as error:
            raise self._unknown(error, attempt) from None

    async def cancel(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.cancel`.

        A process may have died between asking for an intent and storing its id. So an attempt
        without one asks again with the same key, and cancels what it gets.
        """
        try:
            amount = stripe_amount(attempt.amount_minor, attempt.currency)
        except NotPayable:
            return Progress(status="cancelled", error_code=AMOUNT_NOT_PAYABLE)
        try:
            intent = await self._intent(attempt, amount)
            if intent.status not in {"succeeded", "canceled"}:
                intent = await self.cancelled(intent)
            return await self._compared(intent, attempt)
        except (StripeUnavailable, StripeRefused) as error:
            raise self._unknown(error, attempt) from None

    async def refund(self, attempt: Attempt, order: RefundOrder) -> RefundProgress:
        """See `PaymentMethod.refund`.

        A refund that was asked for is found by its metadata, also after its key is forgotten. What
        the bank has taken is with the customer already, and only the rest is asked for.
        """
        try:
            if order.reference is not None:
                return refund_progress(await self._client.refund(order.reference))
            assert attempt.reference is not None, "nothing was paid by it"
            refunds = await self._client.refunds_of(attempt.reference)
            for known in refunds:
                if is_of(known, order):
                    return refund_progress(known)
            taken_minor = await self._payments.taken_for(attempt, order, refunds)
            if taken_minor >= order.amount_minor:
                dispute = await self._payments.dispute_of(attempt)
                name = None if dispute is None else dispute.id
                return RefundProgress(status="succeeded", reference=name)
            return refund_progress(
                await self._client.create_refund(
                    attempt.reference,
                    amount=stripe_amount_of_refund(order, taken_minor),
                    metadata=metadata_of_refund(attempt, order),
                    key=key_of_refund(order, taken_minor),
                )
            )
        except StripeUnavailable as error:
            raise self._unknown(error, attempt) from None
        except StripeRefused as refused:
            dispute = await self._payments.dispute_of(attempt)
            is_lost = dispute is not None and dispute.is_lost and not dispute.is_open
            # Nothing goes back while the bank decides, nor before we have heard of it.
            if (dispute is not None and dispute.is_open) or (
                refused.code == DISPUTED and not is_lost
            ):
                return RefundProgress(status="pending", error_code=DISPUTED)
            self._limit.write(
                log.warning,
                STRIPE_REFUSED,
                payment=str(attempt.id),
                refund=str(order.id),
                code=refused.code,
            )
            return RefundProgress(status="failed", error_code=refused.code)

    async def intent_of(self, attempt: Attempt) -> Intent:
        """The intent of an attempt. Raises `StripeUnavailable`, `StripeRefused`, `NotPayable`."""
        return await self._intent(attempt, stripe_amount(attempt.amount_minor, attempt.currency))

    async def _intent(self, attempt: Attempt, amount: int) -> Intent:
        """The attempt's intent, which is made if there is none yet."""
        if attempt.reference is not None:
            return await self._client.intent(attempt.reference)
        now = self._now()
        if now - attempt.created_at > KEYS_KEPT:
            since_s = int(attempt.created_at.timestamp()) - CLOCKS_APART_S
            async for intent in self._client.intents_between(since_s, int(now.timestamp()) + 1):
                if is_for(intent, attempt):
                    return intent
        return await self._client.create_intent(
            amount=amount,
            currency=attempt.currency,
            metadata=metadata_of(attempt),
            key=key_of(attempt),
        )

    async def cancelled(self, intent: Intent) -> Intent:
        """The intent after it was cancelled, or as it is if that came too late."""
        try:
            return await self._client.cancel_intent(intent.id)
        except StripeRefused as refused:
            if refused.code != UNEXPECTED_STATE:
                raise
            return await self._client.intent(intent.id)

    async def _compared(self, intent: Intent, attempt: Attempt) -> Progress:
        """What follows from an intent; nothing follows from one that is not as it was asked for."""
        wrong = mismatch(intent, attempt, livemode=self._client.livemode)
        if wrong is None:
            progress = progress_of(intent)
            if progress.status != "succeeded" or attempt.buys != "booking":
                return progress
            await self._payments.sync(intent)
            return Progress(status="pending", reference=intent.id)
        self._limit.write(
            log.error, PAYMENT_MISMATCHED, payment=str(attempt.id), intent=intent.id, field=wrong
        )
        return Progress(status="pending", error_code=MISMATCH)

    def _unknown(self, error: StripeUnavailable | StripeRefused, attempt: Attempt) -> Refused:
        """Nothing is known: a refusal too may come from a wrong key or another account."""
        self._limit.write(
            log.warning, STRIPE_UNAVAILABLE, payment=str(attempt.id), reason=str(error)
        )
        return refuse("RETRY", retry_after_s=1)


def stripe_amount_of_refund(order: RefundOrder, taken_minor: int = 0) -> int:
    """A refund's amount in the units of Stripe, without what was taken already.

    Refunds have no smallest amount.
    """
    try:
        return stripe_amount(order.amount_minor - taken_minor, order.currency, least=1)
    except NotPayable as error:
        raise StripeRefused(AMOUNT_NOT_PAYABLE, str(error)) from None
