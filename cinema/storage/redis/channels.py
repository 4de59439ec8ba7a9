"""Messages to all nodes that listen, through Redis' publish and subscribe; any may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.client import UNREACHABLE, redis_client

RECONNECT_S: Final = 0.2
"""Time between two attempts to reach a Redis that is away."""

LISTEN_S: Final = 1.0
"""How long one wait for a message lasts."""


class ChannelsUnavailable(Exception):
    """The messages may not have been sent."""


class Channels(Protocol):
    """Named channels; a message reaches only those that are subscribed at that moment."""

    async def publish(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Send messages (channel and payload), in order. Raises `ChannelsUnavailable`."""

    async def subscribe(self, channel: bytes) -> None:
        """Hear a channel from now on; without a connection, from the next one on."""

    async def unsubscribe(self, channel: bytes) -> None:
        """Stop listening to a channel."""

    async def listen(
        self, on_message: Callable[[bytes, bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        """Hand on messages until cancelled; `on_up` is told when the connection comes and goes."""

    async def close(self) -> None:
        """Give the connections back."""


class RedisChannels:
    """One connection to publish, one to listen."""

    def __init__(self, url: str | RedisAddress, *, timeout_s: float) -> None:
        self._redis = redis_client(url, timeout_s=timeout_s)
        self._listener = redis_client(url, timeout_s=timeout_s)
        self._wanted: set[bytes] = set()
        self._pubsub: Any = None

    async def publish(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """See `Channels.publish`."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for channel, payload in messages:
                    pipeline.publish(channel, payload)
                await pipeline.execute()
        except UNREACHABLE as error:
            raise ChannelsUnavailable(str(error)) from error

    async def subscribe(self, channel: bytes) -> None:
        """See `Channels.subscribe`."""
        self._wanted.add(channel)
        if self._pubsub is not None:
            try:
                await self._pubsub.subscribe(channel)
            except UNREACHABLE:
                # The listening task meets the same and connects anew, with all that is wanted.
                return

    async def unsubscribe(self, channel: bytes) -> None:
        """See `Channels.unsubscribe`."""
        self._wanted.discard(channel)
        if self._pubsub is not None:
            try:
                await self._pubsub.unsubscribe(channel)
            except UNREACHABLE:
                return

    async def listen(
        self, on_message: Callable[[bytes, bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        """See `Channels.listen`."""
        while True:
            pubsub: Any = self._listener.pubsub(ignore_subscribe_messages=True)
            try:
                # A channel of our own, so that there is a connection before anybody watches.
                await pubsub.subscribe(b"cinema:nodes", *sorted(self._wanted))
                self._pubsub = pubsub
                on_up(True)
                while True:
                    message = await pubsub.get_message(timeout=LISTEN_S)
                    if message is not None and message["type"] == "message":
                        on_message(message["channel"], message["data"])
            except UNREACHABLE:
                await asyncio.sleep(RECONNECT_S)
            finally:
                if self._pubsub is not None:
                    self._pubsub = None
                    on_up(False)
                await pubsub.aclose()

    async def close(self) -> None:
        """See `Channels.close`."""
        await self._redis.aclose()
        await self._listener.aclose()
