"""Payments with loyalty points: the method `points`, whose provider is this server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.ledger.parts import POINTS
from cinema.features.loyalty.store import PointsRepository, PointsStanding

NO_POINTS: Final = "empty"


class PointsMethod:
    """See `PaymentMethod`. The points are those of the account that has made the booking.

    As with gift cards they are put aside when the attempt starts, and what becomes of them follows
    from the attempt.
    """

    name = POINTS
    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(self, points: PointsRepository, *, now: Callable[[], datetime]) -> None:
        self._points = points
        self._now = now

    async def start(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.start`: as many as there are, at most what is wanted."""
        return _progress(await self._points.reserve(attempt.id, self._now()))

    async def status(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.status`."""
        return _progress(await self._points.standing(attempt.id))

    async def cancel(self, _attempt: Attempt) -> Progress:
        """See `PaymentMethod.cancel`: nobody can book by what is put aside once it has failed."""
        return Progress(status="cancelled")

    async def refund(self, attempt: Attempt, order: RefundOrder) -> RefundProgress:
        """See `PaymentMethod.refund`."""
        await self._points.refund(attempt.id, order, self._now())
        return RefundProgress(status="succeeded")


def _progress(standing: PointsStanding | None) -> Progress:
    if standing is not None and standing.is_reserved:
        return Progress(status="succeeded" if standing.pays_all else "pending", reserved=True)
    if standing is None or not standing.balance_minor:
        return Progress(status="failed", error_code=NO_POINTS)
    # Some came in this moment, or the attempt has ended.
    return Progress(status="pending")
