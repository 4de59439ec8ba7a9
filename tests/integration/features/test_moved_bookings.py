"""The job that tells customers of a showtime that was moved: whom, of what, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.domain.times import to_us
from cinema.features.bookings.showtime_store import ShowtimeBookingsRepository
from cinema.features.bookings.telling_jobs import BookingsOfMoved
from cinema.features.feature import JobKind
from cinema.features.messages.store import MessagesRepository
from cinema.storage.encryption import Cipher
from tests.integration.features.jobs_house import NOW, Yard
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

SHOWTIME, SCREEN = UUID(int=1), UUID(int=2)
ADA, BOB, GUEST, GONE = (UUID(int=n) for n in (11, 12, 13, 14))
BEFORE = datetime.fromisoformat("2026-06-05T18:00:00+00:00")
AFTER = BEFORE + timedelta(hours=2)
WEEK = timedelta(days=7)

_PEOPLE = """
insert into users (id, email, email_key, password_hash, first_name, language, created_at,
    deleted_at)
values ($1, 'ada@example.com', 'ada@example.com', 'none', 'Ada', 'de', now(), null),
    ($2, 'bob@example.com', 'bob@example.com', 'none', '', 'en', now(), null),
    ($3, 'erased-3@invalid', 'erased-3@invalid', 'none', '', 'en', now(), now())"""
_BOOK = """
with made as (
    insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor, currency,
        created_at)
    values ($1, $2, $3, $4, $1, $5, 1250, 'EUR', $6)
)
insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor, live)
select $1, place, $3, seat, 'regular', 500, $5 = 'confirmed'
from unnest($7::text[]) with ordinality as one (seat, place)"""


class Dies(Exception):
    """A process ends here."""


class Office:
    """A showtime that was moved, and the job that tells of it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.yard = Yard(pool)
        self.dies_at: list[int] = []
        self.payloads: list[Mapping[str, Any]] = []
        serials = iter(range(1000, 9999))
        self._messages = MessagesRepository(
            pool,
            Cipher([bytes(32)]),
            new_id=lambda: next(serials).to_bytes(16, "big"),
            now=lambda: NOW,
        )
        job = BookingsOfMoved(
            ShowtimeBookingsRepository(pool), pool, self._post, now=lambda: self.yard.now
        )
        self.queue = self.yard.node({"move": JobKind(run=job.run)})

    async def _post(self, running: Any, **message: Any) -> object:
        """As the real one, but that a process may end behind it."""
        written = await self._messages.enqueue(running, **message)
        self.payloads.append(message["payload"])
        if len(self.payloads) in self.dies_at:
            raise Dies
        return written

    async def open(self, *, far: bool = True) -> None:
        """A showtime as it is after its move, and its people."""
        await self.pool.execute(INSERT_SHOWTIMES, [SHOWTIME])
        await self.pool.execute(
            "with screen as (insert into screens (id, cinema_id, name, layout_version, seat_count,"
            " created_at) select $1, cinema_id, 'Two', 1, 4, now() from screens) "
            "insert into screen_layouts select $1, 1, '{}', 4, now()",
            SCREEN,
        )
        await self.pool.execute(
            "update showtimes set starts_at = $1::timestamptz, ends_at = $1 + interval '2 hours', "
            "clear_at = $1 + interval '2 hours', version = 2, free_refund_until = $2",
            AFTER,
            NOW + WEEK if far else None,
        )
        await self.pool.execute(_PEOPLE, ADA, BOB, GONE)
        await self.pool.execute(
            "insert into guests (id, created_at, expires_at, email, email_key) "
            "values ($1, now(), now() + interval '1 day', 'eve@example.com', 'eve@example.com')",
            GUEST,
        )

    async def moved(self, *, at: datetime = NOW, **was: Any) -> UUID:
        """The job of a move at a moment; `was` says what it was moved from."""
        screen_id = was.get("screen_id")
        if screen_id is None:
            screen_id = await self.pool.fetchval("select screen_id from showtimes")
        given = {
            "showtime_id": str(SHOWTIME),
            "changed_at_us": to_us(at),
            "starts_at_us": to_us(was.get("starts_at", BEFORE)),
            "screen_id": str(screen_id),
        }
        return (await self.yard.enqueue("move", input=given)).id

    async def book(
        self, number: int, user_id: UUID, *, at: datetime = NOW, status: str = "confirmed"
    ) -> None:
        seats = [f"A{number}", f"B{number}"]
        await self.pool.execute(
            *(_BOOK, UUID(int=number), f"CODE{number}", SHOWTIME, user_id, status, at, seats)
        )

    async def told(self) -> list[tuple[str, str]]:
        """Who gets a message, and in which language."""
        rows = await self.pool.fetch("select recipient, language from messages order by id")
        return [(row[0], row[1]) for row in rows]


@pytest.fixture
def office(pool: asyncpg.Pool[asyncpg.Record]) -> Office:
    return Office(pool)


async def test_whoever_had_booked_is_told_what_it_was_and_what_it_is(office: Office) -> None:
    await office.open()
    for number, person in enumerate((ADA, BOB, GUEST, GONE), 101):
        await office.book(number, person)
    await office.book(105, ADA, status="cancelled")
    await office.book(106, BOB, at=NOW + timedelta(seconds=1))
    job_id = await office.moved()
    await office.yard.do_all(office.queue)
    job = await office.yard.job(job_id)
    assert (job.status, job.total, job.done) == ("done", 4, 4)
    assert job.result == {"told": 4}
    assert await office.told() == [
        ("ada@example.com", "de"),
        ("bob@example.com", "en"),
        ("eve@example.com", "en"),
    ]
    assert office.payloads[0] == {
        "first_name": "Ada",
        "film": "Stalker",
        "cinema": "Aurora",
        "started": "2026-06-05 20:00",
        "starts": "2026-06-05 22:00",
        "former_screen": "One",
        "screen": "One",
        "seats": "A101, B101",
        "code": "CODE101",
        # A week from the move, on the cinema's clock.
        "refund_until": "2026-06-08 19:31",
    }


@pytest.mark.parametrize("dies_at", [[1], [2], [3], [1, 2, 3, 4]])
async def test_a_job_that_ends_in_the_middle_tells_everybody_once(
    office: Office, dies_at: list[int]
) -> None:
    """Behind a mail that is written and not committed: neither it nor the position is there."""
    await office.open()
    for number in range(101, 104):
        await office.book(number, ADA)
    job_id = await office.moved()
    office.dies_at = dies_at
    for _ in range(len(dies_at) + 1):
        await office.yard.do_all(office.queue)
        office.yard.pass_s(3600)
    assert (await office.yard.job(job_id)).status == "done"
    rows = await office.pool.fetch("select dedupe_key from messages order by id")
    assert [row[0] for row in rows] == [
        f"showtime_moved:{UUID(int=number)}:2" for number in range(101, 104)
    ]


async def test_two_moves_before_anybody_was_told_are_one_mail(office: Office) -> None:
    await office.open()
    await office.book(101, ADA)
    first = await office.moved(starts_at=BEFORE)
    second = await office.moved(starts_at=BEFORE + timedelta(hours=1))
    await office.yard.do_all(office.queue)
    for job_id in (first, second):
        assert (await office.yard.job(job_id)).status == "done"
    assert await office.told() == [("ada@example.com", "de")]


async def test_what_is_cancelled_or_back_by_then_is_told_by_nobody(office: Office) -> None:
    await office.open()
    await office.book(101, ADA)
    await office.moved(starts_at=AFTER)
    await office.yard.do_all(office.queue)
    await office.pool.execute("update showtimes set status = 'cancelled', cancelled_at = $1", NOW)
    job_id = await office.moved()
    await office.yard.do_all(office.queue)
    assert (await office.yard.job(job_id)).result == {"told": 0}
    assert await office.told() == []


async def test_only_whoever_was_promised_another_time_hears_of_a_refund(office: Office) -> None:
    """The showtime goes to another screen after it was moved far."""
    await office.open()
    await office.book(101, ADA)
    await office.book(102, BOB, at=NOW + timedelta(hours=1))
    later = NOW + timedelta(hours=2)
    office.yard.now = later
    await office.moved(at=later, starts_at=AFTER, screen_id=SCREEN)
    await office.yard.do_all(office.queue)
    told = [(one["code"], one["former_screen"], one["refund_until"]) for one in office.payloads]
    assert told == [("CODE101", "Two", "2026-06-08 19:31"), ("CODE102", "Two", "")]
    # Nor does anybody once the week is over.
    office.yard.now = NOW + WEEK
    await office.pool.execute("update showtimes set version = 3")
    await office.moved(at=later, starts_at=AFTER, screen_id=SCREEN)
    await office.yard.do_all(office.queue)
    assert [one["refund_until"] for one in office.payloads[2:]] == ["", ""]
