"""What `POST /payments/process` answers to those whose payment is overtaken by something else."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from cinema.actors.messages import Outcome
from cinema.domain.principal import CUSTOMER, Principal
from cinema.domain.rejections import Refused, Rejection
from cinema.features.bookings.shapes import Booking, Payment
from cinema.features.ledger.methods import AtOnce, Attempt, MethodRegistry, Progress
from cinema.features.ledger.parts import POINTS
from cinema.features.ledger.rules import EXCHANGE, SERIES
from cinema.features.payments.service import PaymentsService
from cinema.features.payments.shapes import ProcessInput
from cinema.features.seats.service import money

ADA = Principal(user_id=bytes(16), role=CUSTOMER, session_id=bytes(16), expires_at_s=0.0)
BOOKING, PAYMENT = UUID(int=2), UUID(int=3)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class World:
    """The rooms around a payment: what they answer."""

    def __init__(self, *, progress: Progress, outcome: Outcome | None = None) -> None:
        self.statuses = ["pending"]
        self.progress = progress
        self.outcome = outcome
        self.way = "stopped"
        self.aside = [False]
        self.has_points_now = True
        self.ended: list[tuple[str, str]] = []
        self.methods = MethodRegistry(demo=True)
        self.methods.add(AtOnce(POINTS, waits=True))

    async def sale_of(self, _booking_id: UUID) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        user_id = UUID(bytes=ADA.user_id)
        return SimpleNamespace(cinema_id=None, user_id=user_id, claimed_by=None, status=status)

    async def find(self, *_values: Any) -> Booking:
        total = money(1000, "EUR")
        status: Any = self.statuses[0]
        payment = Payment(PAYMENT, "demo", "pending", total)
        return Booking(BOOKING, "CODE", UUID(int=1), status, [], total, NOW, payment)

    async def payable(self, _booking_id: UUID) -> Any:
        return SimpleNamespace(id=BOOKING, currency="EUR")

    async def resume(self, *_values: Any) -> tuple[Attempt, Progress]:
        attempt = Attempt(
            id=PAYMENT,
            booking_id=BOOKING,
            method="demo",
            status="pending",
            amount_minor=1000,
            refunded_minor=0,
            currency="EUR",
            reference=None,
            created_at=NOW,
        )
        return attempt, self.progress

    async def confirm(self, *_values: Any) -> Outcome | None:
        return self.outcome

    async def end(self, _attempt: Attempt, status: str, reason: str) -> None:
        self.ended.append((status, reason))

    async def make_way(self, *_values: Any) -> str:
        return self.way

    async def has_put_aside(self, *_values: Any) -> bool:
        return self.aside.pop(0)

    def check_customer(self, _principal: Principal) -> None:
        """Ada may have points."""

    async def has_points(self, *_values: Any) -> bool:
        return self.has_points_now


def payments(world: Any) -> PaymentsService:
    nobody: Any = None
    return PaymentsService(world, nobody, world, nobody, nobody, world, now=lambda: NOW)


async def pay(world: World, method: str = "demo") -> Booking:
    return await payments(world).process(ADA, ProcessInput(booking_id=BOOKING, method=method))


PAID = Progress(status="succeeded")
WAITS = Progress(status="pending")
FAILED = Progress(status="failed", error_code="declined")


async def test_a_booking_that_was_paid_and_cancelled_meanwhile_has_ended() -> None:
    world = World(progress=PAID, outcome=Rejection(code="HOLD_ENDED"))
    with pytest.raises(Refused, match="BOOKING_ENDED"):
        await pay(world)
    assert world.ended == [("failed", "HOLD_ENDED")]


async def test_who_has_no_points_is_told_so_unless_they_are_put_aside_for_this_booking() -> None:
    world = World(progress=WAITS)
    world.has_points_now = False
    with pytest.raises(Refused, match="POINTS_UNUSABLE"):
        await pay(world, POINTS)
    world.aside = [True]
    assert (await pay(world, POINTS)).payment.status == "pending"


async def test_a_payment_that_cannot_be_stopped_now_is_said_to_be_in_progress() -> None:
    world = World(progress=WAITS)
    world.way = "under_way"
    with pytest.raises(Refused, match="PAYMENT_IN_PROGRESS"):
        await pay(world, POINTS)


async def test_a_click_whose_twin_has_put_all_of_the_money_aside_is_no_failure() -> None:
    world = World(progress=FAILED)
    world.aside = [True]
    with pytest.raises(Refused, match="PAYMENT_IN_PROGRESS"):
        await pay(world)
    world.aside = [False]
    with pytest.raises(Refused, match="PAYMENT_FAILED"):
        await pay(world)


@pytest.mark.parametrize("method", ["counter_later", "free", EXCHANGE, SERIES])
async def test_methods_that_nobody_chooses_are_unknown(method: str) -> None:
    with pytest.raises(Refused, match="UNKNOWN_PAYMENT_METHOD"):
        await pay(World(progress=WAITS), method)
