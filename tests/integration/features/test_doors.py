"""Scans that come together are written together, each as if it had come alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from cinema.actors.tasks import Tasks
from cinema.features.tickets.door_store import (
    ENTER,
    LOOK,
    NOTE,
    DoorsRepository,
    Passing,
    SeenCode,
    ShownCode,
)
from cinema.features.tickets.rules import Known, Scanner, TicketClaim, ticket_id
from cinema.features.tickets.scan_store import AnsweredBefore, Once
from cinema.storage.database.pool import open_pool
from cinema.storage.database.transactions import Pool
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DOOR = Scanner(id=uuid4(), name="Door 1", cinema_ids=None, is_device=True)
TICKET = Known(
    booking_id=UUID("019a0c1e-7000-7abc-8def-0123456789ab"),
    booked_at=NOW,
    place=0,
    seat="F7",
    category="regular",
    type="adult",
    proof=None,
    booking_status="confirmed",
    live=True,
    seats_live=20,
    generation=1,
    group_generation=1,
    blocked=False,
    showtime_id=uuid4(),
    cinema_id=uuid4(),
    screen_id=uuid4(),
    called_off=False,
    opens_at=NOW - timedelta(hours=1),
    closes_at=NOW + timedelta(hours=1),
    age_rating=None,
    inside=False,
    entered_at=None,
    left_at=None,
    scanner=None,
)
FOR_EVER_S = 600
PATIENCE_S = 60.0

ENTERED = """
insert into ticket_entries (booking_id, place, showtime_id, inside, entered_at, scanner_id, scanner)
values ($1, 1, $2, true, now(), $3, 'nobody')"""
WAITING = """
select exists (
    select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
        and query like '%ticket_entries%'
)"""
PLANS = """
select custom_plans, generic_plans from pg_prepared_statements where statement = $1"""


def going_in(place: int, nonce: str | None = None) -> Passing:
    return Passing(
        ticket=replace(TICKET, place=place, seat=f"F{place}"),
        scanner=DOOR,
        at=NOW,
        now=NOW,
        direction="entry",
        code=None,
        once=None if nonce is None else Once(DOOR.id, nonce, bytes(16)),
        answer=f"to {place}",
    )


def refused(place: int, nonce: str | None = None) -> Passing:
    return replace(going_in(place, nonce), code="TOO_LATE")


@pytest.fixture
async def doors(pool: Pool) -> AsyncIterator[DoorsRepository]:
    tasks = Tasks()
    yield DoorsRepository(pool, tasks)
    await tasks.cancel()
    assert not tasks.failures


async def table(pool: Pool, name: str, columns: str) -> list[Any]:
    rows = await pool.fetch(f"select {columns} from {name} order by {columns}")
    return [tuple(row) for row in rows]


async def test_tickets_of_one_moment_go_in_by_one_statement(
    pool: Pool, doors: DoorsRepository
) -> None:
    scans = [doors.enter(going_in(place, f"n{place}")) for place in range(20)]
    assert await asyncio.gather(*scans) == [True] * 20
    assert await pool.fetchval("select count(distinct xmin::text) from ticket_entries") == 1
    assert len(await table(pool, "ticket_entries", "place")) == 20
    logged = await table(pool, "ticket_scans", "place, direction, outcome, scanner, offline")
    assert logged == [(place, "entry", "admitted", "Door 1", False) for place in range(20)]
    kept = await table(pool, "ticket_scan_answers", "nonce, answer")
    assert kept == sorted((f"n{place}", f"to {place}") for place in range(20))
    told = await pool.fetch("select kind, payload->>'seat' as seat from outbox order by id")
    assert [tuple(row) for row in told] == [("ticket.admitted", f"F{n}") for n in range(20)]
    row = await pool.fetchrow("select showtime_id, payload::text from outbox order by id limit 1")
    assert row is not None
    assert row["showtime_id"] == TICKET.showtime_id
    assert str(ticket_id(TICKET.booking_id, 0)) in row["payload"]


async def test_who_is_in_does_not_go_in_with_the_others(pool: Pool, doors: DoorsRepository) -> None:
    assert await doors.enter(going_in(1)) is True
    scans = [doors.enter(going_in(place, f"n{place}")) for place in range(3)]
    assert await asyncio.gather(*scans) == [True, False, True]
    kept = await table(pool, "ticket_scan_answers", "nonce")
    assert kept == [("n0",), ("n2",)]
    assert len(await table(pool, "ticket_scans", "place")) == 3
    # Who went out comes in again.
    await pool.execute("update ticket_entries set inside = false, left_at = now() where place = 1")
    assert await doors.enter(going_in(1)) is True
    assert await pool.fetchval("select left_at from ticket_entries where place = 1") is None


async def test_a_ticket_or_a_nonce_is_in_a_batch_once(pool: Pool, doors: DoorsRepository) -> None:
    scans = [going_in(1, "a"), going_in(1, "b"), going_in(2, "a"), going_in(3)]
    outcomes = await asyncio.gather(*(doors.enter(one) for one in scans))
    assert outcomes == [True, None, None, True]
    assert await table(pool, "ticket_entries", "place") == [(1,), (3,)]
    noted = [refused(1, "c"), refused(2, "c"), refused(3), refused(4)]
    told = await asyncio.gather(*(doors.note(one) for one in noted))
    assert told == [True, False, True, True]


async def test_a_nonce_that_was_answered_meanwhile_leaves_all_to_be_tried_alone(
    pool: Pool, doors: DoorsRepository
) -> None:
    assert await doors.enter(going_in(1, "a")) is True
    scans = [doors.enter(going_in(2, "a")), doors.enter(going_in(3, "b"))]
    assert await asyncio.gather(*scans) == [None, None]
    assert await table(pool, "ticket_entries", "place") == [(1,)]
    assert await table(pool, "ticket_scan_answers", "nonce") == [("a",)]


async def test_a_refusal_is_noted_once_under_its_nonce(pool: Pool, doors: DoorsRepository) -> None:
    assert await doors.note(refused(1, "a"))
    noted = (doors.note(refused(place, nonce)) for place, nonce in [(1, "a"), (2, "b"), (3, None)])
    outcomes = await asyncio.gather(*noted, return_exceptions=True)
    assert isinstance(outcomes[0], AnsweredBefore)
    assert outcomes[1:] == [True, True]
    logged = await table(pool, "ticket_scans", "place, direction, outcome")
    assert logged == [(place, "entry", "TOO_LATE") for place in (1, 2, 3)]
    assert await table(pool, "ticket_scan_answers", "nonce") == [("a",), ("b",)]


async def test_a_ticket_that_is_waited_for_keeps_no_other_out(database: str) -> None:
    """Somebody's transaction has its entry; nothing here ends a wait but the end of that."""
    tasks = Tasks()
    pool = await open_pool(
        database, size=8, command_timeout_s=FOR_EVER_S, transaction_timeout_ms=1000 * FOR_EVER_S
    )
    async with asyncio.timeout(PATIENCE_S), pool, pool.acquire() as other:
        doors = DoorsRepository(pool, tasks)
        held = other.transaction()
        await held.start()
        await other.execute(ENTERED, TICKET.booking_id, TICKET.showtime_id, DOOR.id)
        waits = asyncio.create_task(doors.enter(going_in(1)))
        while not await pool.fetchval(WAITING):
            await look_again()
        later = [doors.enter(going_in(place)) for place in range(2, 10)]
        assert await asyncio.gather(*later) == [True] * 8
        assert not waits.done()
        await held.rollback()
        assert await waits is True
    await tasks.cancel()


async def test_plans_are_made_once_however_many_there_are(database: str) -> None:
    """To plan a look takes Postgres longer than to carry it out."""
    claim = TicketClaim(ticket_id(TICKET.booking_id, 0), TICKET.showtime_id.bytes[:8], 1)
    tasks = Tasks()
    async with await open_pool(database, size=1) as one:
        doors = DoorsRepository(one, tasks)
        for number in (1, 2, 3, 4, 5, 6, 40, 1):
            shown = ShownCode(claim=claim, digest=bytes(32), scanner_id=None, nonce="n")
            seen = await asyncio.gather(*(doors.look(shown) for _ in range(number)))
            assert seen == [SeenCode(None, [], None)] * number
            places = range(number)
            await asyncio.gather(*(doors.enter(going_in(place)) for place in places))
            await asyncio.gather(*(doors.note(refused(place)) for place in places))
        for statement in (LOOK, ENTER, NOTE):
            row = await one.fetchrow(PLANS, statement)
            assert row is not None
            assert tuple(row) == (5, 3), statement
    await tasks.cancel()
