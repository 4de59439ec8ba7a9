"""Counts of what clients do within a time: in Redis for all nodes, else in memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import BlockingConnectionPool

from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.client import UNREACHABLE, redis_client

KEYS_KEPT: Final = 50_000
"""Counts a node keeps in memory, about 400 bytes each; the least recently used go first."""

SHARED_TIMEOUT_S: Final = 0.25
"""How long Redis may take for a count: a login must not wait longer for it."""

SHARED_REST_S: Final = 1.0
"""How long Redis is left alone after it did not answer; memory counts meanwhile."""

SHARED_CONNECTIONS: Final = 8
"""Connections to Redis for counts; each is busy for the fraction of a millisecond."""

SHARED_COUNTS_LOST: Final = "throttle_counts_lost"
SHARED_COUNTS_FOUND: Final = "throttle_counts_found"

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Counts(Protocol):
    """How often something happened within the window of a limit, by who did it."""

    async def take(self, limit: RateLimitItem, *who: str) -> int | None:
        """Count once; None while the limit is kept, else the seconds until its window ends."""

    async def give_back(self, limit: RateLimitItem, *who: str) -> None:
        """Undo a `take`: what was counted did not happen after all."""

    async def forget(self, limit: RateLimitItem, *who: str) -> None:
        """Begin anew."""


def limit_of(kind: str, amount: int, window_s: int) -> RateLimitItem:
    """At most `amount` in a window, which begins with the first of them."""
    return RateLimitItemPerSecond(amount, window_s, namespace=kind)


class BoundedMemory(Storage):
    """The library's storage in memory, with a clock from outside and a bound on its keys."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float], keys_limit: int = KEYS_KEPT) -> None:
        super().__init__()
        self._clock = clock
        self._keys_limit = keys_limit
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def base_exceptions(self) -> type[Exception]:
        """What its methods may raise: nothing."""
        return ValueError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count, whose window begins with the first; it is never below zero."""
        now_s = self._clock()
        until_s, count = self._windows.get(key, (0.0, 0))
        if until_s <= now_s:
            until_s, count = now_s + expiry, 0
        count = max(0, count + amount)
        if not count:
            # What did not happen takes no place from what did.
            self._windows.pop(key, None)
            return 0
        self._windows[key] = (until_s, count)
        self._windows.move_to_end(key)
        if len(self._windows) > self._keys_limit:
            self._windows.popitem(last=False)
        return count

    async def get(self, key: str) -> int:
        """The count of a key whose window has not ended."""
        until_s, count = self._windows.get(key, (0.0, 0))
        return count if until_s > self._clock() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window of a key ends."""
        return self._windows.get(key, (self._clock(), 0))[0]

    async def check(self) -> bool:
        """It always works."""
        return True

    async def reset(self) -> int | None:
        """Forget all."""
        count = len(self._windows)
        self._windows.clear()
        return count

    async def clear(self, key: str) -> None:
        """Forget a key."""
        self._windows.pop(key, None)


class ThrottleCounts:
    """Counts in Redis for all nodes together; without it, or while it is away, for this node.

    Memory always counts too, so that no client gains when Redis goes away. If Redis does not answer
    in `timeout_s`, it counts as away for `SHARED_REST_S`: no caller waits for it longer than that,
    and none is refused or accepted because of it. `clock` must be one that is never set: if it were
    set back, windows and the rest of Redis would last longer by that much.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        redis: RedisAddress | None = None,
        timeout_s: float = SHARED_TIMEOUT_S,
    ) -> None:
        self.memory = BoundedMemory(clock)
        self._timeout_s = timeout_s
        self._clock = clock
        self._here = FixedWindowRateLimiter(self.memory)
        self._pool: BlockingConnectionPool | None = None
        self._everywhere: FixedWindowRateLimiter | None = None
        self._rest_until_s = -math.inf
        self.is_lost = False
        if redis is not None:
            self._pool = _pool(redis, timeout_s)
            # Options go to the client as they are, which takes a pool though their type has none.
            options: dict[str, Any] = {"connection_pool": self._pool}
            storage = RedisStorage(
                "async+redis://", implementation="redispy", key_prefix="cinema:throttle", **options
            )
            self._everywhere = FixedWindowRateLimiter(storage)

    async def take(self, limit: RateLimitItem, *who: str) -> int | None:
        """See `Counts.take`."""
        here = await self._here.hit(limit, *who)
        everywhere = await self._shared(lambda shared: shared.hit(limit, *who))
        if here if everywhere is None else everywhere:
            return None
        return await self._seconds_left(limit, *who)

    async def give_back(self, limit: RateLimitItem, *who: str) -> None:
        """See `Counts.give_back`."""
        await self._here.hit(limit, *who, cost=-1)
        await self._shared(lambda shared: shared.hit(limit, *who, cost=-1))

    async def forget(self, limit: RateLimitItem, *who: str) -> None:
        """See `Counts.forget`."""
        await self._here.clear(limit, *who)
        await self._shared(lambda shared: shared.clear(limit, *who))

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _seconds_left(self, limit: RateLimitItem, *who: str) -> int:
        window = await self._shared(lambda shared: shared.get_window_stats(limit, *who))
        if window is not None:
            # Redis tells how long; the library adds that to the time of the system.
            left_s = window.reset_time - time.time()
        else:
            left_s = (await self._here.get_window_stats(limit, *who)).reset_time - self._clock()
        return min(max(1, math.ceil(left_s)), limit.get_expiry())

    async def _shared(self, ask: Callable[[FixedWindowRateLimiter], Awaitable[T]]) -> T | None:
        """The answer of Redis; None without one."""
        if self._everywhere is None or self._clock() < self._rest_until_s:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask(self._everywhere)
        except UNREACHABLE as error:
            self._rest_until_s = self._clock() + SHARED_REST_S
            if not self.is_lost:
                self.is_lost = True
                log.warning(SHARED_COUNTS_LOST, reason=str(error) or type(error).__name__)
            return None
        if self.is_lost:
            self.is_lost = False
            log.info(SHARED_COUNTS_FOUND)
        return answer


def _pool(redis: RedisAddress, timeout_s: float) -> BlockingConnectionPool:
    """A bounded pool with the connections of `redis_client`, which do not try again."""
    kept = redis_client(redis, timeout_s=timeout_s).connection_pool
    return BlockingConnectionPool(
        connection_class=kept.connection_class,
        max_connections=SHARED_CONNECTIONS,
        timeout=timeout_s,
        **kept.connection_kwargs,
    )
