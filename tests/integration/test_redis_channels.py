"""Messages between nodes over a real Redis, which comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cinema.local.redis_server import LocalRedis
from cinema.storage.redis.channels import ChannelsUnavailable, RedisChannels

PATIENCE_S = 20.0
TEST = b"a test message, which counts for nothing"


class Listener:
    """What one node hears, and whether it can."""

    def __init__(self, url: str) -> None:
        self.channels = RedisChannels(url, timeout_s=5.0)
        self.heard: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
        self.is_up = False
        self.tests = 0
        self._changed = asyncio.Event()

    def on_message(self, channel: bytes, payload: bytes) -> None:
        if payload == TEST:
            self.tests += 1
        else:
            self.heard.put_nowait((channel, payload))

    def on_up(self, is_up: bool) -> None:
        self.is_up = is_up
        self._changed.set()

    async def until_up(self, is_up: bool) -> None:
        """Wait until it hears, or hears no more."""
        async with asyncio.timeout(PATIENCE_S):
            while self.is_up != is_up:
                self._changed.clear()
                await self._changed.wait()

    async def next(self) -> tuple[bytes, bytes]:
        """The next message."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listener]:
    """A node that hears."""
    listener = Listener(url)
    task = asyncio.ensure_future(listener.channels.listen(listener.on_message, listener.on_up))
    try:
        await listener.until_up(True)
        yield listener
    finally:
        task.cancel()
        await asyncio.wait([task])
        await listener.channels.close()


async def test_messages_reach_all_who_are_subscribed_in_order(redis_url: str) -> None:
    async with listening(redis_url) as one, listening(redis_url) as other:
        await one.channels.subscribe(b"seats:1")
        await other.channels.subscribe(b"seats:1")
        await other.channels.subscribe(b"seats:2")
        # A subscription counts once it is acknowledged, which comes before any message.
        await asyncio.gather(*(_hears(node, b"seats:1") for node in (one, other)))
        await one.channels.publish([(b"seats:1", b"a"), (b"seats:2", b"b"), (b"seats:1", b"c")])
        assert [await one.next() for _ in range(2)] == [(b"seats:1", b"a"), (b"seats:1", b"c")]
        assert [await other.next() for _ in range(3)] == [
            (b"seats:1", b"a"),
            (b"seats:2", b"b"),
            (b"seats:1", b"c"),
        ]
        await other.channels.unsubscribe(b"seats:1")
        # On one connection in order: whoever hears of the third channel has left the first.
        await other.channels.subscribe(b"seats:3")
        other.tests = 0
        await _hears(other, b"seats:3")
        await one.channels.publish([(b"seats:1", b"d"), (b"seats:2", b"e")])
        assert await other.next() == (b"seats:2", b"e")


async def _hears(listener: Listener, channel: bytes) -> None:
    """Send test messages until one is heard: the server has taken note of the subscription."""
    async with asyncio.timeout(PATIENCE_S):
        while listener.tests == 0:
            await listener.channels.publish([(channel, TEST)])
            await asyncio.sleep(0.01)
    listener.tests = 0


async def test_a_connection_that_was_lost_is_made_again_with_all_that_is_wanted(
    own_redis: LocalRedis,
) -> None:
    async with listening(own_redis.url) as node:
        await node.channels.subscribe(b"kept")
        await node.channels.subscribe(b"dropped")
        await asyncio.to_thread(own_redis.kill)
        await node.until_up(False)
        with pytest.raises(ChannelsUnavailable):
            await node.channels.publish([(b"kept", b"lost")])
        # What is wanted may change meanwhile.
        await node.channels.subscribe(b"new")
        await node.channels.unsubscribe(b"dropped")
        await asyncio.to_thread(own_redis.start)
        await node.until_up(True)
        await node.channels.publish([(b"dropped", b"1"), (b"kept", b"2"), (b"new", b"3")])
        assert [await node.next() for _ in range(2)] == [(b"kept", b"2"), (b"new", b"3")]


async def test_a_silent_channel_is_no_lost_connection(redis_url: str) -> None:
    async with listening(redis_url) as node:
        await node.channels.subscribe(b"quiet")
        await _hears(node, b"quiet")
        # Longer than one wait for a message, and than the answer to a command may take.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await node.heard.get()
        assert node.is_up
        await node.channels.publish([(b"quiet", b"at last")])
        assert await node.next() == (b"quiet", b"at last")
