"""Tells customers that their showtime starts at another time, or is on another screen.

The job is written with the event that moves the showtime (`features/showtimes/rows.py`), so that
neither exists without the other. It takes the bookings in the order of their ids; a mail is
enqueued in the transaction that notes how far it is. A mail says where and when the showtime is by
then: of two changes the second may have come already, and then there is one mail for both. Bounds:
`PAGE`; all others are those of the engine (`features/jobs`). Telemetry: that of jobs and messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cinema.domain.limits import FREE_REFUND_S
from cinema.domain.times import from_us
from cinema.features.bookings.jobs import PAGE
from cinema.features.bookings.showtime_store import (
    BookingToTell,
    MovedShowtime,
    ShowtimeBookingsRepository,
)
from cinema.features.feature import JobAttempt
from cinema.features.messages.enqueuing import Enqueue
from cinema.storage.database.transactions import Pool, transaction

MESSAGE: Final = "showtime_moved"


class BookingsOfMoved:
    """Does jobs of the kind `SHOWTIME_MOVE`."""

    def __init__(
        self,
        bookings: ShowtimeBookingsRepository,
        pool: Pool,
        post: Enqueue,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._bookings = bookings
        self._pool = pool
        self._post = post
        self._now = now

    async def run(self, attempt: JobAttempt) -> Mapping[str, Any]:
        """Tell everybody who had booked; begin after the last one who was told."""
        given = attempt.input
        showtime_id, booked_by = UUID(given["showtime_id"]), from_us(given["changed_at_us"])
        started_at, screen_id = from_us(given["starts_at_us"]), UUID(given["screen_id"])
        if attempt.total is None:
            total = await self._bookings.count_to_tell(showtime_id, booked_by)
            await attempt.report(total=total)
        last = attempt.position.get("booking_id")
        after = UUID(last) if last else UUID(int=0)
        while page := await self._bookings.to_tell(showtime_id, booked_by, after, PAGE):
            showtime = await self._bookings.moved_showtime(showtime_id, started_at, screen_id)
            if showtime is None or not showtime.is_elsewhere:
                # It is cancelled, of which another job tells them, or back where it was.
                break
            for booking in page:
                await self._tell(attempt, showtime, booking)
                after = booking.id
        return {"told": attempt.done}

    async def _tell(
        self, attempt: JobAttempt, showtime: MovedShowtime, booking: BookingToTell
    ) -> None:
        async with transaction(self._pool) as running:
            if booking.email is not None:
                await self._post(
                    running,
                    kind=MESSAGE,
                    to=booking.email,
                    language=booking.language,
                    payload={
                        "first_name": booking.first_name,
                        "film": showtime.film,
                        "cinema": showtime.cinema,
                        "started": showtime.started,
                        "starts": showtime.starts,
                        "former_screen": showtime.former_screen,
                        "screen": showtime.screen,
                        "seats": booking.seats,
                        "code": booking.code,
                        "refund_until": self._refund_until(showtime, booking),
                    },
                    dedupe_key=f"{MESSAGE}:{booking.id}:{showtime.version}",
                )
            await attempt.report(
                done=attempt.done + 1, position={"booking_id": str(booking.id)}, within=running
            )

    def _refund_until(self, showtime: MovedShowtime, booking: BookingToTell) -> str:
        """Until when the customer may give all back; empty if they may not, or no longer."""
        until = showtime.free_refund_until
        if until is None or until <= self._now():
            return ""
        promised_at = until - timedelta(seconds=FREE_REFUND_S)
        return showtime.refund_until or "" if booking.created_at <= promised_at else ""
