"""Part of `residents`: the longest step of the loop while very many showtimes come and go.

A step is judged by its CPU (`cinema_loop_longest_step_cpu_seconds`), since the machine may be busy
with something else; how long it lasted is noted beside it.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from benchmarks.cluster import Cluster, ClusterNode
from benchmarks.house import House, Screen
from benchmarks.load.specs import Filling, Window
from benchmarks.results import Figures, Measurement
from benchmarks.scenarios.holds import CONNECTIONS, CUSTOMERS
from benchmarks.server import HOST, Server, last_logged
from benchmarks.session import Bench

STEP_MS = 50.0

CPU_GAUGE = "cinema_loop_longest_step_cpu_seconds"
GAUGE = "cinema_loop_longest_step_seconds"
RESIDENT_GAUGE = "cinema_resident_showtimes"

WINDOW_S = 65.0
"""Longer than the server remembers a step: what was before is forgotten then."""

LOOK_S = 10.0
"""Between two looks, each of which is a request that the server answers."""

MOVED_S = 240.0
"""The longest that showtimes may take to leave memory, or to move to another node."""

SCRAPES = 20

IDLE_S = 40
"""Short, so that all showtimes fall idle together soon after they were touched."""

FILLING_S = 1800.0


class Stage:
    """Where the steps are measured: what a showtime's past is made of."""

    def __init__(self, bench: Bench, house: House, screen: Screen, figures: Figures) -> None:
        self.bench = bench
        self.house = house
        self.screen = screen
        self.figures = figures

    def filling(self, port: int, showtimes: list[str], holds: int, seats_each: int) -> Filling:
        """Live holds in each of some showtimes."""
        return Filling(
            host=HOST,
            port=port,
            window=Window(warmup_s=0.0, seconds=FILLING_S),
            connections=CONNECTIONS,
            showtimes=showtimes,
            labels=self.screen.labels,
            tokens=self.house.tokens,
            live_holds=holds,
            requests=holds,
            seats_each=seats_each,
        )

    def touch(self, port: int, showtimes: list[str]) -> Filling:
        """One hold on each showtime's last seat, by a customer whose keys are unused there."""
        return Filling(
            host=HOST,
            port=port,
            window=Window(warmup_s=0.0, seconds=FILLING_S),
            connections=CONNECTIONS,
            showtimes=showtimes,
            labels=self.screen.labels[-1:],
            tokens=self.house.tokens[CUSTOMERS // 2 : CUSTOMERS // 2 + 1],
            live_holds=1,
            requests=1,
            seats_each=1,
        )

    def add(self, what: str, cpu_s: float, lasted_s: float) -> None:
        """Note the longest step of something."""
        told = Measurement(value=cpu_s * 1000, notes={"lasted_ms": round(lasted_s * 1000, 1)})
        self.figures.add("longest step", what, "ms", told)

    def add_stop(self, what: str, log: Path) -> None:
        """Note the longest step of a stop, from the server's own log."""
        line = last_logged(log, "server_stopped")
        self.add(what, line["longest_step_cpu_ms"] / 1000, line["longest_step_ms"] / 1000)


class _Longest:
    """The longest steps seen at some servers so far."""

    def __init__(self, nodes: Sequence[Server | ClusterNode]) -> None:
        self.cpu_s = 0.0
        self.lasted_s = 0.0
        self._nodes = nodes

    async def look(self) -> None:
        for node in self._nodes:
            self.cpu_s = max(self.cpu_s, await node.metric(CPU_GAUGE) or 0.0)
            self.lasted_s = max(self.lasted_s, await node.metric(GAUGE) or 0.0)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()


@asynccontextmanager
async def watched(
    stage: Stage, nodes: Sequence[Server | ClusterNode], what: str
) -> AsyncIterator[None]:
    """Note the longest step of the body, once what was before it is forgotten."""
    stage.bench.say(f"residents: a minute before {what}")
    await asyncio.sleep(WINDOW_S)
    longest = _Longest(nodes)
    looking = asyncio.ensure_future(longest.run())
    try:
        yield
    finally:
        looking.cancel()
    await longest.look()
    stage.add(what, longest.cpu_s, longest.lasted_s)


async def _until_at_most(node: Server | ClusterNode, count: int) -> None:
    """Wait until a node has no more showtimes in memory."""
    give_up_s = time.monotonic() + MOVED_S
    while (resident := await node.metric(RESIDENT_GAUGE) or 0.0) > count:
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"{resident:.0f} showtimes are still in memory, not {count}")
        await asyncio.sleep(1.0)


async def on_one_node(stage: Stage, server: Server, showtimes: list[str]) -> None:
    """Stop with all in memory; start, make all of them resident again, and let all fall idle.

    All showtimes are in memory at the beginning, with their past.
    """
    bench, count = stage.bench, len(showtimes)
    await _scrapes(stage, server)
    bench.say(f"residents: a stop with {count:,} residents")
    began_s = time.monotonic()
    await server.stop()
    stage.figures.add("stop", "time", "s", Measurement(value=time.monotonic() - began_s))
    stage.add_stop("a stop", server.log)
    await server.start({"IDLE_PASSIVATION_SECONDS": str(IDLE_S)})
    async with watched(stage, [server], "activations"):
        await bench.load(stage.touch(server.port, showtimes), "residents: activations")
    async with watched(stage, [server], "mass passivation"):
        await _until_at_most(server, 0)


async def _scrapes(stage: Stage, server: Server) -> None:
    """How long a scrape of `/metrics` takes with all in memory."""
    times = []
    for _ in range(SCRAPES):
        began_s = time.perf_counter()
        await server.metric(RESIDENT_GAUGE)
        times.append((time.perf_counter() - began_s) * 1000)
    told = Measurement(value=median(times), notes={"longest_ms": round(max(times), 1)})
    stage.figures.add("/metrics", "scrape", "ms", told)


async def on_nodes(stage: Stage, cluster: Cluster, count: int, holds: int, seats: int) -> None:
    """Two nodes with all showtimes in memory; a third one joins, serves its share and leaves."""
    bench, (spare,) = stage.bench, cluster.spares
    showtimes = await stage.house.showtimes(stage.screen, count)
    fillings = [
        stage.filling(port, owned, holds, seats)
        for port, owned in cluster.by_owner(showtimes).items()
    ]
    await bench.loads(fillings, f"residents: filling {count:,} showtimes of two nodes")
    before = list(cluster.nodes)
    cluster.nodes.append(spare)
    owned = cluster.by_owner(showtimes)
    async with watched(stage, before, "a node joins"):
        await spare.start()
        for node in before:
            await _until_at_most(node, len(owned[node.port]))
    await bench.load(stage.touch(spare.port, owned[spare.port]), "residents: the third node's")
    async with watched(stage, before, "a node leaves"):
        spare.send(signal.SIGTERM)
        await spare.ended()
    stage.add_stop("of the node that leaves", spare.log)
    cluster.nodes.remove(spare)
