"""One simulated Redis: heartbeats and messages, and nothing that has to survive."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cinema.storage.membership.views import Beat, BeatsUnavailable
from cinema.storage.redis.channels import RECONNECT_S, ChannelsUnavailable
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace

if TYPE_CHECKING:
    from tests.simulation.node import Process

_MS = 1_000_000


class Redis:
    """The server; `cut_off` are the nodes that do not reach it."""

    def __init__(
        self, scheduler: Scheduler, trace: Trace, rng: random.Random, *, latency_ms: float
    ) -> None:
        self.beats: dict[bytes, Beat] = {}
        self.down = False
        self.cut_off: dict[str, None] = {}
        self.lossy = 0.0
        self.listeners: dict[SimulatedChannels, None] = {}
        self._scheduler = scheduler
        self._trace = trace
        self._rng = rng
        self._latency_ns = latency_ms * _MS

    def wipe(self) -> None:
        """Everything in it is gone."""
        self.beats.clear()

    def stop(self) -> None:
        """The server is away; whoever listens is told."""
        self.down = True
        self.hang_up()

    def hang_up(self) -> None:
        """Every connection is lost."""
        listeners, self.listeners = self.listeners, {}
        for channels in listeners:
            self._travel(channels.process.loop.post, channels.broken.set)

    def spread(self, channel: bytes, payload: bytes) -> None:
        """A message to all who listen; each may miss it, or get it behind a later one."""
        for channels in self.listeners:
            if channel not in channels.wanted or channels.process.name in self.cut_off:
                continue
            if self._rng.random() >= self.lossy:
                self._travel(channels.process.loop.post, channels.hear, channel, payload)

    async def run(self, process: Process, timeout_s: float, change: Any) -> Any:
        """One command, there and back."""
        if self.down:
            await asyncio.sleep(0.001)
            raise BeatsUnavailable("refused")
        answer: asyncio.Future[Any] = process.loop.create_future()
        if process.name not in self.cut_off:
            self._travel(self._act, process, answer, change)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise BeatsUnavailable("timeout") from error

    def _act(self, process: Process, answer: asyncio.Future[Any], change: Any) -> None:
        if self.down:
            return
        result = change()
        if process.name not in self.cut_off:
            self._travel(process.loop.post, _settle, answer, result)

    def _travel(self, action: Any, *arguments: Any) -> None:
        lag_ns = int(self._latency_ns * self._rng.expovariate(1.0)) + 20_000
        self._scheduler.after(lag_ns, action, *arguments)


class SimulatedBeats:
    """A `HeartbeatStore` of one process."""

    def __init__(self, redis: Redis, process: Process, timeout_s: float) -> None:
        self._redis = redis
        self._process = process
        self._timeout_s = timeout_s

    async def beat(self, node_id: bytes, beat: Beat) -> Mapping[bytes, Beat]:
        """See `HeartbeatStore.beat`."""

        def change() -> dict[bytes, Beat]:
            self._redis.beats[node_id] = beat
            return dict(self._redis.beats)

        return await self._redis.run(self._process, self._timeout_s, change)

    async def forget(self, node_ids: frozenset[bytes]) -> None:
        """See `HeartbeatStore.forget`."""

        def change() -> None:
            for node_id in sorted(node_ids):
                self._redis.beats.pop(node_id, None)

        await self._redis.run(self._process, self._timeout_s, change)

    async def close(self) -> None:
        """Nothing to give back."""


class SimulatedChannels:
    """The `Channels` of one process."""

    def __init__(self, redis: Redis, process: Process, timeout_s: float) -> None:
        self.process = process
        self.wanted: dict[bytes, None] = {}
        self.broken = asyncio.Event()
        self._redis = redis
        self._timeout_s = timeout_s
        self._on_message: Callable[[bytes, bytes], None]

    async def publish(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """See `Channels.publish`."""

        def spread() -> None:
            for channel, payload in messages:
                self._redis.spread(channel, payload)

        try:
            await self._redis.run(self.process, self._timeout_s, spread)
        except BeatsUnavailable as error:
            raise ChannelsUnavailable(str(error)) from error

    async def subscribe(self, channel: bytes) -> None:
        """See `Channels.subscribe`: heard from the moment the command has arrived."""
        await self._command(lambda: self.wanted.update({channel: None}))

    async def unsubscribe(self, channel: bytes) -> None:
        """See `Channels.unsubscribe`."""
        await self._command(lambda: self.wanted.pop(channel, None))

    async def _command(self, change: Callable[[], Any]) -> None:
        try:
            await self._redis.run(self.process, self._timeout_s, change)
        except BeatsUnavailable:
            change()

    async def listen(
        self, on_message: Callable[[bytes, bytes], None], on_up: Callable[[bool], None]
    ) -> None:
        """See `Channels.listen`."""
        self._on_message = on_message
        while True:
            try:
                await self._redis.run(self.process, self._timeout_s, self._arrive)
            except BeatsUnavailable:
                await asyncio.sleep(RECONNECT_S)
                continue
            on_up(True)
            await self.broken.wait()
            on_up(False)

    def _arrive(self) -> None:
        self.broken.clear()
        self._redis.listeners[self] = None

    def hear(self, channel: bytes, payload: bytes) -> None:
        """A message has come in."""
        self._on_message(channel, payload)

    async def close(self) -> None:
        """See `Channels.close`."""
        self._redis.listeners.pop(self, None)


def _settle(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)
