"""Heartbeats in Redis: one hash, a field for each node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from cinema.storage.membership.views import Beat, BeatsUnavailable
from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.client import UNREACHABLE, redis_client

_KEY: Final = "cinema:beats"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Beat).decode


class RedisHeartbeats:
    """Every beat writes one field and reads them all, in one round trip.

    Nothing here has to survive: after a loss the next beats bring everything back.
    """

    def __init__(self, url: str | RedisAddress, *, timeout_s: float) -> None:
        self._redis = redis_client(url, timeout_s=timeout_s)

    async def beat(self, node_id: bytes, beat: Beat) -> Mapping[bytes, Beat]:
        """See `HeartbeatStore.beat`."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hset(_KEY, node_id.hex(), _encode(beat))
                pipeline.hgetall(_KEY)
                _, fields = await pipeline.execute()
        except UNREACHABLE as error:
            raise BeatsUnavailable(str(error)) from error
        beats: dict[bytes, Beat] = {}
        for field, value in fields.items():
            try:
                beats[bytes.fromhex(field.decode())] = _decode(value)
            except ValueError:
                # A field of another program or version: not a sign of life for us.
                continue
        return beats

    async def forget(self, node_ids: frozenset[bytes]) -> None:
        """See `HeartbeatStore.forget`."""
        try:
            await self._redis.hdel(_KEY, *sorted(one.hex() for one in node_ids))
        except UNREACHABLE as error:
            raise BeatsUnavailable(str(error)) from error

    async def close(self) -> None:
        """See `HeartbeatStore.close`."""
        await self._redis.aclose()
