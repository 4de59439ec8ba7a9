"""Payments: whoever pays a hold, and what becomes of the money.

Nothing is known of a payment but what a payment service says: that money came, and that it went
back. It is told as in the world: twice at once, late, again and again until somebody knows what
became of it. At the end every payment has bought its seats, or has gone back, and never both.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec

from cinema.actors.messages import Accepted, Message, Outcome
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import (
    AbandonPayment,
    ConfirmPayment,
    ReturnPayment,
    StartPayment,
)
from cinema.domain.showtime.events import HoldBooked, PaymentStarted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.simulation.world import World

PAYS = 0.75
"""How many customers pay what they have begun to pay; the others give up, or are given up."""

TOLD_TWICE = 0.5
LATE = 0.5
"""How many pay when the time for it is over."""

PATIENCE_S = (0.05, 0.5)
"""How long somebody waits who was not told what became of a payment."""


class Money(msgspec.Struct):
    """The money of one payment: what came, and what went back without a booking."""

    showtime_id: bytes
    came_minor: int = 0
    back_minor: int = 0
    settled: bool = False


class Payer:
    """The payment service of one customer, and those whom it tells."""

    def __init__(
        self,
        world: World,
        rng: random.Random,
        send: Callable[[bytes, Message], Awaitable[Outcome | None]],
    ) -> None:
        self._world = world
        self._rng = rng
        self._send = send

    def starting(self, hold_id: bytes, customer: bytes) -> Callable[[bytes, bytes], Message]:
        """The wish to pay a hold."""

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            booking_id = self._rng.randbytes(16)
            return StartPayment(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=hold_id,
                customer=customer,
                booking_id=booking_id,
                code=booking_id.hex()[:12],
                payment_id=self._rng.randbytes(16),
                payment_method="stripe",
            )

        return make

    async def see_through(self, showtime_id: bytes, event: PaymentStarted) -> None:
        """Pay, or do not, until it is known what became of it; once for each payment."""
        world, rng = self._world, self._rng
        if event.booking_id in world.money:
            return
        money = world.money[event.booking_id] = Money(showtime_id)
        window_s = world.profile.hold_ttl_s
        if rng.random() < PAYS:
            late = rng.random() < LATE
            await asyncio.sleep(rng.uniform(0.5, 2.0) * window_s if late else rng.uniform(0, 0.5))
            money.came_minor = sum(event.prices)
            delays = [rng.uniform(0, 0.3)]
            if rng.random() < TOLD_TWICE:
                delays.append(rng.uniform(0, window_s))
            await asyncio.gather(*[self._tell(one, showtime_id, event, money) for one in delays])
        else:
            expired = rng.random() < 0.5
            await asyncio.sleep(window_s if expired else rng.uniform(0, 0.3))
            await self._until_known(showtime_id, lambda: _abandonment(rng, event, expired))
        money.settled = True

    async def _tell(
        self, delay_s: float, showtime_id: bytes, event: PaymentStarted, money: Money
    ) -> None:
        """Money has come: book, or give it back once nobody can book it any more."""
        await asyncio.sleep(delay_s)
        outcome = await self._until_known(showtime_id, lambda: _confirmation(event))
        if not isinstance(outcome, Rejection) or outcome.code == "HOLD_ENDED":
            return
        back = await self._until_known(showtime_id, lambda: _return(self._rng, event))
        if isinstance(back, Rejection) and back.code == "HOLD_ENDED":
            return
        money.back_minor = money.came_minor

    async def _until_known(
        self, showtime_id: bytes, make: Callable[[], Message]
    ) -> Accepted | Rejection | None:
        """Ask until there is an answer that says what happened; None if the run is over before."""
        while not self._world.over:
            outcome = await self._send(showtime_id, make())
            if isinstance(outcome, Accepted | Rejection):
                return outcome
            await asyncio.sleep(self._rng.uniform(*PATIENCE_S))
        return None


def _confirmation(event: PaymentStarted) -> ConfirmPayment:
    """The same command, whoever tells of the payment, and however often."""
    return ConfirmPayment(
        command_id=event.payment_id,
        fingerprint=b"its sale",
        hold_id=event.hold_id,
        customer=event.customer,
        booking_id=event.booking_id,
        code=event.code,
        payment_id=event.payment_id,
        payment_method=event.payment_method,
        seat_count=len(event.seats),
    )


def _return(rng: random.Random, event: PaymentStarted) -> ReturnPayment:
    return ReturnPayment(
        command_id=rng.randbytes(16),
        hold_id=event.hold_id,
        customer=event.customer,
        booking_id=event.booking_id,
    )


def _abandonment(rng: random.Random, event: PaymentStarted, expired: bool) -> AbandonPayment:
    return AbandonPayment(
        command_id=rng.randbytes(16),
        hold_id=event.hold_id,
        customer=event.customer,
        booking_id=event.booking_id,
        expired=expired,
    )


def check_money(world: World, booked: dict[bytes, HoldBooked]) -> None:
    """What came has bought its seats or has gone back, and nobody has seats without paying."""
    for booking_id, money in world.money.items():
        name, event = booking_id.hex()[-4:], booked.get(booking_id)
        if not money.settled:
            world.violate(f"nobody knows what became of payment {name}")
        elif event is None and money.came_minor != money.back_minor:
            world.violate(f"payment {name} has bought nothing, and did not go back")
        elif event is not None and money.back_minor:
            world.violate(f"payment {name} went back, and its seats are sold")
        elif event is not None and money.came_minor != sum(event.prices):
            world.violate(f"payment {name} is {money.came_minor}, and {event} is sold for it")
    for booking_id, event in booked.items():
        exchanged = booking_id in world.journal.sold.exchanged_for
        if event.pending and booking_id not in world.money and not exchanged:
            world.violate(f"nobody paid for {event}")
