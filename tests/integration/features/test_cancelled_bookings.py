"""The job behind a cancelled showtime, where showtimes refuse or cannot answer.

What it does when all is well, over HTTP and in processes that are killed, is shown in `tests/e2e`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.actors.messages import TRY_AGAIN, Accepted, Outcome
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import CancelBooking
from cinema.features.bookings.jobs import BookingsOfCancelled, refund_of
from cinema.features.bookings.showtime_store import ShowtimeBookingsRepository
from cinema.features.concessions.service import ConcessionsService
from cinema.features.concessions.store import ConcessionsRepository
from cinema.features.feature import JobKind
from cinema.features.messages.store import MessagesRepository
from cinema.storage.encryption import Cipher
from tests.integration.features.jobs_house import NOW, Yard
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

SHOWTIME = UUID(int=1)
ADA, BOB, GUEST, GONE = (UUID(int=n) for n in (11, 12, 13, 14))
KEY = bytes(32)

_BOOK = """
insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
    created_at, cancelled_at)
values ($1, $2, $3, $4, $1, $5, 1250, 'EUR', $6::timestamptz, $7::timestamptz)"""
_PEOPLE = """
insert into users (id, email, email_key, password_hash, first_name, language, created_at,
    deleted_at)
values ($1, 'ada@example.com', 'ada@example.com', 'none', 'Ada', 'de', now(), null),
    ($2, 'bob@example.com', 'bob@example.com', 'none', '', 'en', now(), null),
    ($3, 'erased-3@invalid', 'erased-3@invalid', 'none', '', 'en', now(), now())"""


class Showtimes:
    """Answers each command with the first of its booking's answers that is left."""

    def __init__(self) -> None:
        self.asked: list[CancelBooking] = []
        self.answers: dict[bytes, list[Outcome]] = {}

    async def ask(self, showtime_id: bytes, command: Any) -> Outcome:
        assert showtime_id == SHOWTIME.bytes
        self.asked.append(command)
        left = self.answers.get(command.booking_id)
        no_terms: Any = None
        return left.pop(0) if left else Accepted(None, 1, 1, 0, no_terms)


class Office:
    """A cancelled showtime and the job that cancels its bookings."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.yard = Yard(pool)
        self.showtimes = Showtimes()
        serials = iter(range(1000, 9999))
        messages = MessagesRepository(
            pool,
            Cipher([KEY]),
            new_id=lambda: next(serials).to_bytes(16, "big"),
            now=lambda: NOW,
        )
        dispatch: Any = self.showtimes
        concessions = ConcessionsService(
            ConcessionsRepository(pool), new_id=lambda: b"", now=lambda: NOW
        )
        bookings = ShowtimeBookingsRepository(pool)
        job = BookingsOfCancelled(dispatch, bookings, concessions, pool, messages.enqueue)
        self.queue = self.yard.node({"cancel": JobKind(run=job.run)})

    async def open(self, *, cancelled: bool = True) -> UUID:
        """The showtime, its people, and the job's id."""
        await self.pool.execute(INSERT_SHOWTIMES, [SHOWTIME])
        await self.pool.execute(_PEOPLE, ADA, BOB, GONE)
        await self.pool.execute(
            "insert into guests (id, created_at, expires_at, email, email_key) "
            "values ($1, now(), now() + interval '1 day', 'eve@example.com', 'eve@example.com')",
            GUEST,
        )
        if cancelled:
            await self.pool.execute(
                "update showtimes set status = 'cancelled', cancelled_at = $1", NOW
            )
        job = await self.yard.enqueue("cancel", input={"showtime_id": str(SHOWTIME)}, total=1)
        return job.id

    async def book(self, number: int, user_id: UUID, cancelled_at: Any = None) -> UUID:
        """A booking; one that was cancelled then, or a live one."""
        booking_id = UUID(int=number)
        status = "confirmed" if cancelled_at is None else "cancelled"
        await self.pool.execute(
            *(_BOOK, booking_id, f"CODE{number}", SHOWTIME, user_id, status, NOW, cancelled_at)
        )
        return booking_id

    async def told(self) -> list[tuple[str, str]]:
        """Who gets a message, and in which language."""
        rows = await self.pool.fetch("select recipient, language from messages order by id")
        return [(row[0], row[1]) for row in rows]


@pytest.fixture
def office(pool: asyncpg.Pool[asyncpg.Record]) -> Office:
    return Office(pool)


async def test_everybody_who_can_be_told_is_told(office: Office) -> None:
    job_id = await office.open()
    for number, person in enumerate((ADA, BOB, GUEST, GONE), 101):
        await office.book(number, person)
    # Somebody was faster than the job, and somebody had left before.
    await office.book(105, ADA, cancelled_at=NOW + timedelta(seconds=1))
    await office.book(106, BOB, cancelled_at=NOW - timedelta(seconds=1))
    await office.yard.do_all(office.queue)
    job = await office.yard.job(job_id)
    assert (job.status, job.done, job.failed) == ("done", 5, 0)
    assert job.result == {"cancelled": 5, "failed": 0}
    assert await office.told() == [
        ("ada@example.com", "de"),
        ("bob@example.com", "en"),
        ("eve@example.com", "en"),
        ("ada@example.com", "de"),
    ]
    asked = [command.booking_id for command in office.showtimes.asked]
    assert asked == [UUID(int=number).bytes for number in range(101, 105)]
    assert all(command.customer is None for command in office.showtimes.asked)


async def test_a_showtime_that_cannot_answer_is_asked_again_under_the_same_key(
    office: Office,
) -> None:
    job_id = await office.open()
    first, second = await office.book(101, ADA), await office.book(102, BOB)
    office.showtimes.answers[second.bytes] = [TRY_AGAIN]
    await office.yard.do_all(office.queue)
    job = await office.yard.job(job_id)
    assert (job.status, job.done, job.last_error) == ("queued", 1, "RETRY")
    assert await office.told() == [("ada@example.com", "de")]
    office.yard.pass_s(3600)
    await office.yard.do_all(office.queue)
    assert (await office.yard.job(job_id)).status == "done"
    assert await office.told() == [("ada@example.com", "de"), ("bob@example.com", "en")]
    asked = [(command.booking_id, command.command_id) for command in office.showtimes.asked]
    assert [booking_id for booking_id, _ in asked] == [first.bytes, second.bytes, second.bytes]
    assert asked[1] == asked[2]


async def test_a_booking_that_its_customer_has_cancelled_meanwhile_is_done(office: Office) -> None:
    job_id = await office.open()
    booking_id = await office.book(101, ADA)
    office.showtimes.answers[booking_id.bytes] = [Rejection(code="BOOKING_ENDED")]
    await office.yard.do_all(office.queue)
    assert (await office.yard.job(job_id)).done == 1
    assert await office.told() == [("ada@example.com", "de")]


async def test_a_booking_that_is_refused_is_counted_and_nobody_is_told_otherwise(
    office: Office,
) -> None:
    job_id = await office.open()
    first = await office.book(101, ADA)
    await office.book(102, BOB)
    office.showtimes.answers[first.bytes] = [Rejection(code="NOT_FOUND")]
    await office.yard.do_all(office.queue)
    job = await office.yard.job(job_id)
    assert (job.status, job.done, job.failed) == ("done", 1, 1)
    assert await office.told() == [("bob@example.com", "en")]


async def test_bookings_of_a_showtime_that_takes_place_are_left_alone(office: Office) -> None:
    job_id = await office.open(cancelled=False)
    await office.book(101, ADA)
    await office.yard.do_all(office.queue)
    job = await office.yard.job(job_id)
    assert (job.status, job.reason) == ("failed", "The showtime is not cancelled.")
    assert office.showtimes.asked == []


async def test_only_who_has_paid_is_promised_money(office: Office) -> None:
    await office.open()
    paid, unpaid = await office.book(1, ADA), await office.book(2, BOB, NOW)
    await office.pool.executemany(
        "insert into payments (id, booking_id, method, status, amount_minor, currency, created_at)"
        " values ($1, $1, 'counter_later', $2, 1250, 'EUR', now())",
        [(paid, "succeeded"), (unpaid, "failed")],
    )
    bookings = ShowtimeBookingsRepository(office.pool)
    showtime = await bookings.cancelled_showtime(SHOWTIME)
    assert showtime is not None
    found = await bookings.to_cancel(showtime, UUID(int=0), 10)
    assert [(one.id, refund_of(one)) for one in found] == [(paid, "12.50 EUR"), (unpaid, "")]
