"""What the method `points` says of an attempt."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from cinema.features.ledger.methods import Attempt, Progress, RefundOrder, RefundProgress
from cinema.features.loyalty.method import PointsMethod
from cinema.features.loyalty.store import PointsStanding

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ATTEMPT = Attempt(
    id=UUID(int=1),
    booking_id=UUID(int=2),
    method="points",
    status="created",
    amount_minor=1000,
    refunded_minor=0,
    currency="EUR",
    reference=None,
    created_at=NOW,
)


class Rows:
    """The rows of points, as one attempt sees them."""

    def __init__(self, standing: PointsStanding | None) -> None:
        self._standing = standing
        self.refunds: list[RefundOrder] = []

    async def reserve(self, payment_id: UUID, now: datetime) -> PointsStanding | None:
        assert now == NOW
        return await self.standing(payment_id)

    async def standing(self, payment_id: UUID) -> PointsStanding | None:
        assert payment_id == ATTEMPT.id
        return self._standing

    async def refund(self, payment_id: UUID, order: RefundOrder, now: datetime) -> None:
        assert (payment_id, now) == (ATTEMPT.id, NOW)
        self.refunds.append(order)


def standing(*, reserved: bool = False, pays_all: bool = False, balance: int = 0) -> PointsStanding:
    return PointsStanding(is_reserved=reserved, pays_all=pays_all, balance_minor=balance)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (None, Progress(status="failed", error_code="empty")),
        (standing(), Progress(status="failed", error_code="empty")),
        (standing(balance=5), Progress(status="pending")),
        (standing(reserved=True), Progress(status="pending", reserved=True)),
        (standing(reserved=True, pays_all=True), Progress(status="succeeded", reserved=True)),
    ],
)
async def test_an_attempt_stands_as_its_points_do(
    known: PointsStanding | None, says: Progress
) -> None:
    rows: Any = Rows(known)
    method = PointsMethod(rows, now=lambda: NOW)
    assert await method.start(ATTEMPT) == says
    assert await method.status(ATTEMPT) == says
    assert await method.cancel(ATTEMPT) == Progress(status="cancelled")


async def test_points_go_back_at_once() -> None:
    rows: Any = Rows(None)
    order = RefundOrder(
        id=UUID(int=3), booking_id=ATTEMPT.booking_id, amount_minor=10, currency="EUR"
    )
    method = PointsMethod(rows, now=lambda: NOW)
    assert await method.refund(ATTEMPT, order) == RefundProgress(status="succeeded")
    assert rows.refunds == [order]
