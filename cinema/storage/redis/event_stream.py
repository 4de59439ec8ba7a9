"""Public events as a stream in Redis, for programs that follow it there.

An entry has the position of its event as its id, and Redis refuses ids that do not rise. So several
nodes may write the same events: each is in the stream once. Whoever writes adds all that come
behind the last entry, in order; so none is left out either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.client import UNREACHABLE, redis_client

STREAM: Final = "cinema:events"

STREAM_KEPT: Final = 100_000
"""Entries that are kept, about half a kilobyte each; Redis may keep some more."""

STREAM_TIMEOUT_S: Final = 2.0

_BEHIND: Final = "equal or smaller"
"""What Redis says of an id that is there already, or was passed."""


class StreamUnavailable(Exception):
    """Redis did not answer, or not take it; what was sent may be in the stream."""


class EventStream:
    """The stream `cinema:events`; entries have the fields `type` and `event` (JSON)."""

    def __init__(self, url: str | RedisAddress, *, timeout_s: float = STREAM_TIMEOUT_S) -> None:
        self._redis = redis_client(url, timeout_s=timeout_s)

    async def last(self) -> int:
        """The position of the last entry, 0 if there is none. Raises `StreamUnavailable`."""
        try:
            found: Any = await self._redis.xrevrange(STREAM, count=1)
        except UNREACHABLE as error:
            raise StreamUnavailable(str(error) or type(error).__name__) from error
        return int(found[0][0].partition(b"-")[0]) if found else 0

    async def add(self, entries: Sequence[tuple[int, str, bytes]]) -> int:
        """Add events (position, type, JSON), in order; how many were not there yet.

        Raises `StreamUnavailable`.
        """
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for position, type_, event in entries:
                    pipeline.xadd(
                        STREAM,
                        {"type": type_, "event": event},
                        id=f"{position}-0",
                        maxlen=STREAM_KEPT,
                    )
                answers = await pipeline.execute(raise_on_error=False)
        except UNREACHABLE as error:
            raise StreamUnavailable(str(error) or type(error).__name__) from error
        for answer in answers:
            if isinstance(answer, Exception) and not _is_there(answer):
                raise StreamUnavailable(str(answer)) from answer
        return sum(not isinstance(answer, Exception) for answer in answers)

    async def clear(self) -> None:
        """Begin anew. Raises `StreamUnavailable`."""
        try:
            await self._redis.delete(STREAM)
        except UNREACHABLE as error:
            raise StreamUnavailable(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()


def _is_there(answer: Exception) -> bool:
    return isinstance(answer, ResponseError) and _BEHIND in str(answer)
