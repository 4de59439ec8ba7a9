"""Results as the tables of benchmarks/README.md: `python -m benchmarks.markdown results.json`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.results import Figure, Outcome, Results
from benchmarks.table import amount, middle

HEADINGS = (
    "subject",
    "measure",
    "median",
    "min – max",
    "p50 ms",
    "p99 ms",
    "server µs",
    "Postgres µs",
    "generator",
)


def scenario(outcome: Outcome) -> str:
    """One scenario: its summary, figures, targets, notes and doubts."""
    lines = [
        f"### {outcome.scenario}",
        "",
        f"{outcome.summary[0].upper()}{outcome.summary[1:]}.",
        "",
        _row(HEADINGS),
        _row(["---", "---", *["---:"] * (len(HEADINGS) - 2)]),
        *(_row(_cells(figure)) for figure in outcome.figures),
    ]
    if outcome.targets:
        lines += [
            "",
            _row(["target", "wanted", "measured", ""]),
            _row(["---", "---:", "---:", "---"]),
        ]
    for target in outcome.targets:
        sign = "≥" if target.at_least else "≤"
        lines.append(
            _row(
                [
                    target.text,
                    f"{sign} {amount(target.wanted, target.unit)}",
                    amount(target.measured, target.unit),
                    "reached" if target.reached else "**missed**",
                ]
            )
        )
    remarks = [*outcome.notes, *(f"Doubtful: {problem}" for problem in outcome.problems)]
    if remarks:
        lines += ["", *(f"- {remark}" for remark in remarks)]
    return "\n".join(lines)


def session(results: Results) -> str:
    """A whole session, with where and how it was measured."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    postgres = ", ".join(f"{name} {value}" for name, value in results.postgres.items())
    head = (
        f"Measured {results.started_at} at commit `{results.commit}`, {results.runs} runs of "
        f"{results.seconds:g} s each{' (quick)' if results.quick else ''}.\n\n"
        f"Machine: {machine}.\n\nPostgres: {postgres}."
    )
    return "\n\n".join([head, *(scenario(outcome) for outcome in results.outcomes)])


def _cells(figure: Figure) -> list[str]:
    tails = [run.latency for run in figure.runs if run.latency is not None]
    cpu = [figure.cpu_us(group) for group in ("server", "postgres")]
    return [
        figure.subject,
        figure.measure,
        amount(figure.median, figure.unit),
        f"{amount(figure.lowest)} – {amount(figure.highest)}",
        amount(middle([tail.p50_ms for tail in tails])) if tails else "",
        amount(middle([tail.p99_ms for tail in tails])) if tails else "",
        *("" if each is None else amount(each) for each in cpu),
        f"{figure.generator_share:.0%}" if tails else "",
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(session(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Results)))
