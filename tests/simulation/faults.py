"""What goes wrong, and when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cinema.actors.messages import TruncateJournal
from tests.simulation.database import Fates, Sender, Stage
from tests.simulation.profile import chosen

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

_STATEMENTS: Final = (
    *("append", "append", "append", "take_over", "load", "save", "confirm"),
    *("inherit", "propose", "view"),
)
_DELAYED: Final = ("append", "append", "confirm", "confirm", "save", "take_over")
_WHERE: Final = ("there", "back", "in vain")
_HANGING: Final = (
    ("append", "in vain"),
    ("append", "in vain"),
    ("confirm", "back"),
    ("save", "there"),
    ("take_over", "there"),
)
_STAGES: Final[tuple[Stage, ...]] = ("sent", "applied", "answered")
AIMED: Final = 0.5
"""Share of the faults in a watched duel that meet the owner."""

_STEPS_LIMIT: Final = 12
"""A process is killed or frozen up to this many of its steps behind a statement's stage."""


class Faults:
    """Injects one fault after the other until the run is to heal."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._armed: list[tuple[str, str, Stage, Callable[[], None]]] = []
        self._healed = False
        world.database.on_stage = self._on_stage

    async def run(self) -> None:
        """Until `heal`."""
        profile, rng = self._world.profile, self._rng
        while not self._healed:
            await asyncio.sleep(rng.expovariate(1 / profile.fault_gap_s))
            if not self._healed:
                name = chosen(rng, profile.faults)
                self._world.trace.add(f"fault: {name}")
                getattr(self, f"_{name}")()

    def heal(self) -> None:
        """Undo everything: from here on the world is well."""
        self._healed = True
        self._armed.clear()
        world = self._world
        world.trace.add("healed")
        database = world.database
        database.fates = Fates()
        database.ways.clear()
        database.delays.clear()
        database.slowness = 1.0
        database.down = False
        world.network.cut_off.clear()
        world.wires.open_all()
        world.redis.down = False
        world.redis.lossy = 0.0
        world.redis.cut_off.clear()
        for node in world.nodes.values():
            node.thaw()
            if node.process is not None:
                node.process.loop.after_steps(0, _nothing)
            node.boot()
        world.views.change(world.nodes)
        world.views.agree()

    def _later(
        self, least_s: float, most_s: float, action: Callable[..., None], *what: object
    ) -> None:
        """Do something after a while, unless all is healed by then."""

        def act() -> None:
            if not self._healed:
                action(*what)

        delay_ns = int(self._rng.uniform(least_s, most_s) * 1e9)
        self._world.scheduler.after(delay_ns, act)

    def _some_node(self) -> Node:
        """Any; where readers watch a duel, often the one that a customer takes for the owner."""
        world = self._world
        if world.profile.readers and self._rng.random() < AIMED:
            return world.nodes[world.views.owner("c1", world.showtimes[0])]
        return self._rng.choice(list(world.nodes.values()))

    # --- processes

    def _kill(self) -> None:
        self._kill_node(self._some_node())

    def _power_loss(self) -> None:
        self._kill_node(self._some_node(), silently=True)

    def _kill_node(self, node: Node, *, silently: bool = False) -> None:
        if node.up:
            node.kill(silently=silently)
            self._forget_member(node)
            self._later(0.05, 2.0, self._start, node)

    def _forget_member(self, node: Node) -> None:
        views = self._world.views
        left = [name for name in views.members if name != node.name]
        if left:
            views.change(left)

    def _start(self, node: Node) -> None:
        node.boot()
        self._world.views.change([name for name, other in self._world.nodes.items() if other.up])

    def _freeze(self) -> None:
        self._freeze_node(self._some_node(), suspended=False)

    def _suspend(self) -> None:
        self._freeze_node(self._some_node(), suspended=True)

    def _freeze_node(self, node: Node, *, suspended: bool) -> None:
        node.freeze(suspended=suspended)
        if self._rng.random() < 0.5:
            self._forget_member(node)
        self._later(0.02, 2.5, self._thaw, node)

    def _thaw(self, node: Node) -> None:
        node.thaw()
        self._start(node)

    def _kill_at_statement(self) -> None:
        node = self._some_node()
        self._arm(node, lambda: self._kill_node(node))

    def _freeze_at_statement(self) -> None:
        node = self._some_node()
        suspended = self._rng.random() < 0.5
        self._arm(node, lambda: self._freeze_node(node, suspended=suspended))

    def _arm(self, node: Node, action: Callable[[], None]) -> None:
        name, stage = self._rng.choice(_STATEMENTS), self._rng.choice(_STAGES)
        self._armed.append((node.name, name, stage, action))

    def _on_stage(self, sender: Sender, name: str, stage: Stage) -> None:
        for armed in self._armed:
            if armed[:3] == (sender.name, name, stage):
                self._armed.remove(armed)
                steps = self._rng.randint(0, _STEPS_LIMIT)
                self._world.trace.add(f"{sender.name} is in for it: {name} {stage} +{steps}")
                if steps:
                    sender.loop.after_steps(steps, armed[3])
                else:
                    armed[3]()
                return

    def _rolling_restart(self) -> None:
        nodes = list(self._world.nodes.values())
        self._rng.shuffle(nodes)
        grace_s = self._rng.choice((0.3, 2.0))
        for position, node in enumerate(nodes):
            at_s = position * (grace_s + 0.3)
            self._later(at_s, at_s, self._stop, node, grace_s)

    def _stop(self, node: Node, grace_s: float) -> None:
        if node.process is not None:
            self._world.trace.add(f"{node.name} is stopped")
            self._forget_member(node)
            node.process.stop(grace_s)
            self._later(grace_s, grace_s + 0.2, self._start, node)

    # --- Postgres

    def _postgres_refuses(self) -> None:
        self._cut_way("refused")

    def _postgres_swallows(self) -> None:
        self._cut_way("swallowed")

    def _cut_way(self, how: str) -> None:
        ways, name = self._world.database.ways, self._some_node().name
        ways[name] = how  # type: ignore[assignment]
        self._later(0.1, 2.5, lambda: ways.pop(name, None))

    def _postgres_restarts(self) -> None:
        database = self._world.database
        database.down = True
        database.restart()
        self._later(0.01, 1.5, self._postgres_is_back)

    def _postgres_is_back(self) -> None:
        self._world.database.down = False

    def _postgres_slow(self) -> None:
        self._world.database.slowness = self._rng.choice((10.0, 100.0))
        self._later(0.2, 1.5, self._postgres_is_fast)

    def _postgres_is_fast(self) -> None:
        self._world.database.slowness = 1.0

    def _statements_lost(self) -> None:
        rng = self._rng
        self._world.database.fates = Fates(
            lost_before=rng.choice((0.0, 0.05, 0.2)),
            lost_after=rng.choice((0.0, 0.05, 0.2)),
            late=rng.choice((0.0, 0.05, 0.2)),
            deadlock=rng.choice((0.0, 0.05, 0.2)),
            answered_late=rng.choice((0.0, 0.05, 0.3)),
        )
        self._later(0.3, 2.0, self._statements_arrive)

    def _statements_arrive(self) -> None:
        self._world.database.fates = Fates()

    def _statement_delayed(self) -> None:
        """One statement of one node, or its answer, takes long; the node goes on meanwhile."""
        rng = self._rng
        where = rng.choice(_WHERE)
        delay_ns = int(rng.uniform(0.1, 2.0) * 1e9)
        key = self._some_node().name, rng.choice(_DELAYED)
        self._world.database.delays[key] = where, delay_ns

    def _node_hangs(self) -> None:
        """One statement of a node takes long: customers go elsewhere, and come back some time."""
        rng, node = self._rng, self._some_node()
        name, where = rng.choice(_HANGING)
        delay_s = rng.uniform(0.5, 2.0)
        # Whoever takes over meanwhile still waits for the lease then, or has just begun to serve.
        delay_s /= {"save": 5, "confirm": 2}.get(name, 1)
        back_s = delay_s + rng.uniform(-0.3, 0.3)
        self._world.database.delays[node.name, name] = where, int(delay_s * 1e9)

        def flee() -> None:
            views = self._world.views
            views.tell_clients([one for one in views.members if one != node.name])
            self._later(back_s, back_s, lambda: views.tell_clients(views.members))

        self._armed.append((node.name, name, "sent", flee))

    # --- Redis, and the ways between nodes

    def _redis_down(self) -> None:
        redis = self._world.redis
        redis.stop()
        if self._rng.random() < 0.5:
            redis.wipe()
        self._later(0.1, 3.0, self._redis_is_back)

    def _redis_is_back(self) -> None:
        self._world.redis.down = False

    def _redis_wiped(self) -> None:
        self._world.redis.wipe()

    def _redis_cut_off(self) -> None:
        cut_off, name = self._world.redis.cut_off, self._some_node().name
        cut_off[name] = None
        self._later(0.1, 3.0, lambda: cut_off.pop(name, None))

    def _deltas_lost(self) -> None:
        redis = self._world.redis
        redis.lossy = self._rng.choice((0.1, 0.5))
        self._later(0.3, 2.0, self._deltas_arrive)

    def _deltas_arrive(self) -> None:
        self._world.redis.lossy = 0.0

    def _nodes_parted(self) -> None:
        """One node, or a few, on one side; all others on the other."""
        names = self._rng.sample(self._world.names, len(self._world.names))
        size = self._rng.randint(1, len(names) // 2)
        ways = [(one, other) for one in names[:size] for other in names[size:]]
        self._part([*ways, *((other, one) for one, other in ways)])

    def _one_way_parted(self) -> None:
        one, other = self._rng.sample(self._world.names, 2)
        self._part([(one, other)])

    def _part(self, ways: list[tuple[str, str]]) -> None:
        wires = self._world.wires
        for way in ways:
            wires.close_way(*way)
        self._later(0.1, 3.0, lambda: [wires.open_way(*way) for way in ways])

    # --- everything else

    def _client_cut_off(self) -> None:
        cut_off, name = self._world.network.cut_off, self._some_node().name
        cut_off[name] = None
        self._later(0.1, 1.5, lambda: cut_off.pop(name, None))

    def _views_disagree(self) -> None:
        self._world.views.confuse()

    def _truncate(self) -> None:
        """Housekeeping drops events that a snapshot replaces, on whatever node it runs."""
        showtime_id = self._rng.choice(self._world.showtimes)
        for _ in range(self._rng.randint(1, 3)):
            self._later(0.0, 0.5, self._truncate_on, self._some_node(), showtime_id)

    def _truncate_on(self, node: Node, showtime_id: bytes) -> None:
        process = node.process
        if process is not None and process.serving:
            process.loop.post(process.kernel.tell, showtime_id, TruncateJournal(), _nothing)


def _nothing(*_arguments: object) -> None:
    """Nobody waits for it."""
