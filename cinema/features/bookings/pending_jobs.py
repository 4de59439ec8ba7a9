"""Gives up bookings that nobody has paid in time.

Every node looks for them; a booking that two nodes give up ends once. Should no node do it, the
showtime itself ends what is overdue by `PAYMENT_GRACE_SECONDS`. Bounds: `PAGE`. Telemetry: the log
event below.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted
from cinema.domain.rejections import Refused
from cinema.domain.showtime.commands import AbandonPayment
from cinema.features.bookings.store import BookingsRepository, UnpaidBooking
from cinema.features.ledger.service import AttemptsService
from cinema.features.rounds import Rounds
from cinema.telemetry.logging import LogLimit

BOOKING_NOT_GIVEN_UP: Final = "booking_not_given_up"

PERIOD_S: Final = 5.0
"""Time between two looks."""

PAGE: Final = 100

LOGGED: Final = 5
"""Lines about failures in a minute; a showtime that cannot be asked is tried again every time."""

log = structlog.get_logger(__name__)


class UnpaidBookings:
    """Ends pending bookings whose time to pay is over."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: BookingsRepository,
        attempts: AttemptsService,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._attempts = attempts
        self._now = now
        self._limit = LogLimit(lines=LOGGED, period_s=60.0)

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, BOOKING_NOT_GIVEN_UP, PERIOD_S).run(self.round)

    async def round(self) -> int:
        """Give up all that is due now; how many. Refuses RETRY."""
        ended, after = 0, UUID(int=0)
        while page := await self._bookings.unpaid(self._now(), after, PAGE):
            for booking in page:
                ended += await self._give_up(booking)
                after = booking.id
        return ended

    async def _give_up(self, booking: UnpaidBooking) -> bool:
        """End a booking, once it is certain that no money comes; then it may be paid instead."""
        try:
            stopped = await self._attempts.stop(booking.id)
        except Refused as refused:
            # One provider that is away does not keep the bookings of others.
            self._note(booking, refused.rejection.code)
            return False
        if stopped != "stopped":
            if stopped == "under_way":
                self._note(booking, "PAYMENT_IN_PROGRESS")
            return False
        command = AbandonPayment(
            command_id=secrets.token_bytes(16),
            hold_id=booking.hold_id.bytes,
            customer=booking.user_id.bytes,
            booking_id=booking.id.bytes,
            expired=True,
        )
        outcome = await self._dispatch.ask(booking.showtime_id.bytes, command)
        if isinstance(outcome, Accepted):
            return True
        refusal = refusal_of(outcome)
        if refusal.code != "HOLD_ENDED":
            # The next round comes soon. HOLD_ENDED: it was paid meanwhile.
            self._note(booking, refusal.code)
        return False

    def _note(self, booking: UnpaidBooking, reason: str) -> None:
        self._limit.write(log.warning, BOOKING_NOT_GIVEN_UP, booking=str(booking.id), reason=reason)
