"""`cluster-scale`: holds a second and their CPU, with 1, 2, 4 … nodes up to the cores there are."""

import os
from contextlib import AsyncExitStack

import msgspec
from msgspec.structs import replace

from benchmarks.cluster import Cluster
from benchmarks.house import House, Screen
from benchmarks.load.specs import HoldsAcross
from benchmarks.results import Figure, Figures, Outcome, measurement
from benchmarks.scenarios.across import cpu_of_nodes, holds_across, together
from benchmarks.scenarios.holds import CUSTOMERS, PLANS, SPREAD_SHOWTIMES, interleaved
from benchmarks.session import Bench, Options, Scenario, checkpoint
from benchmarks.stage import BUDGET_PER_S, showtimes_needed

CONNECTIONS_A_NODE = 64
NODES_A_GENERATOR = 2
"""Two nodes at their limit ask for about half of a generator's core."""

SUMMARY = "durable holds over HTTP, each sent to its owner, with more and more nodes"

CORES = (
    f"{os.cpu_count()} cores, which the nodes share with Postgres, Redis and the generators: with "
    "as many nodes as cores the rate is what all of them together allow"
)


def node_counts() -> list[int]:
    """Powers of two up to the cores; two even on a single core, to see what a second node costs."""
    return [1 << power for power in range(max(2, (os.cpu_count() or 1).bit_length()))]


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster with its stage."""

    cluster: Cluster
    house: House
    screen: Screen


async def measure(bench: Bench, stand: Stand, figures: Figures) -> None:
    """One run on one cluster."""
    cluster, options = stand.cluster, bench.options
    nodes = len(cluster.nodes)
    bench.say(f"cluster-scale: seats for {nodes} nodes")
    seats = BUDGET_PER_S["cinema"] * (options.warmup_s + options.seconds) * max(1, nodes // 2)
    count = showtimes_needed(seats, len(stand.screen.labels), at_least=SPREAD_SHOWTIMES * nodes)
    showtimes = await stand.house.showtimes(stand.screen, count)
    await checkpoint(cluster.postgres.dsn)
    forwarded = await cluster.forwarded()
    reports = await bench.loads(
        _loads(bench, stand, cluster.by_owner(showtimes)), f"cluster-scale: {nodes} nodes"
    )
    forwarded = await cluster.forwarded() - forwarded
    report = together(reports)
    measured = cpu_of_nodes(measurement(report, ["201"], {"nodes": nodes}))
    share = max(each.generator_cpu_s / each.seconds for each in reports)
    name = _name(nodes)
    figures.add(name, "holds", "/s", replace(measured, generator_share=share))
    if set(report.outcomes) != {"201"}:
        figures.problem(f"{name}: answers other than 201: {report.outcomes}")
    if report.dropped or report.exhausted:
        figures.problem(
            f"{name}: {report.dropped} connections dropped, seats used up: {report.exhausted}"
        )
    if forwarded > 0.01 * sum(report.outcomes.values()):
        figures.problem(f"{name}: {forwarded:.0f} holds were forwarded")


def _loads(bench: Bench, stand: Stand, owned: dict[int, list[str]]) -> list[HoldsAcross]:
    """A generator for every few nodes, which reads the CPU of just these.

    The first one also reads that of Postgres and Redis.
    """
    cluster = stand.cluster
    observed = cluster.observed
    for node in cluster.nodes:
        del observed[node.name]
    loads = []
    for start in range(0, len(cluster.nodes), NODES_A_GENERATOR):
        nodes = cluster.nodes[start : start + NODES_A_GENERATOR]
        observed |= {node.name: node.pid for node in nodes}
        loads.append(
            holds_across(
                bench.window(observed),
                [(node.port, owned[node.port]) for node in nodes],
                stand.screen.labels,
                stand.house.tokens,
                connections_each=CONNECTIONS_A_NODE,
            )
        )
        observed = {}
    return loads


async def run_cluster_scale(bench: Bench) -> Outcome:
    """All clusters stand side by side; each run measures one after the other."""
    figures = Figures()
    counts = node_counts()
    async with AsyncExitStack() as stack:
        stands = {}
        for nodes in counts:
            cluster = await stack.enter_async_context(bench.cluster(nodes))
            house = await House.open(cluster, CUSTOMERS)
            screen = await house.screen("Screen", *PLANS["spread"])
            stands[_name(nodes)] = Stand(cluster=cluster, house=house, screen=screen)
        for run in range(bench.options.runs):
            for name in interleaved(tuple(stands), run):
                await measure(bench, stands[name], figures)
    one = figures.of(_name(1), "holds")
    return Outcome(
        scenario="cluster-scale",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[],
        notes=[*(_against(one, figure) for figure in figures.all() if figure is not one), CORES],
        problems=figures.problems,
    )


def _against(one: Figure, figure: Figure) -> str:
    rate = figure.median / one.median
    cpu = (figure.cpu_us("server") or 0) / (one.cpu_us("server") or 1)
    return f"{figure.subject}: {rate:.2f} × the rate of one node, {cpu:.2f} × its CPU a hold"


def _name(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"


def steps(options: Options) -> int:
    return options.runs * len(node_counts())


CLUSTER_SCALE = Scenario(name="cluster-scale", summary=SUMMARY, steps=steps, run=run_cluster_scale)
