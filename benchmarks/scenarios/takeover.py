"""`takeover`: how long after a node was killed the last of its showtimes serves again."""

from msgspec.structs import replace

from benchmarks.cluster import Cluster, ClusterNode
from benchmarks.house import House, Screen
from benchmarks.load.specs import Filling, Revival, Window
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.scenarios.across import cpu_of_nodes
from benchmarks.scenarios.holds import CUSTOMERS
from benchmarks.server import HOST
from benchmarks.session import Bench, Options, Scenario, checkpoint

NODES = 3
SHOWTIMES = 5_000
SHOWTIMES_QUICK = 500
CONNECTIONS = 256

HEARTBEAT_TIMEOUT_S = 2.0
TAKEOVER_S = 2.0
"""What may pass beyond the heartbeat time-out."""

LONGEST_S = 60.0
FILLING_S = 600.0
SHARED = "a third of them on the killed node"
ALL = "all of them on the killed node"


class Takeovers:
    """Kills of the same node, each time with a new hold in every showtime."""

    def __init__(self, bench: Bench, cluster: Cluster, house: House, screen: Screen) -> None:
        self.figures = Figures()
        self._bench = bench
        self._cluster = cluster
        self._house = house
        self._labels = iter(screen.labels)
        self._number = 0

    async def measure(self, measure: str, victim: ClusterNode, showtimes: list[str]) -> None:
        """Fill, kill, ask for what the killed one had, and bring it back."""
        bench, cluster = self._bench, self._cluster
        bench.say(f"takeover: a hold in each of {len(showtimes):,} showtimes")
        await self._fill(showtimes)
        await checkpoint(cluster.postgres.dsn)
        lost = cluster.by_owner(showtimes)[victim.port]
        survivor = next(node for node in cluster.nodes if node is not victim)
        observed = cluster.observed
        del observed[victim.name]
        report = await bench.load(
            Revival(
                host=HOST,
                port=survivor.port,
                window=Window(warmup_s=0.0, seconds=LONGEST_S, observe=observed),
                connections=CONNECTIONS,
                showtimes=lost,
                label=next(self._labels),
                tokens=self._house.tokens,
                kill_pid=victim.pid,
            ),
            f"takeover: {len(lost):,} showtimes of a killed node",
        )
        await victim.ended()
        run = cpu_of_nodes(measurement(report, ["201"], {"showtimes": len(lost)}))
        self.figures.add("cinema", measure, "s", replace(run, value=report.latency.highest / 1e9))
        served = report.outcomes.get("201", 0)
        if served < len(lost):
            self.figures.problem(f"{measure}: {len(lost) - served} never served again")
        if set(report.outcomes) - {"201"}:
            self.figures.problem(f"{measure}: {report.outcomes}")
        bench.say("takeover: the node comes back")
        await victim.start()
        await cluster.settled()

    async def _fill(self, showtimes: list[str]) -> None:
        """One more hold in each: of another customer, so that its key is new too."""
        label = next(self._labels)
        customer = self._house.tokens[self._number]
        self._number += 1
        report = await self._bench.load(
            Filling(
                host=HOST,
                port=self._cluster.port,
                window=Window(warmup_s=0.0, seconds=FILLING_S),
                connections=CONNECTIONS,
                showtimes=showtimes,
                labels=[label],
                tokens=[customer],
                live_holds=1,
                requests=1,
                seats_each=1,
            ),
            f"takeover: a hold in each of {len(showtimes):,} showtimes",
        )
        if report.dropped or not report.exhausted:
            raise RuntimeError(f"not all showtimes were filled: {report.outcomes}")


async def run_takeover(bench: Bench) -> Outcome:
    """The same showtimes in each run: a third of 5,000 on the victim, then 5,000 of its own."""
    wanted = SHOWTIMES_QUICK if bench.options.quick else SHOWTIMES
    settings = {"HEARTBEAT_TIMEOUT_MS": str(round(HEARTBEAT_TIMEOUT_S * 1000))}
    async with bench.cluster(NODES, settings) as cluster:
        house = await House.open(cluster, CUSTOMERS)
        screen = await house.screen("Screen", 10, 20)
        victim = cluster.nodes[-1]
        bench.say(f"takeover: making showtimes until a node has {wanted:,}")
        showtimes = await house.showtimes(screen, wanted)
        shared = list(showtimes)
        while len(own := cluster.by_owner(showtimes)[victim.port]) < wanted:
            showtimes += await house.showtimes(screen, 2 * (wanted - len(own)))
        runs = Takeovers(bench, cluster, house, screen)
        for _ in range(bench.options.runs):
            await runs.measure(SHARED, victim, shared)
            await runs.measure(ALL, victim, own[:wanted])
    figures = runs.figures
    last = figures.of("cinema", SHARED)
    return Outcome(
        scenario="takeover",
        summary=f"a killed node of {NODES}: until the last of {wanted:,} showtimes serves again",
        figures=figures.all(),
        targets=[
            Target(
                text=f"until all of {wanted:,} showtimes serve, {SHARED}",
                unit="s",
                wanted=HEARTBEAT_TIMEOUT_S + TAKEOVER_S,
                measured=last.median,
                at_least=False,
            )
        ],
        notes=[
            (
                f"heartbeat time-out {HEARTBEAT_TIMEOUT_S:.0f} s; times count from the SIGKILL; "
                "p50 and p99 are of the showtimes"
            ),
            *(
                f"{figure.measure}: {figure.note('showtimes'):,.0f} showtimes"
                for figure in figures.all()
            ),
        ],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs * 4


TAKEOVER = Scenario(
    name="takeover",
    summary=f"a killed node of {NODES}: until the last of its showtimes serves again",
    steps=steps,
    run=run_takeover,
)
