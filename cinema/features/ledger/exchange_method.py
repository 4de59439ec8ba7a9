"""The method of bookings that are paid by giving up seats of another showtime.

Nobody chooses it: an exchange does. Its row says whether the seats were given up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.ledger.rules import EXCHANGE
from cinema.storage.database.transactions import Pool, connection

_ABORT: Final = """
with aborted as (
    update exchanges set state = 'aborted', decided_at = $2
    where to_booking_id = $1 and state = 'pending'
    returning true
)
select coalesce((select 'aborted' from aborted), (
    select state from exchanges where to_booking_id = $1
))"""


class ExchangeMethod:
    """See `PaymentMethod`."""

    name = EXCHANGE
    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(self, pool: Pool, *, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._now = now

    async def start(self, _attempt: Attempt) -> Progress:
        """See `PaymentMethod.start`: the exchange does all that is to be done."""
        return Progress(status="pending")

    async def status(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.status`."""
        return await self.start(attempt)

    async def cancel(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.cancel`; what is committed is booked by whoever looks at exchanges."""
        async with connection(self._pool) as writing:
            state = await writing.fetchval(_ABORT, attempt.booking_id, self._now())
        return Progress(status="cancelled" if state in {None, "aborted"} else "pending")

    async def refund(self, _attempt: Attempt, _order: RefundOrder) -> RefundProgress:
        """See `PaymentMethod.refund`: refunds are asked of what was paid first."""
        return RefundProgress(status="failed", error_code="exchange")
