"""Results for a person at a terminal."""

from rich.console import Console
from rich.table import Table

from benchmarks.results import Figure, Outcome, Target


def show(console: Console, outcome: Outcome) -> None:
    """Print one scenario: its figures, its targets, and what makes them doubtful."""
    table = Table(title=f"{outcome.scenario}: {outcome.summary}", title_justify="left")
    table.add_column("subject")
    table.add_column("measure")
    for heading in (
        "median",
        "min",
        "max",
        "p50 ms",
        "p99 ms",
        "server µs",
        "Postgres µs",
        "generator",
    ):
        table.add_column(heading, justify="right")
    for figure in outcome.figures:
        table.add_row(*_cells(figure))
    console.print(table)
    for target in outcome.targets:
        console.print(_verdict(target))
    for note in outcome.notes:
        console.print(f"  note: {note}", style="dim", highlight=False)
    for problem in outcome.problems:
        console.print(f"  doubtful: {problem}", style="yellow", highlight=False)
    console.print()


def amount(value: float, unit: str = "") -> str:
    """A figure with as many digits as mean something."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def _cells(figure: Figure) -> list[str]:
    tails = [run.latency for run in figure.runs if run.latency is not None]
    server_us, postgres_us = figure.cpu_us("server"), figure.cpu_us("postgres")
    return [
        figure.subject,
        figure.measure,
        amount(figure.median, figure.unit),
        amount(figure.lowest),
        amount(figure.highest),
        amount(middle([tail.p50_ms for tail in tails])) if tails else "",
        amount(middle([tail.p99_ms for tail in tails])) if tails else "",
        "" if server_us is None else amount(server_us),
        "" if postgres_us is None else amount(postgres_us),
        f"{figure.generator_share:.0%}" if tails else "",
    ]


def middle(values: list[float]) -> float:
    """The middle one, the upper of two."""
    return sorted(values)[len(values) // 2]


def _verdict(target: Target) -> str:
    sign = "≥" if target.at_least else "≤"
    mark = "[green]reached[/]" if target.reached else "[red]missed[/]"
    measured = amount(target.measured, target.unit)
    return f"  {mark}  {target.text}: {measured} (wanted {sign} {amount(target.wanted)})"
