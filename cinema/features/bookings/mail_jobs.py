"""Writes the mails about what happened to bookings, soon after it.

Every node looks each second, and one at a time writes: the mails are enqueued in the transaction
that moves the mark behind their events, so each is written once, and nothing is added to the
statement of a booking. A mail is looked at again when it is sent: `is_live` says whether the
booking can still be used. Bounds: `PAGE` events in a transaction, one statement for their mails,
`REST_S` and `RESTS_FOR` between two full pages.
Telemetry: the log event below, and that of messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from cinema.features.bookings.mail_store import BookingMailsRepository, Happening, MailedBooking
from cinema.features.feature import Rest
from cinema.features.messages.enqueuing import EnqueueAll
from cinema.features.messages.shapes import NewMessage
from cinema.features.rounds import Rounds, in_proportion
from cinema.features.seats.service import money
from cinema.storage.database.transactions import Pool, PooledConnection, transaction

BOOKING_MAILS_NOT_WRITTEN: Final = "booking_mails_not_written"

CONFIRMED_MESSAGE: Final = "booking_confirmed"
RECEIPT_MESSAGE: Final = "booking_receipt"
CHANGED_MESSAGE: Final = "booking_changed"
CANCELLED_MESSAGE: Final = "booking_cancelled"
REFUND_MESSAGE: Final = "refund_sent"

RECEIPT_AFTER: Final = timedelta(minutes=5)
"""When a receipt is sent: by then its document is issued, and nobody waits for tickets because
receipts are printed."""

PERIOD_S: Final = 1.0
"""Time between two looks: a customer sees the booking at once, and the mail soon after."""

PAGE: Final = 100
"""Events in one transaction, which takes a tenth of a second at most."""

REST_S: Final = 0.1
RESTS_FOR: Final = 3.0
"""Rest between two full pages, at the least, and so many times as long as the last one took: a
backlog leaves the database to the seats."""

log = structlog.get_logger(__name__)


class BookingMails:
    """Tells customers what they have booked; on every node. `base_url` is that of the pages."""

    def __init__(
        self,
        bookings: BookingMailsRepository,
        pool: Pool,
        post: EnqueueAll,
        *,
        base_url: str,
        now: Callable[[], datetime],
        rest: Rest = asyncio.sleep,
    ) -> None:
        self._bookings = bookings
        self._pool = pool
        self._post = post
        self._base_url = base_url
        self._now = now
        self._rest = rest

    async def run(self) -> None:
        """Run as long as the node runs."""
        rounds = Rounds(
            log.warning,
            BOOKING_MAILS_NOT_WRITTEN,
            PERIOD_S,
            behind_more=in_proportion(RESTS_FOR, least_s=REST_S),
            rest=self._rest,
        )
        await rounds.run(self.page)

    async def page(self) -> bool:
        """Write the mails of one page of events; whether there may be more. Refuses RETRY."""
        async with transaction(self._pool) as running:
            fresh = await self._bookings.fresh(running, PAGE)
            if fresh is None:
                return False
            if fresh.happenings:
                await self._tell(running, fresh.happenings)
            await self._bookings.move(running, fresh.position)
        return fresh.is_full

    async def is_live(self, payload: Mapping[str, Any]) -> bool:
        """Whether the booking of a mail can still be used. Refuses RETRY."""
        return await self._bookings.is_live(UUID(payload["booking_id"]))

    async def _tell(self, running: PooledConnection, happenings: Sequence[Happening]) -> None:
        booking_ids = list({one.booking_id for one in happenings})
        bookings = await self._bookings.bookings(running, booking_ids)
        ended = [one.booking_id for one in happenings if one.type == "booking.cancelled"]
        exchanged = await self._bookings.exchanged(running, ended) if ended else frozenset()
        refunds = [UUID(one.data["refund_id"]) for one in happenings if "refund_id" in one.data]
        sent = await self._bookings.sent_refunds(running, refunds) if refunds else frozenset()
        mails: list[NewMessage] = []
        for one in happenings:
            booking = bookings.get(one.booking_id)
            if booking is None:
                continue
            match one.type:
                case "booking.confirmed":
                    if booking.status == "confirmed" and not booking.is_called_off:
                        mails += self._confirmed(booking)
                case "booking.changed":
                    if booking.status == "confirmed" and not booking.is_called_off:
                        mails.append(self._changed(booking, one))
                case "booking.cancelled":
                    # Of a cancelled showtime all are told by another job.
                    if not booking.is_called_off and booking.id not in exchanged:
                        mails.append(self._cancelled(booking, one))
                case "refund.succeeded":
                    if UUID(one.data["refund_id"]) in sent:
                        mails.append(self._refunded(booking, one))
        if mails:
            await self._post(running, mails)

    def _confirmed(self, booking: MailedBooking) -> list[NewMessage]:
        about = about_booking(booking, self._base_url)
        total = str(money(booking.total_minor, booking.currency))
        receipt = NewMessage(
            kind=RECEIPT_MESSAGE,
            to=booking.email,
            language=booking.language,
            payload={**about, "total": total},
            dedupe_key=f"{RECEIPT_MESSAGE}:{booking.id}",
            send_at=self._now() + RECEIPT_AFTER,
        )
        if not booking.has_account:
            # Guests have a mail of their own, with a link.
            return [receipt]
        confirmed = NewMessage(
            kind=CONFIRMED_MESSAGE,
            to=booking.email,
            language=booking.language,
            payload={
                **about,
                "address": booking.address,
                "screen": booking.screen,
                "seats": booking.seats or "",
                "total": total,
            },
            dedupe_key=f"{CONFIRMED_MESSAGE}:{booking.id}",
            drop_after=booking.ends_at,
        )
        return [confirmed, receipt]

    def _changed(self, booking: MailedBooking, event: Happening) -> NewMessage:
        return NewMessage(
            kind=CHANGED_MESSAGE,
            to=booking.email,
            language=booking.language,
            payload={
                **about_booking(booking, self._base_url),
                "screen": booking.screen,
                "seats": booking.seats or "",
                "left": ", ".join(event.data["left"]),
                "chosen": ", ".join(event.data["chosen"]),
            },
            dedupe_key=f"{CHANGED_MESSAGE}:{event.id}",
            drop_after=booking.ends_at,
        )

    def _cancelled(self, booking: MailedBooking, event: Happening) -> NewMessage:
        return NewMessage(
            kind=CANCELLED_MESSAGE,
            to=booking.email,
            language=booking.language,
            payload={
                **about_booking(booking, self._base_url),
                "seats": ", ".join(event.data["seats"]),
                "left": "" if event.data["whole"] else booking.seats or "",
                "refund": _amount(event.data["refund"]),
            },
            dedupe_key=f"{CANCELLED_MESSAGE}:{event.id}",
        )

    def _refunded(self, booking: MailedBooking, event: Happening) -> NewMessage:
        return NewMessage(
            kind=REFUND_MESSAGE,
            to=booking.email,
            language=booking.language,
            payload={
                **about_booking(booking, self._base_url),
                "amount": _amount(event.data["amount"]),
            },
            dedupe_key=f"{REFUND_MESSAGE}:{event.data['refund_id']}",
        )


def about_booking(booking: MailedBooking, base_url: str) -> dict[str, str]:
    """What all mails about a booking say; without `url` if only its guest can see it."""
    return {
        "first_name": booking.first_name,
        "film": booking.film,
        "cinema": booking.cinema,
        "starts": booking.starts,
        "code": booking.code,
        "url": f"{base_url}/bookings/{booking.id}" if booking.has_page else "",
        "booking_id": str(booking.id),
    }


def _amount(told: Mapping[str, Any]) -> str:
    """An amount of an event as a mail shows it; empty if it is nothing."""
    minor: int = told["amount"]
    return str(money(minor, told["currency"])) if minor else ""
