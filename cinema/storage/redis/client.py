"""Connections to Redis that say so when they break, instead of trying again by themselves."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cinema.storage.redis.address import RedisAddress, redis_address

UNREACHABLE: Final = (RedisError, OSError, TimeoutError)
"""What a call may meet when Redis is away, starting, or full."""


def redis_client(url: str | RedisAddress, *, timeout_s: float) -> Redis:
    """A client whose connections and answers take `timeout_s` at most.

    It never repeats a call: a listener must learn of a connection that was lost meanwhile, and a
    late heartbeat is not worth repeating.
    """
    address = redis_address(url)
    return Redis.from_url(
        address.url,
        credential_provider=address,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
