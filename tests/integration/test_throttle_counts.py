"""Counts that several nodes share through Redis, and what becomes of them without it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
import structlog

from cinema.local.redis_server import LocalRedis
from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.throttle_counts import (
    SHARED_COUNTS_FOUND,
    SHARED_COUNTS_LOST,
    SHARED_TIMEOUT_S,
    ThrottleCounts,
    limit_of,
)

pytestmark = pytest.mark.process

LOGINS = limit_of("login", 6, 300)


class Clock:
    now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


async def _three(
    url: str, clock: Clock, timeout_s: float = SHARED_TIMEOUT_S
) -> AsyncIterator[list[ThrottleCounts]]:
    nodes = [ThrottleCounts(clock, redis=RedisAddress(url), timeout_s=timeout_s) for _ in range(3)]
    yield nodes
    for node in nodes:
        await node.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def nodes(redis_url: str, clock: Clock) -> AsyncIterator[list[ThrottleCounts]]:
    # Their Redis always answers; a busy machine may take long to hear it, and is not tested here.
    async for three in _three(redis_url, clock, timeout_s=60.0):
        yield three


@pytest.fixture
async def frail(own_redis: LocalRedis, clock: Clock) -> AsyncIterator[list[ThrottleCounts]]:
    async for three in _three(own_redis.url, clock):
        yield three


async def taken(nodes: list[ThrottleCounts], times: int) -> list[bool]:
    """Whether each of so many takes, in turn at the nodes, was within the limit."""
    return [await nodes[at % len(nodes)].take(LOGINS, "ann") is None for at in range(times)]


async def test_three_nodes_count_together(nodes: list[ThrottleCounts]) -> None:
    assert await taken(nodes, 8) == [True] * 6 + [False] * 2
    left_s = await nodes[1].take(LOGINS, "ann")
    assert left_s is not None
    assert 290 <= left_s <= 300


async def test_what_one_node_gives_back_another_may_take(nodes: list[ThrottleCounts]) -> None:
    await taken(nodes, 6)
    await nodes[2].give_back(LOGINS, "ann")
    assert await taken(nodes, 2) == [True, False]
    await nodes[1].forget(LOGINS, "ann")
    assert await taken(nodes, 7) == [True] * 6 + [False]


async def test_bursts_at_all_nodes_at_once_are_counted_exactly(
    nodes: list[ThrottleCounts],
) -> None:
    takes = [node.take(LOGINS, "ann") for node in nodes for _ in range(20)]
    assert (await asyncio.gather(*takes)).count(None) == 6


async def test_without_redis_each_node_counts_for_itself_from_what_it_has_seen(
    frail: list[ThrottleCounts], own_redis: LocalRedis, clock: Clock
) -> None:
    await taken(frail, 6)
    with structlog.testing.capture_logs() as events:
        own_redis.kill()
        assert await taken(frail, 15) == [True] * 12 + [False] * 3
        assert [event["event"] for event in events] == [SHARED_COUNTS_LOST] * 3
        assert all(node.is_lost for node in frail)
        own_redis.start()
        clock.now_s += 1
        assert await taken(frail, 7) == [True] * 6 + [False]
    assert [event["event"] for event in events[3:]] == [SHARED_COUNTS_FOUND] * 3


async def test_redis_that_hangs_is_asked_once_in_a_while_and_nobody_waits_for_it_meanwhile(
    frail: list[ThrottleCounts], own_redis: LocalRedis
) -> None:
    node = frail[0]
    await node.take(LOGINS, "ann")
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        assert await node.take(LOGINS, "ann") is None
        assert node.is_lost
        # The clock of the node stands still: it does not ask again, and has nothing to wait for.
        async with asyncio.timeout(5):
            assert await taken([node], 200) == [True] * 4 + [False] * 196
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
