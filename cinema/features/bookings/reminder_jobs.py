"""Reminds customers of what they have booked before it begins, and of paying before they lose it.

Every node looks each ten seconds, and one at a time writes. Showtimes that begin soon, and bookings
that are given up soon, are found by their times: nothing is written while a booking is made, and
nothing for a hold that nobody pays (docs/adr/072-which-mails.md). How far the reminders of a
showtime are is noted in the transaction that enqueues them. A mail is looked at again when it is
sent. Bounds: `PAGE` bookings in a transaction, `ROUND` transactions in a look. Telemetry: the log
event below, and that of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from cinema.features.bookings.mail_jobs import about_booking
from cinema.features.bookings.mail_store import MailedBooking
from cinema.features.bookings.reminder_store import RemindersRepository
from cinema.features.messages.enqueuing import Enqueue
from cinema.features.rounds import Rounds
from cinema.features.seats.service import money
from cinema.storage.database.transactions import Pool, PooledConnection, transaction

REMINDERS_NOT_WRITTEN: Final = "reminders_not_written"

REMINDER_MESSAGE: Final = "booking_reminder"
UNPAID_MESSAGE: Final = "payment_due"

BEFORE_START: Final = timedelta(hours=3)
"""When customers are reminded of a showtime."""

JUST_BOOKED: Final = timedelta(hours=1)
"""Who has booked less than this before the reminder needs none."""

BEFORE_END: Final = timedelta(minutes=2)
"""When customers are told that their seats are given up, unless they pay; who has begun less than
this ago still has the page before them."""

PERIOD_S: Final = 10.0
"""Time between two looks, so that of the two minutes most are left."""

PAGE: Final = 100

ROUND: Final = 200
"""Pages of one look, so that a showtime of any size is done, and seats have the database again."""

log = structlog.get_logger(__name__)


class Reminders:
    """Writes reminders; on every node. `now` is the time that all nodes share."""

    def __init__(
        self,
        reminders: RemindersRepository,
        pool: Pool,
        post: Enqueue,
        *,
        base_url: str,
        now: Callable[[], datetime],
    ) -> None:
        self._reminders = reminders
        self._pool = pool
        self._post = post
        self._base_url = base_url
        self._now = now

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(log.warning, REMINDERS_NOT_WRITTEN, PERIOD_S)
        await rounds.run(self.round)

    async def round(self) -> None:
        """Write what is due now. Refuses RETRY."""
        for write in (self._before_end, self._before_start):
            for _ in range(ROUND):
                if not await write():
                    break

    async def is_pending(self, payload: Mapping[str, Any]) -> bool:
        """Whether the booking of a mail still waits for its payment. Refuses RETRY."""
        return await self._reminders.is_pending(UUID(payload["booking_id"]))

    async def is_coming(self, payload: Mapping[str, Any]) -> bool:
        """Whether the booking of a mail can be used at the time that it says. Refuses RETRY."""
        starts_at = datetime.fromisoformat(payload["starts_at"])
        return await self._reminders.starts(UUID(payload["booking_id"]), starts_at)

    async def _before_start(self) -> bool:
        """A page of one showtime; whether there may be more."""
        now = self._now()
        async with transaction(self._pool) as running:
            if not await self._reminders.is_ours(running):
                return False
            showtime = await self._reminders.starting(running, now, BEFORE_START)
            if showtime is None:
                return False
            booked_by = showtime.starts_at - BEFORE_START - JUST_BOOKED
            page = await self._reminders.to_remind(running, showtime, booked_by, PAGE)
            for booking in page:
                await self._remind(running, booking)
            is_full = len(page) == PAGE
            last_id = page[-1].id if is_full else None
            await self._reminders.note(running, showtime, last_id, None if is_full else now)
        return True

    async def _remind(self, running: PooledConnection, booking: MailedBooking) -> None:
        await self._post(
            running,
            kind=REMINDER_MESSAGE,
            to=booking.email,
            language=booking.language,
            payload={
                **about_booking(booking, self._base_url),
                "address": booking.address,
                "screen": booking.screen,
                "seats": booking.seats or "",
                "starts_at": booking.starts_at.isoformat(),
            },
            dedupe_key=f"{REMINDER_MESSAGE}:{booking.id}:{booking.starts_at.timestamp():.0f}",
            drop_after=booking.starts_at,
        )

    async def _before_end(self) -> bool:
        """A page of bookings that are given up soon; whether there may be more."""
        now = self._now()
        async with transaction(self._pool) as running:
            if not await self._reminders.is_ours(running):
                return False
            page = await self._reminders.unpaid(
                running, now, BEFORE_END, key=f"{UNPAID_MESSAGE}:", limit=PAGE
            )
            for booking in page:
                await self._post(
                    running,
                    kind=UNPAID_MESSAGE,
                    to=booking.email,
                    language=booking.language,
                    payload={
                        **about_booking(booking, self._base_url),
                        "seats": booking.seats or "",
                        "total": str(money(booking.total_minor, booking.currency)),
                        "until": booking.until or "",
                    },
                    dedupe_key=f"{UNPAID_MESSAGE}:{booking.id}",
                    drop_after=booking.pay_until,
                )
        return len(page) == PAGE
