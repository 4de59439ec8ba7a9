"""The method of bookings that wait until their series is decided.

Nobody chooses it: a series does. Once it is committed, its bookings are paid by its own method.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.ledger.rules import SERIES
from cinema.storage.database.transactions import Pool, connection

_ABORT: Final = """
with of_booking as (
    select series_id from series_bookings where booking_id = $1
), aborted as (
    update series set state = 'aborted', to_free = true, decided_at = $2
    where id = (select series_id from of_booking) and state = 'pending'
    returning true
)
select coalesce((select 'aborted' from aborted), (
    select state from series where id = (select series_id from of_booking)
))"""


class SeriesMethod:
    """See `PaymentMethod`."""

    name = SERIES
    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(self, pool: Pool, *, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._now = now

    async def start(self, _attempt: Attempt) -> Progress:
        """See `PaymentMethod.start`: the series does all that is to be done."""
        return Progress(status="pending")

    async def status(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.status`."""
        return await self.start(attempt)

    async def cancel(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.cancel`; what is committed is booked by whoever looks at series."""
        async with connection(self._pool) as writing:
            state = await writing.fetchval(_ABORT, attempt.booking_id, self._now())
        return Progress(status="cancelled" if state in {None, "aborted"} else "pending")

    async def refund(self, _attempt: Attempt, _order: RefundOrder) -> RefundProgress:
        """See `PaymentMethod.refund`: what is booked was paid by another method."""
        return RefundProgress(status="failed", error_code="series")
