"""One node: a machine, and on it one process after the other, each with the real kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cinema.actors.kernel import Kernel
from cinema.actors.messages import Outcome, ReadSeats
from cinema.actors.tasks import Tasks
from cinema.domain.limits import CLOCK_SYNC_S
from tests.simulation.machine import ClockPool, Machine, SimulatedClock
from tests.simulation.requests import Attempt, told
from tests.simulation.scheduler import SimulatedLoop
from tests.simulation.store import SimulatedStore, SimulatedTerms

if TYPE_CHECKING:
    from tests.simulation.watching import Connection
    from tests.simulation.world import World

RETRY_BOOT_S = 0.2
BOOT_NS = 100_000_000


class Process:
    """One life of a node, from its start to its end."""

    def __init__(self, node: Node, world: World, machine: Machine) -> None:
        self.name = node.name
        self.world = world
        self.loop = SimulatedLoop(world.scheduler, machine, world.report)
        self.serving = False
        self.open: dict[Attempt, None] = {}
        self.connections: dict[Connection, None] = {}
        self._machine = machine
        self._node = node
        self._tasks = Tasks()
        self.clock: SimulatedClock
        self.kernel: Kernel
        self.loop.post(self._start)

    def _start(self) -> None:
        self._tasks.start(f"boot-{self.name}", self._live())

    async def _live(self) -> None:
        world = self.world
        self.clock = clock = SimulatedClock(self._machine, world.database.true_us)
        pool: Any = ClockPool(self._ask_time)
        while not await self._synchronised(pool):  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(RETRY_BOOT_S)
        store = SimulatedStore(world.database, self, self._is_mine)
        terms = SimulatedTerms(world.database, self, world.terms)
        self.kernel = world.kernel_type(store, terms, clock, world.profile.settings)
        await self.kernel.start()
        self.serving = True
        world.trace.add(f"{self.name} serves")
        while True:
            await asyncio.sleep(CLOCK_SYNC_S)
            await self._synchronised(pool)

    async def _synchronised(self, pool: Any) -> bool:
        try:
            await self.clock.synchronise(pool)
        except ConnectionError:
            return False
        return True

    async def _ask_time(self) -> int:
        database = self.world.database
        return await database.run(self, "time", "", database.true_us)

    def _is_mine(self, showtime_id: bytes) -> bool:
        return self.world.views.owner(self.name, showtime_id) == self.name

    # --- messages

    def receive(self, attempt: Attempt) -> None:
        """A request has come in; runs on the process's loop."""
        attempt.arrived_us = self.world.database.true_us()
        if isinstance(attempt.message, ReadSeats):
            self._tasks.start("read", self._read(attempt, attempt.message))
        else:
            self.kernel.tell(attempt.showtime_id, attempt.message, self._replies(attempt))

    async def _read(self, attempt: Attempt, query: ReadSeats) -> None:
        self._replies(attempt)(await self.kernel.read_seats(attempt.showtime_id, query))

    def _replies(self, attempt: Attempt) -> Any:
        def reply(outcome: Outcome) -> None:
            if self.loop.dead:
                return
            world = self.world
            if attempt.outcome is not None:
                world.violate(f"answered twice: {attempt!r}, then {told(outcome)}")
            attempt.outcome = outcome
            attempt.left_ns = world.scheduler.now_ns
            attempt.to_seq = world.durable_seq(attempt.showtime_id)
            attempt.clock_error_us = self.clock.uncertainty_us()
            self.open.pop(attempt, None)
            world.network.answer(self, attempt)

        return reply

    # --- the end

    def die(self) -> None:
        """As `kill -9`."""
        self.serving = False
        self.loop.die()
        for attempt in list(self.open):
            self.world.network.reset(attempt)
        for connection in list(self.connections):
            connection.cut()

    def stop(self, grace_s: float) -> None:
        """As SIGTERM: give everything back, then end."""
        self.serving = False
        self.loop.post(self._stop, grace_s)

    def _stop(self, grace_s: float) -> None:
        self._tasks.start("stop", self._leave(grace_s))

    async def _leave(self, grace_s: float) -> None:
        if hasattr(self, "kernel"):
            for connection in list(self.connections):
                connection.cut()
            await self.kernel.stop(grace_s)
        self.world.trace.add(f"{self.name} has stopped")
        self._node.ended(self)


class Node:
    """A machine and the process on it, if one runs."""

    def __init__(self, name: str, world: World, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self.process: Process | None = None
        self.ended_processes: list[Process] = []
        self._world = world

    @property
    def up(self) -> bool:
        """Whether a process runs, frozen or not."""
        return self.process is not None

    def boot(self) -> None:
        """Start a process, unless one runs."""
        if self.process is None:
            self._world.trace.add(f"{self.name} starts")
            self.process = Process(self, self._world, self.machine)

    def kill(self) -> None:
        """End the process without a word."""
        process = self.process
        if process is not None:
            self._world.trace.add(f"{self.name} is killed")
            self._bury(process)
            process.die()

    def ended(self, process: Process) -> None:
        """The process has ended by itself."""
        if self.process is process:
            self._bury(process)
            process.die()
            if self._world.healed_ns:
                self._world.scheduler.after(BOOT_NS, self.boot)

    def _bury(self, process: Process) -> None:
        self.process = None
        self.machine.resume()
        self.ended_processes.append(process)

    def freeze(self, *, suspended: bool) -> None:
        """No step of the process until `thaw`; a suspended machine's monotonic clock stops too."""
        if self.process is not None and not self.process.loop.frozen:
            self._world.trace.add(f"{self.name} is {'suspended' if suspended else 'frozen'}")
            self.process.loop.freeze()
            if suspended:
                self.machine.suspend()

    def thaw(self) -> None:
        """Go on."""
        self.machine.resume()
        if self.process is not None and self.process.loop.frozen:
            self._world.trace.add(f"{self.name} goes on")
            self.process.loop.thaw()
