"""Bookings of a cinema, for its staff: found, looked at, noted about, their mails sent again.

What they do with a booking beyond that has use cases of its own, and is noted in the audit log
there too: cancelling, refunds, other seats, exchanges, tickets.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_MOMENT, Page, PageQuery, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.authority import own_cinemas, serves
from cinema.features.accounts.letters import AccountLetter
from cinema.features.accounts.shapes import Client, email_key
from cinema.features.accounts.throttles import Throttles
from cinema.features.accounts.user_store import Act
from cinema.features.bookings.order_rules import OrderLinks
from cinema.features.bookings.rules import masked
from cinema.features.bookings.shapes import (
    Booking,
    BookingBuyer,
    BookingNote,
    BookingSearch,
    ManagedBooking,
    NoteInput,
    SentAgain,
)
from cinema.features.bookings.staff_store import (
    AGAIN,
    PEOPLE_LIMIT,
    Looked,
    StaffBookingsRepository,
    Wanted,
)
from cinema.features.bookings.store import BookingsRepository
from cinema.features.refusals import found, granted

SAY_WHICH: Final = "Say a code, an e-mail address, a name or a showtime."
NO_EMAIL: Final = "This is not an e-mail address."
NO_NAME: Final = "There is no word in this name."
TOO_MANY: Final = (
    f"More than {PEOPLE_LIMIT} people are called so: say the whole name, or the showtime as well."
)


class StaffBookingsService:
    """Use cases of staff; each refuses with a code of `docs/errors.md`.

    Bookings of other cinemas are NOT_FOUND.
    """

    def __init__(
        self,
        staff: StaffBookingsRepository,
        bookings: BookingsRepository,
        links: OrderLinks,
        throttles: Throttles,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._staff = staff
        self._bookings = bookings
        self._links = links
        self._throttles = throttles
        self._new_id = new_id
        self._now = now

    async def search(self, by: Principal, query: BookingSearch) -> Page[ManagedBooking]:
        """Bookings of the caller's cinemas, newest first. Refuses VALIDATION_ERROR, RETRY."""
        position = granted(after(query.cursor, BY_MOMENT))
        wanted = Wanted(
            cinema_ids=own_cinemas(by),
            code=None if query.code is None else "".join(query.code.split()).upper(),
            email_key=None if query.email is None else _key_of(query.email),
            name=query.name,
            showtime_id=query.showtime_id,
        )
        if not any((wanted.code, wanted.email_key, wanted.name, wanted.showtime_id)):
            raise refuse("VALIDATION_ERROR", SAY_WHICH, path="$")
        if wanted.name is not None:
            if not await self._staff.is_name(wanted.name):
                raise refuse("VALIDATION_ERROR", NO_NAME, path="$.name")
            if wanted.has_name_alone and await self._staff.has_too_many(wanted.name):
                raise refuse("VALIDATION_ERROR", TOO_MANY, path="$.name")
        rows = await self._staff.search(
            wanted,
            None if position is None else (from_us(position[0]), position[1]),
            query.limit + 1,
        )
        shown = page(rows, query.limit, lambda one: (to_us(one[1]), one[0]))
        ids = [booking_id for booking_id, _ in shown.items]
        looked, bookings = await self._staff.look(ids), await self._bookings.of_ids(ids)
        items = [
            _managed(looked[one], bookings[one]) for one in ids if one in looked and one in bookings
        ]
        return Page(items=items, next_cursor=shown.next_cursor)

    async def booking(self, by: Principal, booking_id: UUID) -> ManagedBooking:
        """A booking of one of the caller's cinemas. Refuses NOT_FOUND, RETRY."""
        looked = await self._looked(by, booking_id)
        return _managed(looked, found(await self._bookings.find(booking_id, None)))

    async def send_again(self, by: Principal, booking_id: UUID, client: Client) -> SentAgain:
        """Send the customer a mail with the booking and its tickets, as if it were new.

        A guest gets a new link, and the former one ends. Refuses NOT_FOUND, TICKET_UNPAID,
        BOOKING_ENDED, NO_EMAIL_ADDRESS, RATE_LIMITED.
        """
        looked = await self._looked(by, booking_id)
        if looked.status == "pending":
            raise refuse("TICKET_UNPAID")
        if looked.status != "confirmed":
            raise refuse("BOOKING_ENDED")
        if looked.email is None or looked.by_counter:
            raise refuse("NO_EMAIL_ADDRESS")
        act = self._act(by, client)
        link = self._links.make(booking_id) if looked.is_guest else None
        url = self._links.page(booking_id) if link is None else link.url
        starts_at = looked.starts_at.astimezone(ZoneInfo(looked.time_zone))
        letter = AccountLetter(
            kind=AGAIN,
            to=looked.email,
            language=looked.language,
            payload={
                "first_name": looked.first_name,
                "code": looked.code,
                "film": looked.film,
                "cinema": looked.cinema,
                "starts": f"{starts_at:%Y-%m-%d %H:%M}",
                "seats": looked.seats or "",
                "url": url,
                "booking_id": str(booking_id),
            },
            dedupe=f"{AGAIN}:{act.entry_id.hex}",
        )
        async with self._throttles.mail_again(AGAIN, looked.email):
            if not await self._staff.send_again(looked, letter, link, act):
                raise refuse("NO_EMAIL_ADDRESS")
        return SentAgain(to=masked(looked.email))

    async def notes(self, by: Principal, booking_id: UUID, query: PageQuery) -> Page[BookingNote]:
        """What staff have written down about a booking, newest first. Refuses NOT_FOUND, RETRY."""
        position = granted(after(query.cursor, BY_MOMENT))
        await self._looked(by, booking_id)
        rows = await self._staff.notes(
            booking_id,
            None if position is None else (from_us(position[0]), position[1]),
            query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.written_at), one.id))

    async def add_note(
        self,
        by: Principal,
        booking_id: UUID,
        request: NoteInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> BookingNote:
        """Write something down about a booking. Refuses NOT_FOUND, RETRY, OUTCOME_UNKNOWN."""
        await self._looked(by, booking_id)
        act = self._act(by, client)
        return await self._staff.add_note(booking_id, self._new_id(), request.text, act, key)

    async def _looked(self, by: Principal, booking_id: UUID) -> Looked:
        looked = found((await self._staff.look([booking_id])).get(booking_id))
        if not serves(by, looked.cinema_id):
            raise refuse("NOT_FOUND")
        return looked

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )


def _key_of(email: str) -> str:
    key = email_key(email)
    if key is None:
        raise refuse("VALIDATION_ERROR", NO_EMAIL, path="$.email")
    return key


def _managed(looked: Looked, booking: Booking) -> ManagedBooking:
    return ManagedBooking(
        booking=booking,
        showtime=looked.showtime,
        customer=BookingBuyer(
            kind="guest" if looked.is_guest else "account",
            name=looked.name,
            email=None if looked.email is None else masked(looked.email),
        ),
        notes=looked.notes,
    )
