"""Events are made once of what the outbox tells, whoever makes them and whatever fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from cinema.features.events import store
from cinema.features.events.jobs import PAGE, Publishing
from cinema.features.events.metrics import EventCounts
from cinema.features.events.store import PUBLISHING, EventsRepository
from cinema.features.events.tail import EventTail
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
PATIENCE_S = 10.0


async def tell(pool: Pool, *payloads: tuple[str, Any]) -> None:
    """Rows of the outbox, as events of showtimes write them."""
    rows = [
        (uuid4(), seq, kind, msgspec.json.encode(payload).decode())
        for seq, (kind, payload) in enumerate(payloads, 1)
    ]
    await pool.executemany(
        "insert into outbox (showtime_id, seq, kind, payload) values ($1, $2, $3, $4)", rows
    )


def confirmed(booking: int) -> tuple[str, Any]:
    payload = {"booking_id": str(UUID(int=booking)), "seats": ["A1"], "total_minor": 1}
    return "booking.confirmed", {**payload, "currency": "EUR"}


async def written(pool: Pool) -> list[tuple[int, int]]:
    """Booking and sequence of all events, in their order."""
    rows = await pool.fetch("select booking_id, sequence from public_events order by position")
    return [(row[0].int, row[1]) for row in rows]


def publishing(pool: Pool, counts: EventCounts | None = None) -> Publishing:
    return Publishing(EventsRepository(pool), EventTail(), counts or EventCounts(), now=lambda: NOW)


async def test_nodes_that_publish_at_the_same_time_tell_each_row_once_and_in_order(
    pool: Pool,
) -> None:
    told = [confirmed(1 + number % 7) for number in range(350)]
    await tell(pool, *told)
    nodes = [publishing(pool) for _ in range(3)]

    async def empty() -> bool:
        return not await pool.fetchval("select exists (select from outbox)")

    async with asyncio.timeout(PATIENCE_S):
        while not await empty():
            await asyncio.gather(*(node.publish() for node in nodes))
    events = await written(pool)
    assert [booking for booking, _ in events] == [1 + number % 7 for number in range(350)]
    for booking in range(1, 8):
        assert [nth for one, nth in events if one == booking] == list(range(1, 51))


async def test_a_node_leaves_the_work_to_the_one_that_does_it(pool: Pool) -> None:
    await tell(pool, confirmed(1))
    repository = EventsRepository(pool)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock($1)", PUBLISHING)
        assert await repository.publish(NOW, 10) is None
        assert await written(pool) == []
    published = await repository.publish(NOW, 10)
    assert published is not None
    assert published.types == ["booking.confirmed"]


async def test_what_fails_in_between_leaves_all_as_it_was(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(pool, confirmed(1), confirmed(1))
    with monkeypatch.context() as broken:
        broken.setattr(store, "ADD_EVENTS", "select 1 / 0, $1, $2, $3, $4, $5, $6, $7, $8, $9")
        with pytest.raises(Exception, match=r".+"):
            await EventsRepository(pool).publish(NOW, 10)
    assert await pool.fetchval("select count(*) from outbox") == 2
    assert await written(pool) == []
    await EventsRepository(pool).publish(NOW, 10)
    assert await written(pool) == [(1, 1), (1, 2)]


async def test_a_row_of_which_nothing_can_be_made_keeps_none_of_the_others(pool: Pool) -> None:
    await tell(pool, confirmed(1), ("booking.confirmed", {"x": 1}), ("of.others", {}), confirmed(2))
    counts = EventCounts()
    job = publishing(pool, counts)
    await job.round()
    assert await written(pool) == [(1, 1), (2, 1)]
    left = await pool.fetch("select kind, died_at is null, last_error from outbox order by id")
    assert [tuple(row) for row in left] == [
        ("booking.confirmed", False, "KeyError: 'total_minor'"),
        ("of.others", True, None),
    ]
    assert (counts.unclear, counts.published) == (1, {"booking.confirmed": 2})
    await job.round()
    assert counts.unclear == 1


async def test_a_row_that_was_put_aside_is_as_it_was_written(pool: Pool) -> None:
    await tell(pool, ("booking.confirmed", {"x": 1}))
    of_it = "select id, showtime_id, seq, kind, payload::text, written_at from outbox"
    before = await pool.fetchrow(of_it)
    await publishing(pool).round()
    assert await pool.fetchrow(of_it) == before
    assert await pool.fetchval("select attempts from outbox where died_at is not null") == 1


async def test_refunds_are_told_once_all_rows_are(pool: Pool) -> None:
    """While there are many rows nobody looks for refunds; the first look behind them does."""
    await tell(pool, *(confirmed(1 + number) for number in range(2 * PAGE)))
    await pool.execute(
        "insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor,"
        " currency, status, next_try_at, created_at)"
        " values ($1, $2, $3, $4, 'goodwill', 100, 'EUR', 'pending', now(), now())",
        *(uuid4(), uuid4(), UUID(int=1), uuid4()),
    )
    job = publishing(pool)
    assert [await job.publish() for _ in range(4)] == [True, True, True, False]
    types = await pool.fetch("select type from public_events order by position")
    assert [row[0] for row in types] == ["booking.confirmed"] * 2 * PAGE + ["refund.created"]


async def test_who_waits_learns_of_the_last_position(pool: Pool) -> None:
    await tell(pool, confirmed(1), confirmed(2))
    tail = EventTail()
    await Publishing(EventsRepository(pool), tail, EventCounts(), now=lambda: NOW).publish()
    assert tail.position == await pool.fetchval("select max(position) from public_events")
    other = EventTail()
    await Publishing(EventsRepository(pool), other, EventCounts(), now=lambda: NOW).publish()
    assert other.position == tail.position


async def test_what_waits_is_counted(pool: Pool) -> None:
    counts = EventCounts()
    job = publishing(pool, counts)
    await job.look()
    assert (counts.waiting, counts.late_s) == (0, 0.0)
    await tell(pool, confirmed(1), ("of.others", {}))
    await pool.execute("update outbox set written_at = $1::timestamptz - interval '90 s'", NOW)
    await job.look()
    assert (counts.waiting, counts.late_s) == (1, 90.0)


async def test_a_refund_is_told_behind_what_led_to_it(pool: Pool) -> None:
    """Only once all rows are told; and anew when its status changes."""
    booking = UUID(int=1)
    await tell(pool, *(confirmed(1) for _ in range(3)))
    await pool.execute(
        "insert into refunds (id, payment_id, booking_id, showtime_id, kind, amount_minor,"
        " currency, status, next_try_at, created_at)"
        " values ($1, $2, $3, $4, 'goodwill', 100, 'EUR', 'pending', now(), now())",
        *(uuid4(), uuid4(), booking, uuid4()),
    )
    repository = EventsRepository(pool)
    types = []
    for _ in range(3):
        published = await repository.publish(NOW, 2)
        assert published is not None
        types.append(published.types)
    one = "booking.confirmed"
    assert types == [[one, one], [one, "refund.created"], []]
    await pool.execute("update refunds set status = 'failed', error_code = 'no'")
    await repository.publish(NOW, 2)
    await pool.execute("update refunds set status = 'pending'")
    await repository.publish(NOW, 2)
    await pool.execute("update refunds set status = 'succeeded'")
    await repository.publish(NOW, 2)
    rows = await pool.fetch("select type, sequence from public_events where type like 'refund%'")
    assert [tuple(row) for row in rows] == [
        ("refund.created", 4),
        ("refund.failed", 5),
        ("refund.succeeded", 6),
    ]
