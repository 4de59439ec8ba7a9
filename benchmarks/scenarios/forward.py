"""`forward`: what a hold costs when it comes to a node that does not own the showtime."""

from msgspec.structs import replace

from benchmarks.cluster import Cluster
from benchmarks.house import House, Screen
from benchmarks.load.specs import Report
from benchmarks.results import Figures, Outcome, Target, measurement
from benchmarks.scenarios.across import cpu_of_nodes, holds_across
from benchmarks.scenarios.holds import CUSTOMERS, PLANS, SPREAD_SHOWTIMES, interleaved
from benchmarks.session import Bench, Options, Scenario, checkpoint
from benchmarks.stage import BUDGET_PER_S, showtimes_needed

NODES = 2
CONNECTIONS = (128, 4)
"""Enough that batches fill, as under the load that matters; and so few that each hold is alone."""

COST = 1.67
SUBJECTS = ("local", "forwarded")
SUMMARY = f"CPU of {NODES} nodes a hold, sent to the owner or to the other node"


def targets_of(cluster: Cluster, showtimes: list[str], subject: str) -> list[tuple[int, list[str]]]:
    """Which node is asked about which showtimes: its own, or those of the next one."""
    owned = cluster.by_owner(showtimes)
    ports = [node.port for node in cluster.nodes]
    shift = 0 if subject == "local" else 1
    return [(ports[(place + shift) % len(ports)], owned[port]) for place, port in enumerate(ports)]


class ForwardRuns:
    """Runs of both subjects at both concurrencies, collected into figures."""

    def __init__(self, bench: Bench, cluster: Cluster, house: House, screen: Screen) -> None:
        self.figures = Figures()
        self._bench = bench
        self._cluster = cluster
        self._house = house
        self._screen = screen

    async def measure(self, subject: str, connections: int) -> None:
        """One run of one subject."""
        bench, cluster = self._bench, self._cluster
        options = bench.options
        bench.say(f"forward: seats for {subject}")
        seats = BUDGET_PER_S["cinema"] * (options.warmup_s + options.seconds)
        count = showtimes_needed(seats, len(self._screen.labels), at_least=SPREAD_SHOWTIMES)
        showtimes = await self._house.showtimes(self._screen, count)
        await checkpoint(cluster.postgres.dsn)
        across = holds_across(
            bench.window(cluster.observed),
            targets_of(cluster, showtimes, subject),
            self._screen.labels,
            self._house.tokens,
            connections_each=connections // NODES,
        )
        before = await cluster.forwarded()
        report = await bench.load(across, f"forward: {subject}, {connections} connections")
        share = await cluster.forwarded() - before
        self._note(subject, connections, report, share)

    def _note(self, subject: str, connections: int, report: Report, forwarded: float) -> None:
        measured = cpu_of_nodes(measurement(report, ["201"]))
        self.figures.add(
            subject,
            f"CPU of a hold, {connections} connections",
            "µs",
            replace(
                measured,
                value=measured.cpu_us["server"],
                notes={"holds_per_s": measured.value, "forwarded": forwarded},
            ),
        )
        sent = sum(report.outcomes.values())
        if set(report.outcomes) != {"201"}:
            self.figures.problem(f"{subject}: answers other than 201: {report.outcomes}")
        if report.dropped or report.exhausted:
            self.figures.problem(
                f"{subject}: {report.dropped} connections dropped, seats used up: "
                f"{report.exhausted}"
            )
        if (forwarded < sent) if subject == "forwarded" else (forwarded > 0.01 * sent):
            self.figures.problem(f"{subject}: {forwarded:.0f} of {sent} holds were forwarded")


async def run_forward(bench: Bench) -> Outcome:
    """Each run measures both subjects in the same cluster, first one then the other in front."""
    async with bench.cluster(NODES) as cluster:
        house = await House.open(cluster, CUSTOMERS)
        runs = ForwardRuns(bench, cluster, house, await house.screen("Screen", *PLANS["spread"]))
        for run in range(bench.options.runs):
            for connections in CONNECTIONS:
                for subject in interleaved(SUBJECTS, run):
                    await runs.measure(subject, connections)
    figures = runs.figures
    return Outcome(
        scenario="forward",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text=f"of the CPU of a local hold, {CONNECTIONS[0]} connections",
                unit="×",
                wanted=COST,
                measured=cost(figures, CONNECTIONS[0]),
                at_least=False,
            )
        ],
        notes=[
            (
                f"with {CONNECTIONS[1]} connections, where hardly anything is sent or committed "
                f"together: {cost(figures, CONNECTIONS[1]):.2f} × the CPU of a local hold"
            ),
            *(
                f"{figure.subject}, {figure.measure}: {figure.note('holds_per_s'):,.0f} holds/s"
                for figure in figures.all()
            ),
        ],
        problems=figures.problems,
    )


def cost(figures: Figures, connections: int) -> float:
    """The CPU of a forwarded hold over that of a local one."""
    local, forwarded = (
        figures.of(subject, f"CPU of a hold, {connections} connections").median
        for subject in SUBJECTS
    )
    return forwarded / local


def steps(options: Options) -> int:
    return options.runs * len(SUBJECTS) * len(CONNECTIONS)


FORWARD = Scenario(name="forward", summary=SUMMARY, steps=steps, run=run_forward)
