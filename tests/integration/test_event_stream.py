"""Events in a real Redis: once, in order, and again when Redis has lost them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from cinema.features.events.metrics import EventCounts
from cinema.features.events.store import EventsRepository
from cinema.features.events.stream_jobs import PAGE, Streaming
from cinema.features.events.tail import EventTail
from cinema.local.redis_server import LocalRedis
from cinema.storage.database.transactions import Pool
from cinema.storage.redis.event_stream import STREAM, EventStream, StreamUnavailable
from tests.support.waiting import look_again

pytestmark = pytest.mark.postgres

PATIENT_S = 10.0
NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)


async def tell(pool: Pool, count: int) -> None:
    """So many events of a booking."""
    payload = {"booking_id": str(UUID(int=1)), "seats": ["A1"], "total_minor": 1, "currency": "EUR"}
    text = msgspec.json.encode(payload).decode()
    rows = [(uuid4(), seq, text) for seq in range(count)]
    await pool.executemany(
        "insert into outbox (showtime_id, seq, kind, payload)"
        " values ($1, $2, 'booking.confirmed', $3)",
        rows,
    )
    await EventsRepository(pool).publish(NOW, count)


def streaming(pool: Pool, stream: EventStream, counts: EventCounts | None = None) -> Streaming:
    return Streaming(EventsRepository(pool), stream, EventTail(), counts or EventCounts())


async def entries(url: str) -> list[tuple[int, int]]:
    """Position and sequence of what is in the stream; the id says the same as the event."""
    async with Redis.from_url(url) as redis:
        found = await redis.xrange(STREAM)
    seen = []
    for entry_id, fields in found:
        event = msgspec.json.decode(fields[b"event"])
        assert entry_id == b"%d-0" % event["position"]
        assert fields[b"type"].decode() == event["type"]
        seen.append((event["position"], event["sequence"]))
    return seen


async def test_nodes_that_write_at_the_same_time_write_each_event_once(
    pool: Pool, redis_url: str
) -> None:
    streams = [EventStream(redis_url, timeout_s=PATIENT_S) for _ in range(3)]
    counts = EventCounts()
    nodes = [streaming(pool, stream, counts) for stream in streams]
    for round_ in range(1, 4):
        await tell(pool, 40)
        await asyncio.gather(*(node.round() for node in nodes))
        assert [nth for _, nth in await entries(redis_url)] == list(range(1, 40 * round_ + 1))
    assert counts.streamed == 120
    for stream in streams:
        await stream.close()


async def test_more_than_a_page_is_added_page_by_page(pool: Pool, redis_url: str) -> None:
    stream = EventStream(redis_url, timeout_s=PATIENT_S)
    await tell(pool, PAGE + 3)
    assert await streaming(pool, stream).round()
    assert len(await entries(redis_url)) == PAGE + 3
    await stream.close()


async def test_what_redis_has_lost_is_added_again(pool: Pool, own_redis: LocalRedis) -> None:
    stream = EventStream(own_redis.url, timeout_s=PATIENT_S)
    job = streaming(pool, stream)
    await tell(pool, 3)
    assert await job.round()
    before = await entries(own_redis.url)
    own_redis.wipe()
    await tell(pool, 1)
    assert await job.round()
    assert (await entries(own_redis.url))[:3] == before
    assert len(await entries(own_redis.url)) == 4
    await stream.close()


async def test_a_stream_ahead_of_a_restored_database_begins_anew(
    pool: Pool, redis_url: str
) -> None:
    stream = EventStream(redis_url, timeout_s=PATIENT_S)
    await stream.add([(10_000, "booking.confirmed", b"{}")])
    await tell(pool, 2)
    assert await streaming(pool, stream).round()
    assert [nth for _, nth in await entries(redis_url)] == [1, 2]
    await stream.close()


async def test_a_redis_that_is_away_is_no_error_of_anybody(pool: Pool, redis_url: str) -> None:
    gone = EventStream("redis://127.0.0.1:1/", timeout_s=0.5)
    await tell(pool, 1)
    job = streaming(pool, gone)
    assert not await job.round()
    for call in (gone.last(), gone.add([(1, "x", b"{}")]), gone.clear()):
        with pytest.raises(StreamUnavailable):
            await call
    await gone.close()
    # What another program has put there is no stream: said, and left alone.
    async with Redis.from_url(redis_url) as redis:
        await redis.set(STREAM, "x")
        wrong = EventStream(redis_url, timeout_s=PATIENT_S)
        with pytest.raises(StreamUnavailable):
            await wrong.add([(1, "x", b"{}")])
        assert not await streaming(pool, wrong).round()
        await wrong.close()


async def test_a_node_writes_as_soon_as_it_hears_of_an_event(pool: Pool, redis_url: str) -> None:
    stream, tail = EventStream(redis_url, timeout_s=PATIENT_S), EventTail()
    job = Streaming(EventsRepository(pool), stream, tail, EventCounts())
    running = asyncio.create_task(job.run())
    await tell(pool, 1)
    tail.advance(await EventsRepository(pool).last())
    async with asyncio.timeout(PATIENT_S):
        while not await entries(redis_url):
            await look_again()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await stream.close()
