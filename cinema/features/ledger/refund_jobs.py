"""Gives money back by the providers that have it.

Every node looks for refunds that are due each second (`cinema/jobs/worker.py`). One that is
claimed belongs to one node for `CLAIM_S`; the id of the refund is the key of idempotency at the
provider, so one that is asked for twice is paid once. One whose provider does not answer is tried
again, later and later, without end; one that is refused waits for staff. Telemetry: the log events
below, the metrics of `metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.ledger.methods import (
    Attempt,
    MethodRegistry,
    PaymentMethod,
    RefundOrder,
    RefundProgress,
)
from cinema.features.ledger.metrics import RefundCounts
from cinema.features.ledger.refund_store import DueRefund, RefundsRepository
from cinema.features.ledger.rules import account_of
from cinema.features.ledger.store import AttemptsRepository

REFUND_FAILED: Final = "refund_failed"
REFUND_DELAYED: Final = "refund_delayed"

CLAIM_S: Final = 120.0
"""How long a refund belongs to one node; calls of providers have shorter timeouts."""

PENDING_S: Final = 60.0
"""Time until a provider that works on a refund is asked again."""

LONGEST_S: Final = 3600.0
"""Longest time between two attempts."""

LOGGED_FROM: Final = 5
"""The attempt from which on a delay is logged."""

LOOK_EVERY: Final = timedelta(seconds=15)
"""How often all that waits is counted, for the metrics."""

log = structlog.get_logger(__name__)


class RefundQueue:
    """The refunds that wait for their providers, for a `Worker`."""

    def __init__(
        self,
        refunds: RefundsRepository,
        attempts: AttemptsRepository,
        methods: MethodRegistry,
        counts: RefundCounts,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._refunds = refunds
        self._counts = counts
        self._look_at: datetime | None = None
        self._attempts = attempts
        self._methods = methods
        self._now = now

    async def claim(self, limit: int) -> Sequence[DueRefund]:
        """Claim refunds that are due; no other node gets them for a while."""
        now = self._now()
        if self._look_at is None or now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._counts.note(await self._refunds.waiting(), now)
        return await self._refunds.claim(now, now + timedelta(seconds=CLAIM_S), limit)

    async def work(self, due: DueRefund) -> None:
        """Ask a provider for one refund, and note what it says."""
        attempt = await self._attempts.source_of(due.payment_id)
        method = None if attempt is None else self._methods.find(attempt.method)
        if attempt is None or method is None:
            await self._delay(due, "UNKNOWN_PAYMENT_METHOD")
        else:
            await self._ask(due, attempt, method)

    async def _ask(self, due: DueRefund, attempt: Attempt, method: PaymentMethod) -> None:
        order = RefundOrder(
            id=due.id,
            booking_id=due.booking_id,
            amount_minor=due.amount_minor,
            currency=due.currency,
            reference=due.reference,
            again=due.asked_again,
        )
        try:
            progress = await method.refund(attempt, order)
        except Refused as refused:
            await self._delay(due, refused.rejection.code)
        else:
            await self._note(due, progress, account_of(attempt.method))

    async def _note(self, due: DueRefund, progress: RefundProgress, account: str) -> None:
        self._counts.outcomes[progress.status] += 1
        if progress.status == "succeeded":
            await self._refunds.settle(due.id, progress.reference, account, self._now())
        elif progress.status == "failed":
            await self._refunds.fail(due.id, progress.reference, progress.error_code)
            log.warning(REFUND_FAILED, refund=str(due.id), reason=progress.error_code)
        else:
            until = self._now() + timedelta(seconds=PENDING_S)
            await self._refunds.put_off(due, until, progress.reference, progress.error_code)

    async def _delay(self, due: DueRefund, reason: str) -> None:
        self._counts.outcomes["delayed"] += 1
        wait_s = min(LONGEST_S, 2.0 ** min(due.attempts, 12))
        if due.attempts >= LOGGED_FROM:
            log.warning(REFUND_DELAYED, refund=str(due.id), reason=reason, attempts=due.attempts)
        await self._refunds.put_off(due, self._now() + timedelta(seconds=wait_s), None, reason)
