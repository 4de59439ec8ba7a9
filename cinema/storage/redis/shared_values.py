"""Values that nodes share through Redis for a time; without it there are none."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog

from cinema.storage.cache.values import VALUE_LIMIT_BYTES
from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.client import UNREACHABLE, redis_client

VALUE_TIMEOUT_S: Final = 0.05
"""How long Redis may take for a value: the database answers in less."""

VALUES_REST_S: Final = 1.0
"""How long Redis is left alone after it did not answer."""

VALUES_AT_ONCE: Final = 16
"""Calls to Redis at a time; others do without it, so that nobody waits in line."""

BUDGET_BYTES: Final = 32 << 20
BUDGET_WINDOW_S: Final = 60.0
"""What a node writes in such a time, at most. Lists live as long, so whoever asks for ever other
ones cannot fill the Redis that the nodes need."""

CACHE_LOST: Final = "cache_lost"
CACHE_FOUND: Final = "cache_found"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class SharedValues:
    """See `Values`: in Redis, under the names as they are; `errors` counts failed calls."""

    def __init__(
        self,
        url: str | RedisAddress,
        clock_s: Callable[[], float] = time.monotonic,
        *,
        timeout_s: float = VALUE_TIMEOUT_S,
    ) -> None:
        self._redis = redis_client(url, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._clock_s = clock_s
        self._rests_until_s = -math.inf
        self._window_ends_s = -math.inf
        self._written_bytes = 0
        self._at_once = 0
        self._is_lost = False
        self.errors = 0

    async def get(self, key: str) -> bytes | None:
        """See `Values.get`."""
        found: Any = await self._asked(lambda: self._redis.get(key))
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """See `Values.put`."""
        if len(value) <= VALUE_LIMIT_BYTES and self._affords(len(value)):
            await self._asked(lambda: self._redis.set(key, value, ex=math.ceil(ttl_s)))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    def _affords(self, size_bytes: int) -> bool:
        """Whether a value may still be written in this window, and so is counted."""
        now_s = self._clock_s()
        if now_s >= self._window_ends_s:
            self._window_ends_s, self._written_bytes = now_s + BUDGET_WINDOW_S, 0
        if self._written_bytes + size_bytes > BUDGET_BYTES:
            return False
        self._written_bytes += size_bytes
        return True

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """The answer of Redis; None without one."""
        if self._at_once >= VALUES_AT_ONCE or self._clock_s() < self._rests_until_s:
            return None
        self._at_once += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except UNREACHABLE as error:
            self.errors += 1
            self._rests_until_s = self._clock_s() + VALUES_REST_S
            if not self._is_lost:
                self._is_lost = True
                log.warning(CACHE_LOST, reason=str(error) or type(error).__name__)
            return None
        finally:
            self._at_once -= 1
        if self._is_lost:
            self._is_lost = False
            log.info(CACHE_FOUND)
        return answer
