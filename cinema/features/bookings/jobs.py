"""Cancels the bookings of a cancelled showtime, and informs their customers.

The job is written with the event that cancels the showtime (`features/showtimes/rows.py`), so that
neither exists without the other. It goes through the bookings in the order of their ids. Every step
may be repeated: a booking's command has a key of its own, and there is one message for a booking,
however often it is requested. Bounds: `PAGE`; all others are those of the engine (`features/jobs`).
Telemetry: the log event below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import structlog

from cinema.actors.asking import refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, Unavailable
from cinema.domain.idempotency import ANONYMOUS, idempotency_key
from cinema.domain.rejections import refuse
from cinema.domain.showtime.commands import CancelBooking
from cinema.features.bookings.showtime_store import (
    BookingToCancel,
    CancelledShowtime,
    ShowtimeBookingsRepository,
)
from cinema.features.concessions.service import ConcessionsService
from cinema.features.feature import JobAttempt, JobFailed
from cinema.features.messages.enqueuing import Enqueue
from cinema.features.refusals import granted
from cinema.features.seats.service import money
from cinema.storage.database.transactions import Pool, transaction

BOOKING_NOT_CANCELLED: Final = "booking_not_cancelled"

MESSAGE: Final = "showtime_cancelled"
OPERATION: Final = "cancelBookingOfShowtime"

PAGE: Final = 50
"""Bookings that are read at a time, a second's work."""

log = structlog.get_logger(__name__)


class BookingsOfCancelled:
    """Does jobs of the kind `SHOWTIME_CANCELLATION`."""

    def __init__(
        self,
        dispatch: Dispatch,
        bookings: ShowtimeBookingsRepository,
        concessions: ConcessionsService,
        pool: Pool,
        post: Enqueue,
    ) -> None:
        self._dispatch = dispatch
        self._bookings = bookings
        self._concessions = concessions
        self._pool = pool
        self._post = post

    async def run(self, attempt: JobAttempt) -> Mapping[str, Any]:
        """Cancel the remaining bookings and inform everybody; begin after the last reported one."""
        showtime_id = UUID(attempt.input["showtime_id"])
        showtime = await self._bookings.cancelled_showtime(showtime_id)
        if showtime is None:
            raise JobFailed("The showtime is not cancelled.")
        last = attempt.position.get("booking_id")
        after = UUID(last) if last else UUID(int=0)
        while page := await self._bookings.to_cancel(showtime, after, PAGE):
            for booking in page:
                await self._settle(attempt, showtime, booking)
                after = booking.id
        return {"cancelled": attempt.done, "failed": attempt.failed}

    async def _settle(
        self, attempt: JobAttempt, showtime: CancelledShowtime, booking: BookingToCancel
    ) -> None:
        """Cancel one booking; the customer is informed even if they were faster."""
        is_cancelled = not booking.is_live or await self._cancel(attempt.id, showtime.id, booking)
        async with transaction(self._pool) as running:
            if is_cancelled and booking.email is not None:
                await self._post(
                    running,
                    kind=MESSAGE,
                    to=booking.email,
                    language=booking.language,
                    payload={
                        "first_name": booking.first_name,
                        "film": showtime.film,
                        "cinema": showtime.cinema,
                        "starts": showtime.starts,
                        "reason": showtime.reason,
                        "code": booking.code,
                        "refund": refund_of(booking),
                    },
                    dedupe_key=f"{MESSAGE}:{booking.id}",
                )
            await attempt.report(
                done=attempt.done + is_cancelled,
                failed=attempt.failed + (not is_cancelled),
                position={"booking_id": str(booking.id)},
                within=running,
            )

    async def _cancel(self, job_id: UUID, showtime_id: UUID, booking: BookingToCancel) -> bool:
        """Cancel a booking at its showtime; it may be repeated.

        False if it refuses. Refuses what may be tried again.
        """
        key = idempotency_key(ANONYMOUS, OPERATION, (job_id.bytes, booking.id.bytes), "")
        products_minor = 0
        if booking.products_minor:
            # From here on nothing is handed out: the showtime does not take place.
            kept = await self._concessions.keep(booking.id, key.digest)
            if kept == "picked_up":
                # In this moment: the customer is to be told of another amount.
                raise refuse("RETRY")
            products_minor = booking.products_minor if kept == "kept" else 0
        outcome = await self._dispatch.ask(
            showtime_id.bytes,
            CancelBooking(
                command_id=key.digest,
                fingerprint=key.fingerprint,
                booking_id=booking.id.bytes,
                customer=None,
                fees_minor=booking.fees_minor + products_minor,
                products_minor=products_minor,
            ),
        )
        if isinstance(outcome, Accepted):
            return True
        refusal = refusal_of(outcome)
        if isinstance(outcome, Unavailable):
            return bool(granted(refusal))
        if refusal.code == "BOOKING_ENDED":
            # Its customer was faster, or an attempt whose keys are forgotten by now.
            return True
        log.error(BOOKING_NOT_CANCELLED, booking=str(booking.id), reason=refusal.code)
        return False


def refund_of(booking: BookingToCancel) -> str:
    """What a customer gets back; nothing for a booking that was not paid yet."""
    if not booking.is_paid:
        return ""
    handed_out_minor = booking.sold_minor - booking.products_minor
    return str(money(booking.total_minor - handed_out_minor, booking.currency))
