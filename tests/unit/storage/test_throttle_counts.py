import structlog

from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.throttle_counts import (
    SHARED_COUNTS_LOST,
    SHARED_REST_S,
    BoundedMemory,
    ThrottleCounts,
    limit_of,
)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def test_counts_in_memory_are_bounded_and_the_least_used_go_first() -> None:
    """Whoever has many addresses cannot make a node keep a count for each."""
    memory = BoundedMemory(Clock(), keys_limit=3)
    for key in ("a", "b", "a", "c", "d"):
        await memory.incr(key, 60)
    assert len(memory) == 3
    assert [await memory.get(key) for key in "abcd"] == [2, 0, 1, 1]


async def test_window_begins_with_the_first_and_counts_never_fall_below_zero() -> None:
    clock = Clock()
    memory = BoundedMemory(clock)
    assert await memory.incr("a", 60, -1) == 0
    await memory.incr("a", 60)
    clock.now_s += 59
    assert (await memory.get("a"), await memory.get_expiry("a")) == (1, 1060.0)
    clock.now_s += 1
    assert await memory.get("a") == 0
    assert await memory.get_expiry("never") == clock.now_s
    assert await memory.check()
    assert memory.base_exceptions is ValueError
    assert await memory.reset() == 1
    assert len(memory) == 0


async def test_without_redis_memory_alone_counts() -> None:
    counts = ThrottleCounts(Clock())
    limit = limit_of("login", 2, 60)
    assert [await counts.take(limit, "a") for _ in range(3)] == [None, None, 60]
    await counts.forget(limit, "a")
    assert await counts.take(limit, "a") is None
    await counts.close()


async def test_a_redis_that_stays_away_is_told_of_once() -> None:
    clock = Clock()
    counts = ThrottleCounts(clock, redis=RedisAddress("redis://127.0.0.1:1"))
    limit = limit_of("login", 2, 60)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert await counts.take(limit, "a") is None
            clock.now_s += SHARED_REST_S
    assert counts.is_lost
    assert [line["event"] for line in lines] == [SHARED_COUNTS_LOST]
    await counts.close()
