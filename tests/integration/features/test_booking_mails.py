"""The mails about confirmed bookings: whose, what they say, and that each is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import refuse
from cinema.features.bookings import mail_jobs
from cinema.features.bookings.mail_jobs import BOOKING_MAILS_NOT_WRITTEN, BookingMails
from cinema.features.bookings.mail_store import BookingMailsRepository
from cinema.features.messages.store import MessagesRepository
from cinema.storage.encryption import Cipher
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
STARTS = datetime(2026, 6, 5, 18, 0, tzinfo=UTC)
SHOWTIME, CALLED_OFF = UUID(int=1), UUID(int=2)
ADA, BOB, STAFF, GUEST, GONE = (UUID(int=n) for n in range(11, 16))

_PEOPLE = """
insert into users (id, email, email_key, password_hash, first_name, language, role, created_at,
    deleted_at)
values ($1, 'ada@example.com', 'ada@example.com', 'none', 'Ada', 'de', 'customer', now(), null),
    ($2, 'bob@example.com', 'bob@example.com', 'none', '', 'en', 'customer', now(), null),
    ($3, 'staff@example.com', 'staff@example.com', 'none', '', 'en', 'staff', now(), null),
    ($4, 'erased-4@invalid', 'erased-4@invalid', 'none', '', 'en', 'customer', now(), now())"""
_BOOK = """
with made as (
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        created_at)
    values ($1, $2, $3, $4, $1, $5, 2450, 'EUR', now())
), paid as (
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    values (gen_random_uuid(), $1, $6, 'succeeded', 2450, 'EUR', now())
)
insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor, live)
select $1, place, $3, seat, 'regular', 1225, $5 = 'confirmed'
from unnest($7::text[]) with ordinality as one (seat, place)"""
_TELL = """
insert into public_events (id, type, showtime_id, booking_id, sequence, data, at)
values ($1, $2, $3, $4, (
    select count(*) + 1 from public_events where subject = $4
), '{}', now())"""


class Dies(Exception):
    """A process ends here."""


class Office:
    """Bookings, events that tell of them, and nodes that write mails."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.dies_at: list[int] = []
        self.payloads: list[Mapping[str, Any]] = []
        serials = iter(range(1000, 9999))
        self._messages = MessagesRepository(
            pool,
            Cipher([bytes(32)]),
            new_id=lambda: next(serials).to_bytes(16, "big"),
            now=lambda: NOW,
        )
        self.node = self.another()

    def another(self) -> BookingMails:
        """One more node."""
        return BookingMails(
            BookingMailsRepository(self.pool),
            self.pool,
            self._post,
            base_url="https://tickets.example",
        )

    async def _post(self, running: Any, **message: Any) -> object:
        """As the real one, but that a process may end behind it."""
        written = await self._messages.enqueue(running, **message)
        self.payloads.append(message["payload"])
        if len(self.payloads) in self.dies_at:
            raise Dies
        return written

    async def open(self) -> None:
        """A showtime, another that is cancelled, and people."""
        await self.pool.execute(INSERT_SHOWTIMES, [SHOWTIME, CALLED_OFF])
        await self.pool.execute(
            "update showtimes set starts_at = $2::timestamptz, ends_at = $2 + interval '2 hours', "
            "clear_at = $2 + interval '2 hours' where id = $1",
            SHOWTIME,
            STARTS,
        )
        await self.call_off(CALLED_OFF)
        await self.pool.execute("update cinemas set address = 'Hauptstraße 1'")
        await self.pool.execute(_PEOPLE, ADA, BOB, STAFF, GONE)
        await self.pool.execute(
            "insert into guests (id, created_at, expires_at, email, email_key) "
            "values ($1, now(), now() + interval '1 day', 'eve@example.com', 'eve@example.com')",
            GUEST,
        )

    async def call_off(self, showtime_id: UUID) -> None:
        await self.pool.execute(
            "update showtimes set cancelled_at = now() where id = $1", showtime_id
        )

    async def book(
        self,
        number: int,
        user_id: UUID,
        *,
        status: str = "confirmed",
        method: str = "demo",
        showtime_id: UUID = SHOWTIME,
    ) -> UUID:
        """A booking of two seats, of which an event tells."""
        booking_id, seats = UUID(int=number), [f"A{number}", f"B{number}"]
        await self.pool.execute(
            *(_BOOK, booking_id, f"CODE{number}", showtime_id, user_id, status, method, seats)
        )
        await self.tell(booking_id)
        return booking_id

    async def tell(self, booking_id: UUID, kind: str = "booking.confirmed") -> None:
        await self.pool.execute(_TELL, uuid4(), kind, SHOWTIME, booking_id)

    async def write(self) -> None:
        """Write all mails."""
        while await self.node.page():
            pass

    async def told(self) -> list[tuple[str, str]]:
        """Who gets a mail, and in which language."""
        rows = await self.pool.fetch(
            "select kind, recipient, language from messages order by dedupe_key"
        )
        assert {row[0] for row in rows} <= {"booking_confirmed"}
        return [(row[1], row[2]) for row in rows]


@pytest.fixture
async def office(pool: asyncpg.Pool[asyncpg.Record]) -> Office:
    office = Office(pool)
    await office.open()
    return office


async def test_a_mail_says_all_of_a_booking_in_the_language_of_its_customer(
    office: Office,
) -> None:
    booking_id = await office.book(101, ADA)
    await office.book(102, BOB)
    await office.write()
    assert await office.told() == [("ada@example.com", "de"), ("bob@example.com", "en")]
    assert office.payloads[0] == {
        "first_name": "Ada",
        "film": "Stalker",
        "cinema": "Aurora",
        "address": "Hauptstraße 1, Berlin",
        "screen": "One",
        "starts": "2026-06-05 20:00",
        "seats": "A101, B101",
        "total": "24.50 EUR",
        "code": "CODE101",
        "url": f"https://tickets.example/bookings/{booking_id}",
        "booking_id": str(booking_id),
    }
    ends_at = await office.pool.fetchval("select ends_at from showtimes where id = $1", SHOWTIME)
    assert await office.pool.fetch("select distinct drop_after from messages") == [(ends_at,)]


async def test_seats_that_were_given_back_and_an_address_that_is_not_known_are_left_out(
    office: Office,
) -> None:
    await office.pool.execute("update cinemas set address = ''")
    await office.book(101, ADA)
    await office.pool.execute("update booking_seats set live = false where seat = 'A101'")
    await office.write()
    (payload,) = office.payloads
    assert (payload["seats"], payload["address"]) == ("B101", "Berlin")


async def test_nobody_is_told_of_what_is_not_theirs_or_no_longer_so(office: Office) -> None:
    await office.book(101, GUEST)  # has the mail with the link
    await office.book(102, GONE)
    await office.book(103, ADA, status="cancelled")
    await office.book(104, ADA, status="pending")
    await office.book(105, ADA, showtime_id=CALLED_OFF)
    await office.tell(UUID(int=999))
    await office.write()
    assert await office.told() == []


async def test_what_staff_sell_at_the_counter_is_nobodys_mail(office: Office) -> None:
    await office.book(101, STAFF, method="counter")
    await office.book(102, STAFF, method="counter_later")
    await office.write()
    assert await office.told() == []
    # They go to the cinema too, and their customers pay at the counter.
    await office.book(103, STAFF)
    await office.book(104, ADA, method="counter")
    await office.write()
    assert await office.told() == [("staff@example.com", "en"), ("ada@example.com", "de")]


async def test_other_events_are_passed_and_those_behind_them_are_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_jobs, "PAGE", 2)
    booking_id = await office.book(101, ADA)
    for kind in ("booking.changed", "refund.created", "booking.changed", "refund.succeeded"):
        await office.tell(booking_id, kind)
    await office.book(102, BOB)
    assert [await office.node.page() for _ in range(4)] == [True, True, True, False]
    assert await office.told() == [("ada@example.com", "de"), ("bob@example.com", "en")]
    assert await office.pool.fetchval(
        "select position = (select max(position) from public_events) from booking_mail_mark"
    )


async def test_a_booking_of_which_is_told_twice_has_one_mail(office: Office) -> None:
    booking_id = await office.book(101, ADA)
    await office.write()
    await office.tell(booking_id)
    await office.write()
    # And if the mark is lost, as with a database that was restored.
    await office.pool.execute("update booking_mail_mark set position = 0")
    await office.write()
    assert len(office.payloads) == 3
    assert await office.told() == [("ada@example.com", "de")]


async def test_a_process_that_ends_while_it_writes_leaves_all_to_the_next(office: Office) -> None:
    await office.book(101, ADA)
    await office.book(102, BOB)
    office.dies_at = [2]
    with pytest.raises(Dies):
        await office.write()
    assert await office.told() == []
    await office.write()
    assert await office.told() == [("ada@example.com", "de"), ("bob@example.com", "en")]


async def test_a_node_leaves_the_writing_to_the_one_that_does_it(office: Office) -> None:
    await office.book(101, ADA)
    async with office.pool.acquire() as other, other.transaction():
        await other.execute("select position from booking_mail_mark for update")
        async with asyncio.timeout(10):
            assert await office.node.page() is False
        assert office.payloads == []
    await asyncio.gather(*(office.another().page() for _ in range(3)))
    assert len(office.payloads) == 1
    assert await office.told() == [("ada@example.com", "de")]


async def test_a_mail_is_wanted_as_long_as_its_booking_can_be_used(office: Office) -> None:
    await office.book(101, ADA)
    await office.book(102, BOB)
    await office.write()
    ada, bob = office.payloads
    assert await office.node.is_live(ada)
    await office.pool.execute("update bookings set status = 'cancelled' where code = 'CODE101'")
    assert not await office.node.is_live(ada)
    assert await office.node.is_live(bob)
    await office.call_off(SHOWTIME)
    assert not await office.node.is_live(bob)


async def test_a_database_that_cannot_be_asked_is_asked_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.book(101, ADA)
    monkeypatch.setattr(mail_jobs, "PERIOD_S", 0.0)
    page, fails = office.node.page, iter([True, False])
    written = asyncio.Event()

    async def sometimes() -> bool:
        if next(fails, False):
            raise refuse("RETRY")
        more = await page()
        written.set()
        return more

    monkeypatch.setattr(office.node, "page", sometimes)
    with capture_logs() as logs:
        running = asyncio.ensure_future(office.node.run())
        async with asyncio.timeout(10):
            await written.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line["event"] for line in logs] == [BOOKING_MAILS_NOT_WRITTEN]
    assert await office.told() == [("ada@example.com", "de")]
