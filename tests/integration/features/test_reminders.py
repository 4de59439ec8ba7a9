"""Reminders: of a showtime that begins soon, and of a booking that is given up soon."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import refuse
from cinema.features.bookings import reminder_jobs
from cinema.features.bookings.reminder_jobs import (
    BEFORE_END,
    BEFORE_START,
    JUST_BOOKED,
    REMINDERS_NOT_WRITTEN,
    Reminders,
)
from cinema.features.bookings.reminder_store import KEPT, REMINDING, RemindersRepository
from cinema.features.messages.store import MessagesRepository
from cinema.storage.encryption import Cipher
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

STARTS = datetime(2026, 6, 5, 18, 0, tzinfo=UTC)
REMINDED = STARTS - BEFORE_START
LONG_BEFORE = STARTS - timedelta(days=3)
SHOWTIME, LATER = UUID(int=1), UUID(int=2)
ADA, STAFF, GUEST, NOBODY = (UUID(int=n) for n in range(11, 15))

_PEOPLE = """
insert into users (id, email, email_key, password_hash, first_name, language, role, created_at)
values ($1, 'ada@example.com', 'ada@example.com', 'none', 'Ada', 'de', 'customer', now()),
    ($2, 'staff@example.com', 'staff@example.com', 'none', '', 'en', 'staff', now())"""
_GUESTS = """
insert into guests (id, created_at, expires_at, email, email_key)
values ($1, now(), now() + interval '1 day', 'eve@example.com', 'eve@example.com'),
    ($2, now(), now() + interval '1 day', null, null)"""
_BOOK = """
with made as (
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        created_at, pay_until)
    values ($1, $2, $3, $4, $1, $5, 2450, 'EUR', $7, $8)
), paid as (
    insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)
    values (gen_random_uuid(), $1, $6, 'succeeded', 2450, 'EUR', now())
)
insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor, live)
values ($1, 1, $3, $2, 'regular', 2450, true)"""
_MOVE = """
update showtimes set starts_at = $2::timestamptz, ends_at = $2 + interval '2 hours',
    clear_at = $2 + interval '2 hours'
where id = $1"""


class Office:
    """Bookings, a time that tests move on, and nodes that remind."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.now = REMINDED
        self.payloads: list[dict[str, Any]] = []
        serials = iter(range(1000, 9999))
        self._messages = MessagesRepository(
            pool,
            Cipher([bytes(32)]),
            new_id=lambda: next(serials).to_bytes(16, "big"),
            now=lambda: self.now,
        )
        self.node = self.another()

    def another(self) -> Reminders:
        """One more node."""
        return Reminders(
            *(RemindersRepository(self.pool), self.pool, self._post),
            base_url="https://tickets.example",
            now=lambda: self.now,
        )

    async def _post(self, running: Any, **message: Any) -> object:
        written = await self._messages.enqueue(running, **message)
        if written:
            self.payloads.append(message["payload"])
        return written

    async def open(self) -> None:
        await self.pool.execute(INSERT_SHOWTIMES, [SHOWTIME, LATER])
        await self.move(SHOWTIME, STARTS)
        await self.move(LATER, STARTS + timedelta(hours=6))
        await self.pool.execute(_PEOPLE, ADA, STAFF)
        await self.pool.execute(_GUESTS, GUEST, NOBODY)

    async def move(self, showtime_id: UUID, starts_at: datetime) -> None:
        await self.pool.execute(_MOVE, showtime_id, starts_at)

    async def book(
        self,
        number: int,
        user_id: UUID = ADA,
        *,
        status: str = "confirmed",
        method: str = "demo",
        showtime_id: UUID = SHOWTIME,
        at: datetime = LONG_BEFORE,
        pay_until: datetime | None = None,
    ) -> UUID:
        booking_id = UUID(int=number)
        await self.pool.execute(
            *(_BOOK, booking_id, f"A{number}", showtime_id, user_id, status, method, at, pay_until)
        )
        return booking_id

    async def told(self, kind: str) -> list[tuple[str, datetime]]:
        """Who gets a mail of a kind, and until when it is of use."""
        rows = await self.pool.fetch(
            "select recipient, drop_after from messages where kind = $1 order by id", kind
        )
        return [(row[0], row[1]) for row in rows]


@pytest.fixture
async def office(pool: asyncpg.Pool[asyncpg.Record]) -> Office:
    office = Office(pool)
    await office.open()
    return office


async def test_everybody_is_reminded_once_three_hours_before(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminder_jobs, "PAGE", 2)
    for number in range(101, 105):
        await office.book(number)
    await office.book(105, GUEST)
    await office.book(106, NOBODY)
    await office.book(107, showtime_id=LATER)
    office.now = REMINDED - timedelta(seconds=1)
    await office.node.round()
    assert office.payloads == []
    office.now = REMINDED
    for _ in range(3):
        await office.node.round()
        office.now += timedelta(minutes=10)
    expected = [("ada@example.com", STARTS)] * 4 + [("eve@example.com", STARTS)]
    assert await office.told("booking_reminder") == expected
    assert office.payloads[0] == {
        "first_name": "Ada",
        "film": "Stalker",
        "cinema": "Aurora",
        "address": "Berlin",
        "screen": "One",
        "starts": "2026-06-05 20:00",
        "starts_at": STARTS.isoformat(),
        "seats": "A101",
        "code": "A101",
        "url": f"https://tickets.example/bookings/{UUID(int=101)}",
        "booking_id": str(UUID(int=101)),
    }
    assert office.payloads[-1]["url"] == ""
    office.now = STARTS + timedelta(hours=3)
    await office.node.round()
    assert len(await office.told("booking_reminder")) == 6


async def test_who_has_just_booked_or_has_nothing_is_not_reminded(office: Office) -> None:
    await office.book(101, at=REMINDED - JUST_BOOKED + timedelta(seconds=1))
    await office.book(102, status="cancelled")
    await office.book(103, status="pending")
    await office.book(104, STAFF, method="counter")
    await office.node.round()
    assert office.payloads == []
    # They would come too late for it, too.
    await office.book(105)
    await office.node.round()
    assert office.payloads == []


async def test_of_a_cancelled_showtime_nobody_is_reminded(office: Office) -> None:
    await office.book(101)
    await office.pool.execute("update showtimes set cancelled_at = now() where id = $1", SHOWTIME)
    await office.node.round()
    assert office.payloads == []


async def test_a_showtime_that_is_moved_is_reminded_of_at_its_new_time(office: Office) -> None:
    await office.book(101)
    await office.node.round()
    (first,) = office.payloads
    assert await office.node.is_coming(first)
    # An hour later is no reason for another mail than that about the change.
    await office.move(SHOWTIME, STARTS - timedelta(minutes=30))
    await office.node.round()
    assert len(office.payloads) == 1
    assert not await office.node.is_coming(first)
    tomorrow = STARTS + timedelta(days=1)
    await office.move(SHOWTIME, tomorrow)
    await office.node.round()
    assert len(office.payloads) == 1
    office.now = tomorrow - BEFORE_START
    await office.node.round()
    await office.node.round()
    assert len(office.payloads) == 2
    assert await office.node.is_coming(office.payloads[1])
    assert office.payloads[1]["starts"] == "2026-06-06 20:00"


async def test_a_reminder_is_wanted_as_long_as_its_booking_can_be_used(office: Office) -> None:
    await office.book(101)
    await office.book(102)
    await office.node.round()
    ada, bob = office.payloads
    await office.pool.execute("update bookings set status = 'cancelled' where code = 'A101'")
    assert not await office.node.is_coming(ada)
    assert await office.node.is_coming(bob)
    await office.pool.execute("update showtimes set cancelled_at = now() where id = $1", SHOWTIME)
    assert not await office.node.is_coming(bob)


async def test_what_one_node_has_begun_another_goes_on_with(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminder_jobs, "PAGE", 2)
    monkeypatch.setattr(reminder_jobs, "ROUND", 1)
    for number in range(101, 106):
        await office.book(number)
    await office.node.round()
    assert len(office.payloads) == 2
    await asyncio.gather(*(office.another().round() for _ in range(3)))
    for _ in range(3):
        await office.another().round()
    assert [one["code"] for one in office.payloads] == [f"A{number}" for number in range(101, 106)]


async def test_a_node_leaves_the_writing_to_the_one_that_does_it(office: Office) -> None:
    await office.book(101)
    await office.book(102, status="pending", at=LONG_BEFORE, pay_until=REMINDED + BEFORE_END)
    async with office.pool.acquire() as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock($1)", REMINDING)
        await office.node.round()
        assert office.payloads == []
    await office.node.round()
    assert len(office.payloads) == 2


async def test_who_pays_is_told_two_minutes_before_the_seats_are_given_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminder_jobs, "PAGE", 2)
    begun, until = LONG_BEFORE, LONG_BEFORE + timedelta(minutes=10)
    people = (ADA, GUEST, NOBODY, ADA, ADA)
    for number, person in enumerate(people, 101):
        await office.book(number, person, status="pending", at=begun, pay_until=until)
    await office.book(110, pay_until=until)
    await office.book(111, status="expired", pay_until=until)
    office.now = until - BEFORE_END - timedelta(seconds=1)
    await office.node.round()
    assert office.payloads == []
    office.now = until - BEFORE_END
    for _ in range(3):
        await office.node.round()
        office.now += timedelta(seconds=10)
    told = await office.told("payment_due")
    assert sorted(told) == [("ada@example.com", until)] * 3 + [("eve@example.com", until)]
    payload = office.payloads[0]
    assert (payload["until"], payload["total"]) == ("2026-06-02 20:10", "24.50 EUR")
    assert await office.node.is_pending(payload)
    await office.pool.execute("update bookings set status = 'confirmed' where status = 'pending'")
    assert not await office.node.is_pending(payload)


async def test_who_has_begun_to_pay_a_moment_ago_needs_no_mail(office: Office) -> None:
    now = office.now = LONG_BEFORE
    until = now + timedelta(seconds=60)
    await office.book(101, status="pending", at=now - timedelta(seconds=30), pay_until=until)
    await office.book(102, status="pending", at=now - timedelta(hours=1), pay_until=now)
    await office.node.round()
    assert office.payloads == []


async def test_what_is_known_of_showtimes_is_forgotten_after_them(office: Office) -> None:
    await office.node.round()
    store = RemindersRepository(office.pool)
    assert await office.pool.fetchval("select count(*) from showtime_reminders") == 1
    assert await store.forget(STARTS + KEPT, 10) == 0
    assert await store.forget(STARTS + KEPT + timedelta(seconds=1), 10) == 1


async def test_a_database_that_cannot_be_asked_is_asked_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminder_jobs, "PERIOD_S", 0.0)
    await office.book(101)
    rounds, fails, done = office.node.round, iter([True]), asyncio.Event()

    async def sometimes() -> None:
        if next(fails, False):
            raise refuse("RETRY")
        await rounds()
        done.set()

    monkeypatch.setattr(office.node, "round", sometimes)
    with capture_logs() as logs:
        running = asyncio.ensure_future(office.node.run())
        async with asyncio.timeout(10):
            await done.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [line["event"] for line in logs] == [REMINDERS_NOT_WRITTEN]
    assert len(office.payloads) == 1


async def test_what_is_looked_for_each_ten_seconds_is_found_by_an_index(office: Office) -> None:
    """Only bookings that wait for their payment are read, and only showtimes that begin soon."""
    async with office.pool.acquire() as asking, asking.transaction():
        await asking.execute("set local enable_seqscan = off")
        plans = [
            await asking.fetch(
                "explain select id from bookings where status = 'pending' and pay_until > now() "
                "and pay_until <= now() + interval '2 minutes'"
            ),
            await asking.fetch(
                "explain select id from showtimes where starts_at > now() "
                "and starts_at <= now() + interval '3 hours'"
            ),
        ]
    pay, start = ("\n".join(row[0] for row in plan) for plan in plans)
    # An empty table has the planner take either of the two that have pending bookings alone.
    assert "bookings_to_pay" in pay or "bookings_pending_of_user" in pay
    assert "showtimes_by_start" in start
