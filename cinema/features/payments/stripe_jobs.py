"""Works off what is to be done about payments by Stripe.

Options: every node looks each second (`cinema/jobs/worker.py`), and gives one task to one process
for `LEASE`, or `CONFIRM_LEASE` while a payment is settled. Kinds of tasks:

- `event`: what a webhook told. After `ATTEMPTS_LIMIT` attempts it is given up.
- `look`: an attempt, two minutes after its start and then every `LOOK_EVERY`, until nothing can
  come of it: nothing depends on webhooks. It is there before Stripe is asked for the first time.
- `settle`: a payment that has come; its showtime decides. Never given up.
- `return`: money that buys nothing goes back: its customer is told. Never given up.
- `day`: the ledger of a day against Stripe's, once, an hour after its end, or when there is a node
  again.

Telemetry: the log events below, the metrics of `stripe_metrics.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from cinema.domain.rejections import Refused
from cinema.features.ledger.methods import UNDER_WAY, Attempt
from cinema.features.ledger.store import AttemptsRepository
from cinema.features.messages.enqueuing import Enqueue
from cinema.features.payments.stripe_method import StripeMethod
from cinema.features.payments.stripe_metrics import StripeCounts
from cinema.features.payments.stripe_reconciliation import Reconciliation
from cinema.features.payments.stripe_rules import PAID
from cinema.features.payments.stripe_service import CONFIRM_LEASE, StripePayments
from cinema.features.payments.stripe_store import StripeRepository, Task, money_text
from cinema.integrations.stripe.client import (
    MISSING,
    StripeClient,
    StripeRefused,
    StripeUnavailable,
)
from cinema.storage.database.transactions import Pool, transaction
from cinema.storage.journal.store import StoreUnavailable
from cinema.telemetry.logging import LogLimit

TASK_PUT_OFF: Final = "stripe_task_put_off"
TASK_GIVEN_UP: Final = "stripe_task_given_up"

LEASE: Final = timedelta(seconds=90)
"""Longer than a call of Stripe with all its attempts, and than a page of a day."""

LOOK_EVERY: Final = timedelta(seconds=60)
"""By then a webhook would have come."""

DAY_AFTER: Final = timedelta(hours=1)
"""How long after its end a day is compared: what was paid at midnight is booked by then."""

LOOK_AT_STATE_EVERY: Final = timedelta(seconds=15)

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 600.0
"""Waits after failures double from the first to the longest."""

ATTEMPTS_LIMIT: Final = 50
"""Eight hours of failures; what the event was about is looked at by reconciliation too."""

MESSAGE: Final = "payment_returned"

log = structlog.get_logger(__name__)


class StripeTasks:
    """The queue of tasks, for a `Worker`."""

    def __init__(
        self,
        client: StripeClient,
        method: StripeMethod,
        payments: StripePayments,
        reconciliation: Reconciliation,
        rows: AttemptsRepository,
        tasks: StripeRepository,
        counts: StripeCounts,
        pool: Pool,
        post: Enqueue,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._method = method
        self._payments = payments
        self._reconciliation = reconciliation
        self._rows = rows
        self._tasks = tasks
        self._counts = counts
        self._pool = pool
        self._post = post
        self._now = now
        self._look_at = now()
        self._day: date | None = None
        self._limit = LogLimit()
        self._ways: dict[str, Callable[[Task], Awaitable[None]]] = {
            "event": self._event,
            "look": self._look,
            "settle": self._settle,
            "return": self._return,
            "day": self._compare,
        }

    async def claim(self, limit: int) -> Sequence[Task]:
        """Claim tasks that are due, oldest first; no other worker gets them for a while."""
        if not self._client.has_key:
            return ()
        now = self._now()
        if now >= self._look_at:
            self._look_at = now + LOOK_AT_STATE_EVERY
            await self._remember_yesterday(now)
            self._counts.note(await self._tasks.state(), now)
        return await self._tasks.claim(LEASE, CONFIRM_LEASE, limit)

    async def work(self, task: Task) -> None:
        """Do one task, and note the outcome."""
        try:
            await self._ways[task.kind](task)
        except (StripeUnavailable, StripeRefused, Refused, StoreUnavailable) as error:
            await self._not_done(task, error)

    async def _event(self, task: Task) -> None:
        try:
            outcome = await self._payments.act(task.detail)
        except StripeRefused as refused:
            if refused.code != MISSING:
                raise
            # Of another account, or of a double that has forgotten it.
            outcome = MISSING
        await self._end(task, outcome)

    async def _look(self, task: Task) -> None:
        """How it stands with an attempt; again in a minute, until nothing can come of it.

        A booking may have ended at its second bound, while Stripe was away. Then its intent can
        still be paid, and is cancelled here.
        """
        attempt = await self._rows.find(UUID(task.name))
        if attempt is None or attempt.status in PAID or await self._tasks.is_owed(attempt.id):
            await self._end(task, "known")
            return
        intent = await self._method.intent_of(attempt)
        outcome = await self._payments.sync(intent)
        if outcome == "pending" and attempt.status not in UNDER_WAY:
            outcome = await self._payments.sync(await self._method.cancelled(intent))
        if outcome == "cancelled":
            await self._end(task, outcome)
            return
        self._counts.task("look", outcome)
        await self._tasks.put_off(task, LOOK_EVERY)

    async def _settle(self, task: Task) -> None:
        await self._payments.settle(task)

    async def _return(self, task: Task) -> None:
        """Tell a customer, once, that money goes back which buys nothing.

        A build that is replaced has noted only that it is owed: then the refund is asked for here.
        """
        attempt = await self._rows.find(UUID(task.name))
        if attempt is None:
            await self._end(task, "known")
            return
        reason = str(task.detail["reason"])
        await self._tell(attempt, reason)
        await self._payments.give_back(attempt, reason)
        await self._end(task, "told")

    async def _tell(self, attempt: Attempt, why: str) -> None:
        """Tell the customer that the money comes back."""
        found = await self._tasks.addressee(attempt.booking_id)
        if found is None or found.email is None:
            return
        async with transaction(self._pool) as running:
            await self._post(
                running,
                kind=MESSAGE,
                to=found.email,
                language=found.language,
                payload={
                    "first_name": found.first_name,
                    "film": found.film,
                    "cinema": found.cinema,
                    "starts": found.starts,
                    "code": found.code,
                    "amount": money_text(attempt.amount_minor, attempt.currency),
                    "why": why,
                },
                dedupe_key=f"{MESSAGE}:{attempt.id}",
            )

    async def _compare(self, task: Task) -> None:
        await self._reconciliation.compare(date.fromisoformat(task.name))
        await self._end(task, "done")

    async def _remember_yesterday(self, now: datetime) -> None:
        """Tasks for the day that has ended, and for days before on which no node ran."""
        day = (now - DAY_AFTER).date() - timedelta(days=1)
        if day != self._day:
            await self._tasks.add_days(day)
            self._day = day

    async def _end(self, task: Task, outcome: str) -> None:
        self._counts.task(task.kind, outcome)
        await self._tasks.end(task, outcome)

    async def _not_done(self, task: Task, error: Exception) -> None:
        """Try again later; only what others look at too is given up."""
        if task.kind == "event" and task.attempts >= ATTEMPTS_LIMIT:
            log.error(TASK_GIVEN_UP, kind=task.kind, task=task.name, reason=str(error))
            await self._end(task, "given_up")
            return
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(task.attempts - 1, 20))
        self._counts.task(task.kind, "put_off")
        self._limit.write(
            log.warning, TASK_PUT_OFF, kind=task.kind, task=task.name, reason=str(error)
        )
        wait = LOOK_EVERY if task.kind == "look" else timedelta(seconds=wait_s)
        await self._tasks.put_off(task, wait, str(error))
