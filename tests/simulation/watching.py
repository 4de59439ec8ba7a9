"""Watchers: a connection to a node, a snapshot, then every change in order."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from cinema.actors.messages import SeatsSeen, Watch
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.events import AnyEvent, PlanChanged, decode_recorded
from cinema.domain.showtime.terms import ShowtimeTerms

if TYPE_CHECKING:
    from tests.simulation.node import Process
    from tests.simulation.world import World

REJOIN_S = 0.1
WATCH_FOR_S = 3.0

Frame = tuple[int, int, int, AnyEvent, int]
"""Epoch, the seq before, seq, event, and the moment it left the node."""


class Connection:
    """One watcher's socket, from the node's side: frames go out in order, or it is cut."""

    def __init__(self, process: Process, watcher: Watcher) -> None:
        self.process = process
        self._watcher = watcher
        self._showtime_id = watcher.showtime_id
        self._last_ns = 0
        process.connections[self] = None

    # --- the feed the kernel knows

    def changed(
        self, epoch: int, prev_seq: int, seq: int, event: AnyEvent, terms: ShowtimeTerms
    ) -> None:
        """See `SeatFeed.changed`."""
        if self.process.loop.dead:
            return
        self._check(epoch, prev_seq, seq, event)
        now_ns = self.process.world.scheduler.now_ns
        self._send(self._watcher.see, (epoch, prev_seq, seq, event, now_ns))

    def lost(self) -> None:
        """See `SeatFeed.lost`."""
        if not self.process.loop.dead:
            self._send(self._watcher.lose, self)

    def _check(self, epoch: int, prev_seq: int, seq: int, event: AnyEvent) -> None:
        world = self.process.world
        written = world.journal.ledger[self._showtime_id]
        where = f"frame {epoch}:{seq} of {self._showtime_id.hex()[-4:]} from {self.process.name}"
        if prev_seq != seq - 1:
            world.violate(f"{where} follows {prev_seq}")
        if seq > len(written):
            world.violate(f"{where} left before it was durable")
            return
        row = written[seq - 1].row
        if (row.epoch, decode_recorded(row.payload).event) != (epoch, event):
            world.violate(f"{where} is not what the journal has there")

    # --- the wire

    def _send(self, action: object, *arguments: object) -> None:
        world = self.process.world
        if self.process.name in world.network.cut_off:
            self.cut()
            return
        at_ns = max(self._last_ns, world.scheduler.now_ns + world.network.lag_ns())
        self._last_ns = at_ns
        world.scheduler.at(at_ns, self._deliver, action, *arguments)

    def _deliver(self, action: object, *arguments: object) -> None:
        if self._watcher.connection is self:
            action(*arguments)  # type: ignore[operator]

    def cut(self) -> None:
        """The socket is closed, from either side."""
        if self.process.connections.pop(self, 0) is None:
            process = self.process
            if not process.loop.dead:
                process.loop.post(self._leave)
            process.world.network.travel(self._watcher.hang_up, self)

    def _leave(self) -> None:
        self.process.dispatch.unwatch(self._showtime_id, self)


class Watcher:
    """A client that keeps a copy of one showtime's seats."""

    def __init__(self, world: World, name: str, showtime_id: bytes, rng: random.Random) -> None:
        self.name = name
        self._rng = rng
        self.showtime_id = showtime_id
        self.connection: Connection | None = None
        self.seats: bytearray | None = None
        self.seq = 0
        self.epoch = 0
        self._world = world
        self._joining = False
        self._early: list[Frame] = []
        self._is_lost = False
        self._snapshot_ns = 0

    async def run(self) -> None:
        """Watch from one node after the other."""
        world = self._world
        while not world.over:
            await self._watch_once()

    async def _watch_once(self) -> None:
        world = self._world
        process = world.nodes[self._choose()].process
        if process is None or not process.serving:
            await asyncio.sleep(REJOIN_S)
            return
        self.connection = Connection(process, self)
        await self._join()
        left_s = WATCH_FOR_S
        while self.connection is not None and (left_s > 0 or world.calm) and not world.over:
            await asyncio.sleep(REJOIN_S)
            left_s -= REJOIN_S
            if not world.profile.clustered and self._choose() != process.name:
                break
            if self.seats is None:
                await self._join()
        if self.connection is not None:
            self.connection.cut()
            self.connection = None
        self.seats = None

    def _choose(self) -> str:
        """Any node of a cluster, else the owner."""
        world = self._world
        if world.profile.clustered:
            return self._rng.choice(world.names)
        return world.views.owner(self.name, self.showtime_id)

    async def _join(self) -> None:
        """Ask for a snapshot; the frames that follow it may already be on their way."""
        connection = self.connection
        if connection is None:
            return
        self.seats = None
        self._early = []
        self._is_lost = False
        self._joining = True
        attempt = await self._world.request(
            self.showtime_id, Watch(feed=connection), connection.process.name
        )
        seen = attempt.heard
        self._joining = False
        if self.connection is not connection:
            return
        if seen is None:
            # It may still be answered: only another socket begins anew for certain.
            connection.cut()
            return
        if not isinstance(seen, SeatsSeen) or self._is_lost:
            return
        self.seats = bytearray(seen.seats)
        self.epoch, self.seq = seen.epoch, seen.seq
        self._snapshot_ns = attempt.left_ns
        for frame in self._early:
            self.see(frame)

    def see(self, frame: Frame) -> None:
        """One change has come in."""
        if self._joining:
            self._early.append(frame)
            return
        epoch, prev_seq, seq, event, left_ns = frame
        if self.seats is None or (seq <= self.seq and left_ns <= self._snapshot_ns):
            return  # On a real socket it would have come before the snapshot.
        if prev_seq != self.seq or epoch < self.epoch:
            self._world.violate(
                f"{self.name} was at {self.epoch}:{self.seq} and got {epoch}:{prev_seq}+{seq}"
            )
        if isinstance(event, PlanChanged):
            # Other seats: the watcher begins anew, as over a real socket.
            self.seats = None
            return
        for seat, status in seat_changes(event):
            self.seats[seat] = status
        self.epoch, self.seq = epoch, seq
        self._world.mirrors.append((self.showtime_id, seq, bytes(self.seats), self.name))

    def lose(self, connection: Connection) -> None:
        """The node says that changes were missed; on a real socket behind the snapshot."""
        self.seats = None
        self._is_lost = True

    def is_up_to_date(self) -> bool:
        """Whether the copy is of the last change there was."""
        return self.seats is not None and self.seq == self._world.durable_seq(self.showtime_id)

    def hang_up(self, connection: Connection) -> None:
        """The socket is gone."""
        if self.connection is connection:
            self.connection = None
            self.seats = None
