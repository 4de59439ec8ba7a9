"""The benchmarks' command: `python -m benchmarks [scenario ...]`, or `bin/bench`."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.machine import describe_commit, describe_machine
from benchmarks.plots import draw
from benchmarks.results import Outcome, Results, write_results
from benchmarks.scenarios.catalogue import SCENARIOS
from benchmarks.server import DEFAULT_COMMAND
from benchmarks.session import Bench, Options, Scenario
from benchmarks.side_by_side import SIDES, compared, joined, turns
from benchmarks.table import show

HERE = Path(__file__).resolve().parent

TABLE_COLUMNS = 132
"""Width of the tables where there is no terminal to ask."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench", description="Measures cinema beside its baselines."
    )
    parser.add_argument("scenarios", nargs="*", help="what to measure; default: everything")
    parser.add_argument("--only", default="", help="the same, as a list with commas")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    parser.add_argument("--runs", type=int, help="runs of each measure (5; quick: 2)")
    parser.add_argument("--seconds", type=float, help="length of a run (4; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="few short runs, small set-ups")
    parser.add_argument(
        "--rows",
        type=int,
        default=20_000_000,
        help="events of the large database of `retention` (default: %(default)s)",
    )
    parser.add_argument(
        "--bookings",
        type=int,
        default=10_000_000,
        help="bookings whose reports `reports` reads (default: %(default)s)",
    )
    parser.add_argument(
        "--command",
        default=DEFAULT_COMMAND,
        help="what serves; --port N is appended (default: %(default)s)",
    )
    parser.add_argument(
        "--against",
        metavar="COMMAND",
        help="what served before the change: measure both in turn and compare them pair by pair",
    )
    parser.add_argument(
        "--keep",
        metavar="NAME",
        help="write results/NAME.json and plots/, which git keeps, instead of results/local/",
    )
    parser.add_argument("--keep-logs", action="store_true", help="leave data and logs in place")
    return parser.parse_args(arguments)


def chosen(options: argparse.Namespace, parser_error: Console) -> list[Scenario]:
    """The scenarios asked for, in the usual order."""
    names = [*options.scenarios, *filter(None, options.only.split(","))] or list(SCENARIOS)
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        parser_error.print(
            f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}"
        )
        raise SystemExit(2)
    return [scenario for name, scenario in SCENARIOS.items() if name in names]


async def measure(
    scenarios: list[Scenario],
    options: Options,
    folder: Path,
    console: Console,
    against: str | None,
) -> tuple[list[Outcome], dict[str, str]]:
    """Run the scenarios and show each as soon as it is done; returns what Postgres said too."""
    outcomes: list[Outcome] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        steps = sum(scenario.steps(options) for scenario in scenarios)
        bench = Bench(
            options,
            folder,
            progress,
            progress.add_task("", total=steps * (1 if against is None else 2)),
        )
        for scenario in scenarios:
            if against is None:
                outcome = await scenario.run(bench)
            elif scenario.compare is not None:
                outcome = await scenario.compare(bench, against)
            else:
                outcome = await in_turn(scenario, bench, against)
            outcomes.append(outcome)
            show(console, outcome)
    return outcomes, bench.postgres


async def in_turn(scenario: Scenario, bench: Bench, against: str) -> Outcome:
    """The scenario on both versions, a run of each in turn."""
    commands = {"now": bench.options.command, "before": against}
    outcomes: dict[str, list[Outcome]] = {side: [] for side in SIDES}
    for run in range(bench.options.runs):
        for side in turns(run):
            one = bench.one_run_of(commands[side], f"{scenario.name}-{side}-{run}")
            outcomes[side].append(await scenario.run(one))
            bench.postgres = one.postgres
    return compared(joined(outcomes["now"]), joined(outcomes["before"]))


def main(arguments: Sequence[str]) -> int:
    """Measure, show, write down; 1 if a target was missed."""
    asked = parse(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = TABLE_COLUMNS
    if asked.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:14} {scenario.summary}")
        return 0
    scenarios = chosen(asked, console)
    options = Options(
        runs=asked.runs or (2 if asked.quick else 5),
        seconds=asked.seconds or (2.0 if asked.quick else 4.0),
        quick=asked.quick,
        command=asked.command,
        rows=asked.rows,
        bookings=asked.bookings,
    )
    started = datetime.now(UTC)
    folder = Path(tempfile.mkdtemp(prefix="cinema-bench-"))
    try:
        outcomes, postgres = uvloop.run(measure(scenarios, options, folder, console, asked.against))
    except BaseException:
        console.print(f"logs are in {folder}")
        raise
    if not asked.keep_logs:
        shutil.rmtree(folder, ignore_errors=True)
    results = Results(
        started_at=started.isoformat(timespec="seconds"),
        commit=describe_commit(),
        machine=describe_machine(),
        postgres=postgres,
        runs=options.runs,
        seconds=options.seconds,
        quick=options.quick,
        outcomes=outcomes,
    )
    local = HERE / "results" / "local"
    name = started.strftime("%Y-%m-%dT%H%M%S")
    path = HERE / "results" / f"{asked.keep}.json" if asked.keep else local / f"{name}.json"
    write_results(results, path)
    for outcome in outcomes:
        draw(outcome, HERE / "plots" if asked.keep else local / name)
    console.print(f"written to {path.relative_to(HERE.parent)}")
    return 0 if all(target.reached for outcome in outcomes for target in outcome.targets) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
