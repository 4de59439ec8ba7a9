"""Values in a real Redis, which goes away, hangs and is wiped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from cinema.local.redis_server import LocalRedis
from cinema.storage.cache.values import VALUE_LIMIT_BYTES, MemoryValues
from cinema.storage.cache.versioned import Cached, VersionedCache
from cinema.storage.redis.shared_values import (
    BUDGET_BYTES,
    BUDGET_WINDOW_S,
    VALUES_AT_ONCE,
    VALUES_REST_S,
    SharedValues,
)

PATIENT_S = 5.0
"""For a machine that is busy with other tests; the bound itself is a matter of one test."""

FILMS = Cached[list[str]]("catalog:films", list[str], ttl_s=60, rests_on=("movies",))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def values(own_redis: LocalRedis, clock: Clock) -> AsyncIterator[SharedValues]:
    opened = SharedValues(own_redis.url, clock, timeout_s=PATIENT_S)
    yield opened
    await opened.close()


async def test_values_have_their_name_and_their_time(
    values: SharedValues, own_redis: LocalRedis
) -> None:
    await values.put("catalog:movie:1", b"one", 3600)
    assert await values.get("catalog:movie:1") == b"one"
    assert await values.get("catalog:movie:2") is None
    async with Redis.from_url(own_redis.url) as redis:
        assert 3590 <= await redis.ttl("catalog:movie:1") <= 3600
    own_redis.wipe()
    assert await values.get("catalog:movie:1") is None


async def test_without_redis_there_are_no_values_and_it_is_asked_again_after_a_rest(
    values: SharedValues, own_redis: LocalRedis, clock: Clock
) -> None:
    await values.put("a", b"1", 60)
    own_redis.kill()
    assert await values.get("a") is None
    assert values.errors == 1
    await values.put("a", b"2", 60)
    assert await values.get("a") is None
    assert values.errors == 1, "it is not asked while it rests"
    own_redis.start()
    clock.now_s += VALUES_REST_S
    await values.put("a", b"3", 60)
    assert await values.get("a") == b"3"


async def test_redis_that_hangs_is_waited_for_once_by_a_few(
    own_redis: LocalRedis, clock: Clock
) -> None:
    values = SharedValues(own_redis.url, clock)
    try:
        own_redis.send(signal.SIGSTOP)
        # The first ones wait for it, side by side; nobody else does.
        assert await asyncio.gather(*(values.get("a") for _ in range(100))) == [None] * 100
        waited = values.errors
        assert 0 < waited <= VALUES_AT_ONCE
        for _ in range(100):
            assert await values.get("a") is None
            await values.put("a", b"1", 60)
        assert values.errors == waited
    finally:
        own_redis.send(signal.SIGCONT)
        await values.close()


async def test_a_cache_goes_on_when_redis_hangs(own_redis: LocalRedis, clock: Clock) -> None:
    rows, version = ["Stalker"], 1

    async def versions() -> dict[str, int]:
        return {"movies": version}

    async def load() -> list[str]:
        return list(rows)

    values = SharedValues(own_redis.url, clock)
    cache = VersionedCache(versions, MemoryValues(clock, limit_bytes=0), values)
    try:
        assert await cache.read(FILMS, "all", load) == ["Stalker"]
        own_redis.send(signal.SIGSTOP)
        rows, version = ["Mirror"], 2
        assert await cache.read(FILMS, "all", load) == ["Mirror"]
        own_redis.send(signal.SIGCONT)
        # What it was sent while it hung may arrive, with the old number or the new one.
        clock.now_s += VALUES_REST_S
        for _ in range(3):
            assert await cache.read(FILMS, "all", load) == ["Mirror"]
    finally:
        own_redis.send(signal.SIGCONT)
        await values.close()


async def test_values_that_are_too_large_are_not_sent(values: SharedValues) -> None:
    await values.put("a", bytes(VALUE_LIMIT_BYTES + 1), 60)
    assert await values.get("a") is None


async def test_what_a_node_writes_in_a_time_is_bounded(values: SharedValues, clock: Clock) -> None:
    for number in range(BUDGET_BYTES // VALUE_LIMIT_BYTES):
        await values.put(f"{number}", bytes(VALUE_LIMIT_BYTES), 60)
    await values.put("more", b"1", 60)
    assert await values.get("more") is None
    clock.now_s += BUDGET_WINDOW_S
    await values.put("more", b"1", 60)
    assert await values.get("more") == b"1"
