"""Exchanges: whoever gives a booking up for a hold of another showtime, and who ends what is left.

A row decides, as in Postgres: it is pending, and then committed with the event that gives the old
seats up, or aborted by whoever looks at it when its time is over. The one who asks may be gone
after each step. At the end every exchange is one or the other, and its customer has one of both
bookings.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from cinema.actors.messages import Accepted, Message, Outcome
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import (
    AbandonPayment,
    CancelBooking,
    ConfirmPayment,
    StartPayment,
)
from cinema.domain.showtime.events import BookingCancelled, HoldBooked, Recorded, ShowtimeCancelled

if TYPE_CHECKING:
    from tests.simulation.world import World

GONE = 0.3
"""How many of those who ask are gone before they hear what came of it."""

WITHIN_S = (0.0, 0.2)
"""After this time others end an exchange, which may be at its decision just then."""

PATIENCE_S = (0.05, 0.5)


class Exchange(msgspec.Struct):
    """One exchange: for the booking `to_booking`, of a hold of another showtime."""

    id: bytes
    from_showtime: bytes
    from_booking: bytes
    to_showtime: bytes
    to_booking: bytes
    hold_id: bytes
    customer: bytes
    settled: bool = False


class Exchanger:
    """One customer's exchanges, and those who end them."""

    def __init__(
        self,
        world: World,
        rng: random.Random,
        send: Callable[[bytes, Message], Awaitable[Outcome | None]],
    ) -> None:
        self._world = world
        self._rng = rng
        self._send = send

    async def exchange(
        self,
        old: tuple[bytes, bytes, Mapping[str, int]],
        new: tuple[bytes, bytes],
        customer: bytes,
    ) -> None:
        """Give a booking (showtime, id, seats with prices) up for a hold (showtime, id)."""
        rng, world = self._rng, self._world
        from_showtime, from_booking, seen = old
        to_showtime, hold_id = new
        exchange = Exchange(
            rng.randbytes(16), from_showtime, from_booking, to_showtime, rng.randbytes(16), hold_id,
            customer,
        )  # fmt: skip
        world.exchanges.append(exchange)
        tables = world.journal.sold
        tables.exchanges[exchange.id] = "pending"
        tables.exchanged_for[exchange.to_booking] = exchange.id
        started = await self._send(to_showtime, self._start(exchange))
        world.go(self._end_later(exchange))
        if not isinstance(started, Accepted) or rng.random() < GONE:
            return
        given_up = await self._send(from_showtime, self._give_up(exchange, seen))
        if isinstance(given_up, Accepted) and rng.random() >= GONE:
            await self._settle(exchange)

    async def _end_later(self, exchange: Exchange) -> None:
        await asyncio.sleep(self._rng.uniform(*WITHIN_S))
        await self._settle(exchange)
        exchange.settled = not self._world.over
        # A command that somebody sent before may have its effect later than all this. Unpaid
        # bookings are looked for all the time.
        while not self._world.over:
            await asyncio.sleep(1.0)
            if exchange.to_booking in self._world.journal.sold.pending:
                await self._settle(exchange)

    async def _settle(self, exchange: Exchange) -> None:
        """What every node does with an exchange that it finds."""
        tables, rng = self._world.journal.sold, self._rng
        tables.abort_exchange(exchange.id)
        committed = tables.exchanges[exchange.id] == "committed"
        while not self._world.over:
            message = self._confirm(exchange) if committed else self._abandon(exchange)
            outcome = await self._send(exchange.to_showtime, message)
            if isinstance(outcome, Accepted | Rejection):
                return
            await asyncio.sleep(rng.uniform(*PATIENCE_S))

    def _start(self, exchange: Exchange) -> StartPayment:
        return StartPayment(
            command_id=self._rng.randbytes(16),
            hold_id=exchange.hold_id,
            customer=exchange.customer,
            booking_id=exchange.to_booking,
            code=exchange.to_booking.hex()[:12],
            payment_id=exchange.id,
            payment_method="exchange",
            for_exchange=True,
        )

    def _give_up(self, exchange: Exchange, seen: Mapping[str, int]) -> CancelBooking:
        return CancelBooking(
            command_id=self._rng.randbytes(16),
            booking_id=exchange.from_booking,
            customer=exchange.customer,
            exchange_id=exchange.id,
            carried_minor=sum(seen.values()),
            seen=tuple(seen.items()),
        )

    def _confirm(self, exchange: Exchange) -> ConfirmPayment:
        return ConfirmPayment(
            command_id=exchange.id,
            fingerprint=b"exchange",
            hold_id=exchange.hold_id,
            customer=exchange.customer,
            booking_id=exchange.to_booking,
            code=exchange.to_booking.hex()[:12],
            payment_id=exchange.id,
            payment_method="exchange",
            seat_count=0,
        )

    def _abandon(self, exchange: Exchange) -> AbandonPayment:
        return AbandonPayment(
            command_id=self._rng.randbytes(16),
            hold_id=exchange.hold_id,
            customer=exchange.customer,
            booking_id=exchange.to_booking,
            expired=False,
        )


def check_exchanges(
    world: World, booked: Mapping[bytes, HoldBooked], journals: Mapping[bytes, Sequence[Recorded]]
) -> None:
    """Each is decided, and whoever gave seats up has the others, if their showtime takes place."""
    given_up: dict[bytes, int] = {}
    cancelled = {
        showtime_id
        for showtime_id, journal in journals.items()
        if any(isinstance(one.event, ShowtimeCancelled) for one in journal)
    }
    for recorded in (one for journal in journals.values() for one in journal):
        event = recorded.event
        if isinstance(event, BookingCancelled) and event.exchange_id:
            given_up[event.exchange_id] = given_up.get(event.exchange_id, 0) + 1
    for exchange in world.exchanges:
        name, state = exchange.id.hex()[-4:], world.journal.sold.exchanges[exchange.id]
        if state == "pending" or not exchange.settled:
            world.violate(f"exchange {name} is {state}, and nobody ended it")
        if given_up.get(exchange.id, 0) != (state == "committed"):
            world.violate(f"exchange {name} is {state}, given up {given_up.get(exchange.id, 0)}")
        is_booked, waiting = exchange.to_booking in booked, world.journal.sold.pending
        is_off = exchange.to_showtime in cancelled
        if is_booked != (state == "committed") and (is_booked or not is_off):
            world.violate(f"exchange {name} is {state}, and its new booking: {is_booked}")
        if exchange.to_booking in waiting and not is_off:
            world.violate(f"exchange {name} is {state}, and its new seats still wait")
