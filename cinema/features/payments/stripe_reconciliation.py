"""The payments of a day, ours against Stripe's.

A difference is noted once, logged, counted and listed for admins. What can be mended is mended in
the same step: a payment that Stripe has and we have not is settled as if it had just been told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

import structlog

from cinema.features.ledger.methods import Attempt
from cinema.features.payments.stripe_rules import (
    PAID,
    attempt_named,
    mismatch,
    order_named,
    series_named,
    went_back,
)
from cinema.features.payments.stripe_service import OF_OTHERS, PAYMENT_DIFFERS, StripePayments
from cinema.features.payments.stripe_store import PAGE, StripeRepository
from cinema.integrations.stripe.client import MISSING, StripeClient, StripeRefused
from cinema.integrations.stripe.objects import Intent

NOT_BOOKED: Final = "not_booked"
NOT_PAID: Final = "not_paid"
UNKNOWN: Final = "unknown_payment"
REFUNDED: Final = "refunded"

REFUNDS_FAIL_WITHIN: Final = timedelta(days=30)
"""Banks send money back that long after it was given back: then refunds are looked at once more."""

log = structlog.get_logger(__name__)


class Reconciliation:
    """Compares whole days."""

    def __init__(
        self, client: StripeClient, payments: StripePayments, tasks: StripeRepository
    ) -> None:
        self._client = client
        self._payments = payments
        self._tasks = tasks

    async def compare(self, day: date) -> int:
        """Compare a day in UTC; how many differences were found that nobody knew.

        Raises `StripeUnavailable` and `StripeRefused`, and refuses RETRY; it may be repeated.
        """
        since = datetime.combine(day, time(), UTC)
        until = since + timedelta(days=1)
        found = 0
        # First what failed, which is no difference once it is noted.
        for ago in (timedelta(), REFUNDS_FAIL_WITHIN):
            async for refund in self._client.refunds_between(
                int((since - ago).timestamp()), int((until - ago).timestamp())
            ):
                await self._payments.refund_told(refund)
        await self._disputes(since, until)
        async for intent in self._client.intents_between(
            int(since.timestamp()), int(until.timestamp())
        ):
            found += await self._intent(day, intent)
        async for attempt in self._paid(since, until):
            found += await self._attempt(day, attempt)
        return found

    async def _disputes(self, since: datetime, until: datetime) -> None:
        """What banks have said of which nobody has told: of that day, or about open disputes."""
        async for dispute in self._client.disputes_between(
            int(since.timestamp()), int(until.timestamp())
        ):
            await self._payments.dispute_told(dispute)
        for name in await self._tasks.open_disputes():
            try:
                await self._payments.dispute_told(await self._client.dispute(name))
            except StripeRefused as refused:
                # Of another account, or of a double that has forgotten it.
                if refused.code != MISSING:
                    raise

    async def _intent(self, day: date, intent: Intent) -> int:
        """An intent of Stripe, against what we know of it."""
        if intent.status != "succeeded":
            return 0
        attempt = await self._payments.attempt_of(intent)
        theirs = f"{intent.amount_received} {intent.currency}"
        if attempt is None:
            if order_named(intent) is not None or series_named(intent) is not None:
                # Made good by the look itself.
                if await self._payments.sync(intent) != OF_OTHERS:
                    return 0
                return await self._differ(UNKNOWN, day, intent, None, ours="", theirs=theirs)
            if attempt_named(intent) is None:
                # Somebody else's, with the same account.
                return 0
            return await self._differ(UNKNOWN, day, intent, None, ours="", theirs=theirs)
        if attempt.status in PAID:
            return await self._refunds(day, intent, attempt)
        if await self._tasks.is_owed(attempt.id):
            return 0
        found = await self._differ(
            NOT_BOOKED, day, intent, attempt, ours=attempt.status, theirs=theirs
        )
        if await self._payments.sync(intent) in {"booked", "owed", "known"}:
            await self._tasks.agree(intent.id, [NOT_BOOKED])
        return found

    async def _attempt(self, day: date, attempt: Attempt) -> int:
        """A payment of ours, against what Stripe says of it."""
        assert attempt.reference is not None
        intent = await self._client.intent(attempt.reference)
        wrong = mismatch(intent, attempt, livemode=self._client.livemode)
        if intent.status == "succeeded" and wrong is None:
            await self._tasks.agree(intent.id, [NOT_PAID])
            return 0
        return await self._differ(
            NOT_PAID,
            day,
            intent,
            attempt,
            ours=f"{attempt.amount_minor} {attempt.currency}",
            theirs=f"{intent.amount_received} {intent.currency} {intent.status}",
        )

    async def _refunds(self, day: date, intent: Intent, attempt: Attempt) -> int:
        """What went back of a payment."""
        theirs_minor = went_back(await self._client.refunds_of(intent.id))
        ours_minor = await self._tasks.went_back(attempt.id)
        ours_minor -= await self._tasks.not_there(attempt.id)
        # What a bank has taken went back without a refund.
        lost_minor = await self._tasks.lost(attempt.id)
        ours_minor -= min(lost_minor, max(0, ours_minor - theirs_minor))
        if theirs_minor == ours_minor:
            await self._tasks.agree(intent.id, [REFUNDED])
            return 0
        return await self._differ(
            REFUNDED,
            day,
            intent,
            attempt,
            ours=f"{ours_minor} {attempt.currency}",
            theirs=f"{theirs_minor} {intent.currency}",
        )

    async def _differ(
        self,
        kind: str,
        day: date,
        intent: Intent,
        attempt: Attempt | None,
        *,
        ours: str,
        theirs: str,
    ) -> int:
        payment_id = None if attempt is None else attempt.id
        if not await self._tasks.differ(kind, intent.id, day, payment_id, ours=ours, theirs=theirs):
            return 0
        log.error(
            PAYMENT_DIFFERS,
            kind=kind,
            intent=intent.id,
            payment=None if payment_id is None else str(payment_id),
            ours=ours,
            theirs=theirs,
        )
        return 1

    async def _paid(self, since: datetime, until: datetime) -> AsyncIterator[Attempt]:
        after = UUID(int=0)
        while page := await self._tasks.paid_between(since, until, after):
            for attempt in page:
                yield attempt
                after = attempt.id
            if len(page) < PAGE:
                return
