"""Channels between nodes in memory: messages can be lost, doubled, held; the server can be away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from cinema.storage.redis.channels import ChannelsUnavailable


class Bus:
    """What all nodes publish to; `lose` says how many of the next messages nobody hears."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.up.set()
        self.lose = 0
        self.times_told = 1
        self.heard: list[tuple[bytes, bytes]] = []
        self._channels: list[BusChannels] = []

    def connect(self) -> BusChannels:
        """One node's way to the bus."""
        made = BusChannels(self)
        self._channels.append(made)
        return made

    def go_away(self) -> None:
        """The server is gone; everybody's connection is lost."""
        self.up.clear()
        self.down.set()

    def come_back(self) -> None:
        """The server is there again."""
        self.down.clear()
        self.up.set()

    def spread(self, channel: bytes, payload: bytes) -> None:
        """One message to all who are subscribed."""
        if self.lose:
            self.lose -= 1
            return
        self.heard.append((channel, payload))
        for one in self._channels:
            if channel in one.wanted and one.on_message is not None:
                for _ in range(self.times_told):
                    asyncio.get_running_loop().call_soon(one.on_message, channel, payload)


class BusChannels:
    """See `Channels`."""

    def __init__(self, bus: Bus) -> None:
        self.wanted: set[bytes] = set()
        self.on_message: Callable[[bytes, bytes], None] | None = None
        self._bus = bus

    async def publish(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        await asyncio.sleep(0)
        if self._bus.down.is_set():
            raise ChannelsUnavailable("away")
        for channel, payload in messages:
            self._bus.spread(channel, payload)

    async def subscribe(self, channel: bytes) -> None:
        await asyncio.sleep(0)
        self.wanted.add(channel)

    async def unsubscribe(self, channel: bytes) -> None:
        await asyncio.sleep(0)
        self.wanted.discard(channel)

    async def listen(
        self, on_message: Callable[[bytes, bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        while True:
            await self._bus.up.wait()
            self.on_message = on_message
            on_up(True)
            try:
                await self._bus.down.wait()
            finally:
                self.on_message = None
                on_up(False)

    async def close(self) -> None:
        """Nothing to give back."""
