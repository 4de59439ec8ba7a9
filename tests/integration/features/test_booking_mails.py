"""The mails about what happened to bookings: whose, what they say, and that each comes once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import refuse
from cinema.features.bookings import mail_jobs
from cinema.features.bookings.mail_jobs import BOOKING_MAILS_NOT_WRITTEN, BookingMails
from cinema.features.bookings.mail_store import BookingMailsRepository
from cinema.features.messages.shapes import NewMessage
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
), $5, now())"""
_REFUND = """
insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor, currency, status,
    next_try_at, created_at)
select $1, p.id, p.booking_id, $3, $4, 1225, 'EUR', 'succeeded', now(), now()
from payments p where p.booking_id = $2"""
_EXCHANGE = """
insert into exchanges (id, state, user_id, from_booking_id, from_showtime_id, to_booking_id,
    to_showtime_id, to_hold_id, code, carried_minor, more_minor, currency, payment_id,
    payment_method, request_key, fingerprint, started_at, commit_until)
values ($1, 'done', $2, $3, $4, $1, $4, $1, 'X', 0, 0, 'EUR', $1, 'demo', $5, $5, now(), now())"""


class Dies(Exception):
    """A process ends here."""


class Office:
    """Bookings, events that tell of them, and nodes that write mails."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.dies_at: list[int] = []
        self.payloads: list[Mapping[str, Any]] = []
        self.posted = 0
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
            now=lambda: NOW,
        )

    async def _post(self, running: Any, messages: Sequence[NewMessage]) -> object:
        """As the real one, but that a process may end behind it."""
        written = await self._messages.enqueue_all(running, messages)
        self.payloads += [one.payload for one in messages if one.kind != "booking_receipt"]
        self.posted += 1
        if self.posted in self.dies_at:
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

    async def tell(
        self, booking_id: UUID, kind: str = "booking.confirmed", data: Any = None
    ) -> None:
        text = json.dumps(data or {})
        await self.pool.execute(_TELL, uuid4(), kind, SHOWTIME, booking_id, text)

    async def cancel(self, booking_id: UUID, *seats: str, whole: bool, refund: int) -> None:
        """Give back seats of a booking."""
        await self.pool.execute(
            "update booking_seats set live = false where booking_id = $1 and seat = any($2)",
            booking_id,
            list(seats),
        )
        if whole:
            await self.pool.execute(
                "update bookings set status = 'cancelled' where id = $1", booking_id
            )
        amount = {"amount": refund, "currency": "EUR"}
        data = {"seats": list(seats), "whole": whole, "refund": amount}
        await self.tell(booking_id, "booking.cancelled", data)

    async def refund(self, booking_id: UUID, kind: str = "cancellation") -> None:
        """Send money back."""
        refund_id, amount = uuid4(), {"amount": 1225, "currency": "EUR"}
        await self.pool.execute(_REFUND, refund_id, booking_id, SHOWTIME, kind)
        data = {"refund_id": str(refund_id), "kind": kind, "amount": amount}
        await self.tell(booking_id, "refund.succeeded", data)

    async def write(self) -> None:
        """Write all mails."""
        while await self.node.page():
            pass

    async def told(self, kind: str = "booking_confirmed") -> list[tuple[str, str]]:
        """Who gets a mail of a kind, and in which language."""
        rows = await self.pool.fetch(
            "select recipient, language from messages where kind = $1 order by dedupe_key", kind
        )
        return [(row[0], row[1]) for row in rows]

    async def kinds(self) -> set[str]:
        """The kinds of all mails."""
        return {row[0] for row in await self.pool.fetch("select distinct kind from messages")}


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
    dropped = "select distinct drop_after from messages where kind = 'booking_confirmed'"
    assert await office.pool.fetch(dropped) == [(ends_at,)]


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
    assert await office.told("booking_receipt") == [("eve@example.com", "en")]


async def test_what_staff_sell_at_the_counter_is_nobodys_mail(office: Office) -> None:
    await office.book(101, STAFF, method="counter")
    await office.book(102, STAFF, method="counter_later")
    await office.write()
    assert await office.kinds() == set()
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
    for kind in ("refund.created", "refund.failed", "showtime.moved", "refund.created"):
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
    assert len(office.payloads) == 4
    assert await office.told() == [("ada@example.com", "de")]
    assert await office.told("booking_receipt") == [("ada@example.com", "de")]


async def test_a_process_that_ends_while_it_writes_leaves_all_to_the_next(office: Office) -> None:
    await office.book(101, ADA)
    await office.book(102, BOB)
    office.dies_at = [1]
    with pytest.raises(Dies):
        await office.write()
    assert await office.told() == []
    assert await office.kinds() == set()
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


async def test_everybody_who_has_paid_gets_a_receipt_once_its_document_is_there(
    office: Office,
) -> None:
    await office.book(101, ADA)
    await office.book(102, GUEST)
    await office.write()
    to = await office.told("booking_receipt")
    assert to == [("ada@example.com", "de"), ("eve@example.com", "en")]
    row = await office.pool.fetchrow(
        "select min(send_at), max(send_at), max(drop_after) from messages "
        "where kind = 'booking_receipt'"
    )
    assert tuple(row or ()) == (*[NOW + timedelta(minutes=5)] * 2, None)


async def test_who_gives_seats_back_is_told_what_is_left_and_what_comes_back(
    office: Office,
) -> None:
    booking_id = await office.book(101, ADA)
    guests = await office.book(102, GUEST)
    await office.write()
    office.payloads.clear()
    await office.cancel(booking_id, "A101", whole=False, refund=1225)
    await office.cancel(booking_id, "B101", whole=True, refund=0)
    await office.cancel(guests, "A102", "B102", whole=True, refund=2450)
    await office.write()
    said = [(one["seats"], one["left"], one["refund"], one["url"]) for one in office.payloads]
    url = f"https://tickets.example/bookings/{booking_id}"
    # The first is written when the second has happened too: what is left is said of that time.
    assert said == [
        ("A101", "", "12.25 EUR", url),
        ("B101", "", "", url),
        ("A102, B102", "", "24.50 EUR", ""),
    ]
    assert len(await office.told("booking_cancelled")) == 3
    office.payloads.clear()
    third = await office.book(103, BOB)
    await office.cancel(third, "A103", whole=False, refund=1225)
    await office.write()
    assert office.payloads[-1]["left"] == "B103"


async def test_who_gets_other_seats_gets_new_tickets(office: Office) -> None:
    booking_id = await office.book(101, GUEST)
    cancelled = await office.book(102, ADA, status="cancelled")
    await office.write()
    office.payloads.clear()
    await office.pool.execute("update booking_seats set seat = 'C7' where seat = 'B101'")
    for changed in (booking_id, cancelled):
        await office.tell(changed, "booking.changed", {"left": ["B101"], "chosen": ["C7"]})
    await office.write()
    assert await office.told("booking_changed") == [("eve@example.com", "en")]
    (payload,) = office.payloads
    assert (payload["left"], payload["chosen"], payload["seats"]) == ("B101", "C7", "A101, C7")
    assert payload["booking_id"] == str(booking_id)


async def test_of_a_showtime_that_is_cancelled_or_exchanged_nobody_is_told_here(
    office: Office,
) -> None:
    booking_id = await office.book(101, ADA)
    exchanged = await office.book(102, BOB)
    await office.write()
    await office.pool.execute(_EXCHANGE, UUID(int=7), BOB, exchanged, SHOWTIME, UUID(int=7).bytes)
    await office.cancel(exchanged, "A102", "B102", whole=True, refund=0)
    await office.write()
    await office.call_off(SHOWTIME)
    await office.cancel(booking_id, "A101", "B101", whole=True, refund=2450)
    await office.write()
    assert await office.told("booking_cancelled") == []


async def test_who_gets_money_back_is_told_when_it_is_on_its_way(office: Office) -> None:
    booking_id = await office.book(101, ADA)
    at_counter = await office.book(102, BOB, method="counter")
    await office.write()
    office.payloads.clear()
    await office.refund(booking_id)
    # Of this one another mail tells, and that money is handed over.
    await office.refund(booking_id, "unwanted")
    await office.refund(at_counter)
    await office.tell(booking_id, "refund.failed", {"refund_id": str(uuid4())})
    await office.write()
    assert await office.told("refund_sent") == [("ada@example.com", "de")]
    (payload,) = office.payloads
    assert payload["amount"] == "12.25 EUR"
