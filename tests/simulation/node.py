"""One node: a machine, and on it one process after the other, each with the real kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.actors.messages import Outcome, ReadSeats, Watch
from cinema.actors.tasks import Tasks
from cinema.cluster.link import CHALLENGE_BYTES, ClusterSecrets
from cinema.cluster.node import ClusterNode, ClusterOptions
from cinema.domain.limits import CLOCK_SYNC_S
from cinema.domain.membership import Member
from tests.simulation.machine import ClockPool, Machine, SimulatedClock
from tests.simulation.redis import SimulatedBeats, SimulatedChannels
from tests.simulation.requests import Attempt, told
from tests.simulation.scheduler import SimulatedLoop
from tests.simulation.store import SimulatedStore, SimulatedTerms, SimulatedViews

if TYPE_CHECKING:
    from tests.simulation.watching import Connection
    from tests.simulation.world import World

RETRY_BOOT_S = 0.2
BOOT_NS = 100_000_000
HTTP_PORT = 8080
CLUSTER_PORT = 7000


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
        self._booted = asyncio.Event()
        self.listens = False
        self.clock: SimulatedClock
        self.kernel: Kernel
        self.dispatch: Dispatch
        self.cluster: ClusterNode
        self.loop.post(self._start)

    def _start(self) -> None:
        self._tasks.start(f"boot-{self.name}", self._live())

    async def _live(self) -> None:
        world = self.world
        self.clock = clock = SimulatedClock(self._machine, world.database.true_us)
        pool: Any = ClockPool(self._ask_time)
        while not await self._synchronised(pool):  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(RETRY_BOOT_S)
        self._node.clock = clock
        store = SimulatedStore(world.database, self, self._is_mine)
        terms = SimulatedTerms(world.database, self, world.terms, world.plans)
        self.kernel = world.kernel_type(store, terms, clock, world.profile.settings)
        await self.kernel.start()
        self.dispatch = self.kernel
        if world.profile.clustered:
            await self._join(store, terms)
        self.serving = True
        self._booted.set()
        world.trace.add(f"{self.name} serves")
        while True:
            await asyncio.sleep(CLOCK_SYNC_S)
            await self._synchronised(pool)

    async def _join(self, store: SimulatedStore, terms: SimulatedTerms) -> None:
        """Become a member of the cluster."""
        world, timeout_s = self.world, self.world.profile.heartbeat_s
        self.cluster = world.cluster_type(
            self.kernel,
            world.ids.randbytes(16),
            ClusterOptions(secrets=ClusterSecrets([b"secret"]), heartbeat_timeout_s=timeout_s),
            beats=SimulatedBeats(world.redis, self, timeout_s / 2),
            views=SimulatedViews(world.database, self, world.view_table),
            plans=terms,
            channels=SimulatedChannels(world.redis, self, timeout_s / 2),
            journal=store,
            dial=world.wires.dial(self),
            challenge=lambda: world.ids.randbytes(CHALLENGE_BYTES),
        )
        self.dispatch = self.cluster.forwarder
        self.listens = self.serving = True
        self._tasks.start("declared-dead", self._await_death())
        me = Member(
            node_id=self.cluster.placement.node_id,
            host=self.name,
            port=HTTP_PORT,
            cluster_port=CLUSTER_PORT,
            weight=1,
        )
        await self.cluster.join(me)

    async def _await_death(self) -> None:
        """A node that was declared dead ends at once, and its supervisor starts another."""
        await self.cluster.membership.declared_dead.wait()
        self.world.trace.add(f"{self.name} was declared dead")
        self._node.ended(self)

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
        """Without a cluster the simulated view says which due showtimes to look after."""
        world = self.world
        return world.profile.clustered or world.views.owner(self.name, showtime_id) == self.name

    # --- messages

    def receive(self, attempt: Attempt) -> None:
        """A request has come in; runs on the process's loop."""
        attempt.arrived_us = self.world.database.true_us()
        attempt.clock_error_us = self.world.clock_error_us()
        if isinstance(attempt.message, ReadSeats):
            self._tasks.start("read", self._read(attempt, attempt.message))
        else:
            self.dispatch.tell(attempt.showtime_id, attempt.message, self._replies(attempt))

    async def _read(self, attempt: Attempt, query: ReadSeats) -> None:
        self._replies(attempt)(await self.dispatch.read_seats(attempt.showtime_id, query))

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
            # Its owner may have compared its clock anew since it decided.
            attempt.clock_error_us = max(attempt.clock_error_us, world.clock_error_us())
            self.open.pop(attempt, None)
            message = attempt.message
            if isinstance(message, Watch) and message.feed not in self.connections:
                # The socket was closed meanwhile: nobody is left to tell.
                self.dispatch.unwatch(attempt.showtime_id, message.feed)
            world.network.answer(self, attempt)

        return reply

    # --- the end

    def die(self, *, silently: bool = False) -> None:
        """As `kill -9`; `silently` if the machine has no power either."""
        self.serving = self.listens = False
        self.loop.die()
        if not self.world.profile.clustered:
            for attempt in self.open:
                attempt.ended_ns = self.world.scheduler.now_ns
        self.world.wires.died(self, silently=silently)
        if not silently:
            for attempt in list(self.open):
                self.world.network.reset(attempt)
        for connection in list(self.connections):
            connection.cut()

    def stop(self, grace_s: float) -> None:
        """As SIGTERM: give everything back, then end."""
        self.loop.post(self._stop, grace_s)

    def _stop(self, grace_s: float) -> None:
        self._tasks.start("stop", self._leave(grace_s))

    async def _leave(self, grace_s: float) -> None:
        """The order of the server's own stop, which begins once it has started."""
        await self._booted.wait()
        cluster = self.cluster if self.world.profile.clustered else None
        if cluster is not None:
            await cluster.drain(grace_s)
        self.serving = False
        for connection in list(self.connections):
            connection.cut()
        if cluster is not None:
            await cluster.leave(grace_s)
        await self.kernel.stop(grace_s)
        if cluster is not None:
            await cluster.stop()
        self.world.trace.add(f"{self.name} has stopped")
        self._node.ended(self)


class Node:
    """A machine and the process on it, if one runs."""

    def __init__(self, name: str, world: World, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self.process: Process | None = None
        self.clock: SimulatedClock | None = None
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

    def kill(self, *, silently: bool = False) -> None:
        """End the process without a word."""
        process = self.process
        if process is not None:
            self._world.trace.add(f"{self.name} {'loses power' if silently else 'is killed'}")
            self._bury(process)
            process.die(silently=silently)

    def ended(self, process: Process) -> None:
        """The process has ended by itself."""
        if self.process is process:
            self._bury(process)
            process.die()
            if self._world.healed_ns or self._world.profile.clustered:
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
