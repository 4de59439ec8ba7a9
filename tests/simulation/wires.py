"""Connections between nodes: bytes in order, or no longer any.

What is written while the way is cut waits, as TCP would have it; when the way opens again it
arrives, late, or the connection turns out to be broken. Nobody tells the living that a machine has
lost power: they find out when they write.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cinema.cluster.link import UNHEARD_S
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.node import Node, Process

_MS = 1_000_000
BROKEN_AFTER_CUT = 0.5
"""Share of connections that do not survive a cut of their way."""


class Wires:
    """All connections between processes; `cut` has the directed ways that lead nowhere."""

    def __init__(self, scheduler: Scheduler, rng: random.Random, *, latency_ms: float) -> None:
        self.cut: dict[tuple[str, str], None] = {}
        self.listening: dict[tuple[str, int], Node] = {}
        self._scheduler = scheduler
        self._rng = rng
        self._latency_ns = latency_ms * _MS
        self._ends: dict[End, None] = {}

    def dial(self, process: Process) -> Callable[..., Any]:
        """What stands for `loop.create_connection` in a process."""

        async def dial(factory: Callable[[], Any], host: str, port: int) -> object:
            connected: asyncio.Future[Process] = process.loop.create_future()
            target = self.listening[host, port]
            if self.is_open(process.name, target.name):
                self._travel(self._knock, process, target, connected)
            other = await connected
            near, far = End(self, process), End(self, other)
            near.join(far)
            near.carry(self._accept, other, far)
            near.protocol = factory()
            near.protocol.connection_made(near)
            return near

        return dial

    def _knock(self, process: Process, target: Node, connected: asyncio.Future[Any]) -> None:
        """Somebody listens, or the connection is refused."""
        other = target.process
        error = ConnectionRefusedError("nobody listens")
        if other is None or not other.listens:
            self._travel(process.loop.post, _settle, connected, error)
        else:
            self._travel(process.loop.post, _settle, connected, other)

    def _accept(self, process: Process, end: End) -> None:
        process.loop.post(self._greet, process, end)

    def _greet(self, process: Process, end: End) -> None:
        if not end.closed:
            end.protocol = process.cluster.accept()
            end.protocol.connection_made(end)

    def listening_node(self, name: str) -> Node:
        """The node of a name."""
        return next(node for node in self.listening.values() if node.name == name)

    def is_open(self, from_name: str, to_name: str) -> bool:
        """Whether packets come through."""
        return (from_name, to_name) not in self.cut

    def close_way(self, from_name: str, to_name: str) -> None:
        """No packet comes through from here on."""
        self.cut[from_name, to_name] = None

    def open_way(self, from_name: str, to_name: str) -> None:
        """Packets come through again: what waits arrives, or the connection is found broken."""
        if self.cut.pop((from_name, to_name), 0) is None:
            for end in list(self._ends):
                if end.process.name == from_name and end.other.process.name == to_name:
                    if self._rng.random() < BROKEN_AFTER_CUT:
                        end.reset()
                    else:
                        end.flush()

    def open_all(self) -> None:
        """Every way is open."""
        for from_name, to_name in list(self.cut):
            self.open_way(from_name, to_name)

    def died(self, process: Process, *, silently: bool) -> None:
        """A process is gone; its system says goodbye to its peers, unless it lost power too."""
        for end in list(self._ends):
            if end.process is process:
                end.abandon(silently=silently)

    def _travel(self, action: Callable[..., Any], *arguments: Any) -> None:
        self._scheduler.after(self.lag_ns(), action, *arguments)

    def lag_ns(self) -> int:
        """How long a packet takes."""
        return int(self._latency_ns * self._rng.expovariate(1.0)) + 20_000


def _settle(connected: asyncio.Future[Any], result: Any) -> None:
    if connected.done():
        return
    if isinstance(result, Exception):
        connected.set_exception(result)
    else:
        connected.set_result(result)


class End:
    """One end of a connection: the transport that its process's protocol writes to."""

    def __init__(self, wires: Wires, process: Process) -> None:
        self.process = process
        self.protocol: Any = None
        self.closed = False
        self.other: End
        self._wires = wires
        self._unsent: list[bytes | None] = []
        self._last_ns = 0
        self._silent = False

    def join(self, other: End) -> None:
        """The two ends of one connection."""
        self.other, other.other = other, self
        self._wires._ends[self] = None
        self._wires._ends[other] = None

    # --- asyncio's transport

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not self.closed:
            self._unsent.append(bytes(data))
            self.flush()

    def close(self) -> None:
        """Send what was written, then hang up."""
        if not self.closed:
            self._unsent.append(None)
            self.flush()
            self._end()

    def abort(self) -> None:
        """Hang up at once."""
        if not self.closed:
            self._unsent = [None]
            self.flush()
            self._end()

    def get_extra_info(self, _name: str) -> None:
        """There is no socket."""

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self.closed

    # --- what happens to it

    def flush(self) -> None:
        """Let what waits travel, if the way is open."""
        wires = self._wires
        if not wires.is_open(self.process.name, self.other.process.name):
            return
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self.carry(self.other.arrive, data)

    def carry(self, action: Callable[..., Any], *arguments: Any) -> None:
        """Have something happen at the other end, behind all that was sent before."""
        scheduler = self._wires._scheduler
        self._last_ns = max(self._last_ns, scheduler.now_ns + self._wires.lag_ns())
        scheduler.at(self._last_ns, action, *arguments)

    def arrive(self, data: bytes | None) -> None:
        """Bytes have come in, or (None) the other end has hung up."""
        if self.process.loop.dead:
            # Whoever writes to a process that is gone is told so, by a machine that has power.
            if self._wires.listening_node(self.process.name).up or not self._silent:
                self._wires._travel(self.other.reset)
        elif not self.closed:
            self.process.loop.post(self._receive, data)

    def _receive(self, data: bytes | None) -> None:
        if self.closed:
            return
        if data is None:
            self._end()
        elif self.protocol is not None:
            self.protocol.data_received(data)

    def reset(self) -> None:
        """The connection is broken, at both ends."""
        for end in (self, self.other):
            if not end.closed and not end.process.loop.dead:
                end.process.loop.post(end._receive, None)

    def abandon(self, *, silently: bool) -> None:
        """The process is gone."""
        self.closed = True
        self._wires._ends.pop(self, None)
        self._silent = silently
        if silently:
            # Keep-alive finds out in the end.
            self._wires._scheduler.after(UNHEARD_S * 1_000_000_000, self.reset)
        else:
            self._unsent.append(None)
            self.flush()

    def _end(self) -> None:
        self.closed = True
        self._wires._ends.pop(self, None)
        if self.protocol is not None:
            self.process.loop.call_soon(self.protocol.connection_lost, None)
