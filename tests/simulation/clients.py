"""Customers: they hold, extend, release, book, cancel and look, and repeat what they must."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from cinema.actors.messages import Accepted, Message, Outcome, ReadHold, ReadSeats
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import (
    BookHold,
    CancelBooking,
    Command,
    ExtendHold,
    HoldSeats,
    ReleaseHold,
)
from cinema.domain.showtime.events import BookingCancelled, HoldBooked, HoldReleased, SeatsHeld
from tests.simulation.profile import chosen

if TYPE_CHECKING:
    from tests.simulation.world import World

REPETITIONS = 4
DOUBLE_CLICKS = 0.1
OTHER_REQUEST = 0.02
MEMORY = 6

Make = Callable[[bytes, bytes], Message]
"""A message for a command id and a fingerprint; ids that the server draws are new each time."""


class Client:
    """One customer and what they remember of their holds and bookings."""

    def __init__(self, world: World, name: str, rng: random.Random) -> None:
        self.name = name
        self._world = world
        self._rng = rng
        self._customer = rng.randbytes(16)
        self._holds: list[tuple[bytes, bytes]] = []
        self._bookings: list[tuple[bytes, bytes]] = []

    async def run(self) -> None:
        """Act until the run is calm."""
        world, rng = self._world, self._rng
        while not world.calm:
            await asyncio.sleep(rng.expovariate(1 / world.profile.think_s))
            await self._act(chosen(rng, world.profile.operations))

    async def _act(self, operation: str) -> None:
        """One wish, repeated with its key until something is known."""
        showtime_id, make = self._wish(operation)
        if make is None:
            return
        rng = self._rng
        if operation in {"seats", "see_hold"}:
            await self._send(showtime_id, make(b"", b""))
            return
        keyed = rng.random() < self._world.profile.keyed
        if not keyed:
            await self._send(showtime_id, make(rng.randbytes(16), b""))
            return
        key, fingerprint = rng.randbytes(16), rng.randbytes(8)
        if rng.random() < DOUBLE_CLICKS:
            await asyncio.gather(
                *[self._send(showtime_id, make(key, fingerprint)) for _ in range(2)]
            )
        for _ in range(REPETITIONS):
            if rng.random() < OTHER_REQUEST:
                fingerprint = rng.randbytes(8)
            outcome = await self._send(showtime_id, make(key, fingerprint))
            if isinstance(outcome, Accepted | Rejection) or self._world.calm:
                return
            await asyncio.sleep(rng.uniform(0.0, 0.3))

    async def _send(self, showtime_id: bytes, message: Message) -> Outcome | None:
        world = self._world
        if world.profile.clustered or self._rng.random() < world.stray:
            node = self._rng.choice(world.names)
        else:
            node = world.views.owner(self.name, showtime_id)
        outcome = await world.ask(showtime_id, message, node)
        if isinstance(outcome, Accepted):
            self._remember(showtime_id, outcome)
        return outcome

    def _remember(self, showtime_id: bytes, outcome: Accepted) -> None:
        match outcome.event:
            case SeatsHeld(hold_id=hold_id):
                self._holds = [*self._holds[-MEMORY:], (showtime_id, hold_id)]
            case HoldReleased(hold_id=hold_id, seats=()):
                self._holds = [one for one in self._holds if one[1] != hold_id]
            case HoldBooked(hold_id=hold_id, booking_id=booking_id):
                self._holds = [one for one in self._holds if one[1] != hold_id]
                self._bookings = [*self._bookings[-MEMORY:], (showtime_id, booking_id)]
            case BookingCancelled(booking_id=booking_id, seats=()):
                self._bookings = [one for one in self._bookings if one[1] != booking_id]
            case _:
                pass

    def _wish(self, operation: str) -> tuple[bytes, Make | None]:
        """What to ask for, of which showtime; nothing if there is nothing to ask about."""
        rng, customer = self._rng, self._customer
        if operation in {"hold", "seats"}:
            showtime_id = rng.choice(self._world.showtimes)
            if operation == "seats":
                return showtime_id, lambda _id, _mark: ReadSeats(customer=customer)
            return showtime_id, self._hold()
        known = self._bookings if operation == "cancel" else self._holds
        if not known:
            return b"", None
        showtime_id, target = rng.choice(known)
        return showtime_id, self._about(operation, target)

    def _hold(self) -> Make:
        labels = self._world.plan.labels
        count = min(self._rng.choice((1, 1, 2, 3)), len(labels))
        first = self._rng.randrange(len(labels) - count + 1)
        wanted = list(labels[first : first + count])

        def make(command_id: bytes, fingerprint: bytes) -> Command:
            return HoldSeats(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=self._rng.randbytes(16),
                customer=self._customer,
                labels=wanted,
            )

        return make

    def _about(self, operation: str, target: bytes) -> Make:
        rng, customer = self._rng, self._customer

        def make(command_id: bytes, fingerprint: bytes) -> Message:
            match operation:
                case "extend":
                    return ExtendHold(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        hold_id=target,
                        customer=customer,
                    )
                case "release":
                    return ReleaseHold(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        hold_id=target,
                        customer=customer,
                    )
                case "cancel":
                    return CancelBooking(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        booking_id=target,
                        customer=customer,
                    )
                case "see_hold":
                    return ReadHold(hold_id=target, customer=customer)
                case _:
                    booking_id = rng.randbytes(16)
                    return BookHold(
                        command_id=command_id,
                        fingerprint=fingerprint,
                        hold_id=target,
                        customer=customer,
                        booking_id=booking_id,
                        code=booking_id.hex()[:12],
                        payment_id=rng.randbytes(16),
                        payment_method="demo",
                    )

        return make
