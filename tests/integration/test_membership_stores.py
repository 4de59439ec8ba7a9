"""What only the real servers of views and heartbeats can do: be away, be slow, hold rubbish."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from cinema.domain.membership import NO_VIEW, Member, View
from cinema.local.redis_server import LocalRedis
from cinema.settings.connections import FOR_SESSIONS
from cinema.storage.database.pool import open_pool
from cinema.storage.membership.views import (
    VIEWS_KEPT,
    Beat,
    BeatsUnavailable,
    PostgresViews,
    ViewsUnavailable,
)
from cinema.storage.redis.heartbeats import RedisHeartbeats

ONE, OTHER = b"1" * 16, b"2" * 16


@pytest.mark.postgres
async def test_views_say_so_when_postgres_does_not_answer_in_time(
    pool: asyncpg.Pool[asyncpg.Record],
) -> None:
    views = PostgresViews(pool, timeout_s=0.2)
    assert await views.latest() == NO_VIEW
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table cluster_views in access exclusive mode")
        with pytest.raises(ViewsUnavailable):
            await views.latest()
        with pytest.raises(ViewsUnavailable):
            await views.propose(View(version=1), ONE)
    # What was given up may not take place later.
    assert await views.latest() == NO_VIEW
    assert await views.propose(View(version=1), ONE)


@pytest.mark.postgres
async def test_views_say_so_when_the_connection_is_lost(
    pool: asyncpg.Pool[asyncpg.Record],
) -> None:
    views = PostgresViews(pool, timeout_s=5.0)
    pool.terminate()
    with pytest.raises(ViewsUnavailable):
        await views.latest()
    with pytest.raises(ViewsUnavailable):
        await views.propose(View(version=1), ONE)


@pytest.mark.postgres
async def test_views_say_so_when_all_connections_are_in_use(
    pool: asyncpg.Pool[asyncpg.Record],
) -> None:
    views = PostgresViews(pool, timeout_s=0.2)
    async with AsyncExitStack() as stack:
        for _ in range(pool.get_max_size()):
            await stack.enter_async_context(pool.acquire())
        async with asyncio.timeout(5.0):
            with pytest.raises(ViewsUnavailable):
                await views.latest()
            with pytest.raises(ViewsUnavailable):
                await views.propose(View(version=1), ONE)
    assert await views.latest() == NO_VIEW


@pytest.mark.postgres
async def test_views_do_not_wait_for_a_model_and_a_month_of_the_journal(
    database: str,
) -> None:
    sessions = await open_pool(database, size=FOR_SESSIONS)
    try:
        async with sessions.acquire(), sessions.acquire():
            assert await PostgresViews(sessions, timeout_s=5.0).latest() == NO_VIEW
    finally:
        sessions.terminate()


@pytest.mark.postgres
async def test_only_the_last_views_are_kept(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    views = PostgresViews(pool, timeout_s=5.0)
    for version in range(1, VIEWS_KEPT + 6):
        assert await views.propose(View(version=version), ONE)
    kept = await pool.fetch("select version, proposed_by from cluster_views order by version")
    assert [row["version"] for row in kept] == list(range(6, VIEWS_KEPT + 6))
    assert {row["proposed_by"] for row in kept} == {ONE}


@pytest.mark.postgres
async def test_a_member_of_a_later_version_can_be_read(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    views = PostgresViews(pool, timeout_s=5.0)
    known = Member(node_id=ONE, host="h", port=1, cluster_port=2)
    later = {**msgspec.structs.asdict(known), "zone": "eu-1"}
    await pool.execute(
        "insert into cluster_views (version, members, proposed_by) values (1, $1, $2)",
        msgspec.msgpack.encode([later]),
        OTHER,
    )
    assert await views.latest() == View(version=1, members=(known,))


async def test_beats_that_make_no_sense_are_nobodys_sign_of_life(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    for field, value in ((b"no id", b"\x92\x01\x01"), (OTHER.hex(), b"?"), (b"\xff", b"")):
        await redis.hset("cinema:beats", field, value)
    await redis.aclose()
    beats = RedisHeartbeats(redis_url, timeout_s=5.0)
    assert await beats.beat(ONE, Beat(1, 1)) == {ONE: Beat(1, 1)}
    await beats.close()


async def test_beats_say_so_while_redis_is_away_and_go_on_when_it_is_back(
    own_redis: LocalRedis,
) -> None:
    beats = RedisHeartbeats(own_redis.url, timeout_s=5.0)
    await beats.beat(ONE, Beat(1, 1))
    await asyncio.to_thread(own_redis.kill)
    with pytest.raises(BeatsUnavailable):
        await beats.beat(ONE, Beat(2, 1))
    with pytest.raises(BeatsUnavailable):
        await beats.forget(frozenset({OTHER}))
    await asyncio.to_thread(own_redis.start)
    assert await beats.beat(ONE, Beat(3, 1)) == {ONE: Beat(3, 1)}
    await beats.close()


async def test_beats_say_so_when_redis_does_not_answer_in_time(own_redis: LocalRedis) -> None:
    beats = RedisHeartbeats(own_redis.url, timeout_s=0.2)
    await beats.beat(ONE, Beat(1, 1))
    own_redis.send(signal.SIGSTOP)
    async with asyncio.timeout(4):
        with pytest.raises(BeatsUnavailable):
            await beats.beat(ONE, Beat(2, 1))
    own_redis.send(signal.SIGCONT)
    beats_again = RedisHeartbeats(own_redis.url, timeout_s=5.0)
    assert OTHER in await beats_again.beat(OTHER, Beat(1, 1))
    await beats.close()
    await beats_again.close()
