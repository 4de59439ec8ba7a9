"""Loads on several nodes at once, and what they cost all nodes together."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from benchmarks.load.histogram import Histogram
from benchmarks.load.specs import HoldLoad, HoldsAcross, Latencies, Report, Window
from benchmarks.results import Measurement
from benchmarks.server import HOST


def holds_across(
    window: Window,
    targets: Iterable[tuple[int, list[str]]],
    labels: list[str],
    tokens: list[str],
    *,
    connections_each: int,
) -> HoldsAcross:
    """Holds to each of the nodes (by port) on the showtimes that it is to be asked for."""
    return HoldsAcross(
        window=window,
        loads=[
            HoldLoad(
                host=HOST,
                port=port,
                window=window,
                connections=connections_each,
                showtimes=showtimes,
                labels=labels,
                tokens=tokens,
                order="spread",
            )
            for port, showtimes in targets
        ],
    )


def cpu_of_nodes(measured: Measurement) -> Measurement:
    """The same run, with the CPU of all nodes together as that of the server."""
    ours = measured.cpu_us
    return replace(
        measured,
        cpu_us={
            "server": sum(cost for name, cost in ours.items() if name.startswith("node")),
            **{name: cost for name, cost in ours.items() if not name.startswith("node")},
        },
    )


def together(reports: Sequence[Report]) -> Report:
    """One report of load processes that ran side by side, each observing processes of its own."""
    latency = Histogram()
    outcomes: dict[str, int] = {}
    for report in reports:
        latency.merge(report.latency.histogram())
        for outcome, times in report.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + times
    return Report(
        seconds=max(report.seconds for report in reports),
        outcomes=outcomes,
        latency=Latencies.of(latency),
        generator_cpu_s=sum(report.generator_cpu_s for report in reports),
        machine_cpu_s=max(report.machine_cpu_s for report in reports),
        usage={name: used for report in reports for name, used in report.usage.items()},
        dropped=sum(report.dropped for report in reports),
        exhausted=any(report.exhausted for report in reports),
    )
