"""What a session measured: kept as JSON, shown as a table, drawn as plots."""

from collections.abc import Iterable
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.dense_json import dense_json
from benchmarks.load.histogram import Tail
from benchmarks.load.specs import Report

GENERATOR_SHARE_LIMIT = 0.85
"""Above this share of a core the load generator may itself be what limits the rate."""

ELSEWHERE_CORES_LIMIT = 0.15
"""Above this many cores busy with other things a run is marked as disturbed."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one subject. `cpu_us` is CPU per answer, microseconds, by group of processes."""

    value: float
    latency: Tail | None = None
    cpu_us: dict[str, float] = {}
    generator_share: float = 0.0
    elsewhere_cores: float = 0.0
    outcomes: dict[str, int] = {}
    notes: dict[str, float] = {}


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measure of a subject over all runs."""

    subject: str
    measure: str
    unit: str
    runs: list[Measurement]

    @property
    def median(self) -> float:
        return median(run.value for run in self.runs)

    @property
    def lowest(self) -> float:
        return min(run.value for run in self.runs)

    @property
    def highest(self) -> float:
        return max(run.value for run in self.runs)

    def cpu_us(self, group: str) -> float | None:
        """Median CPU per answer of a group of processes, microseconds."""
        values = [run.cpu_us[group] for run in self.runs if group in run.cpu_us]
        return median(values) if values else None

    def note(self, name: str) -> float | None:
        """Median of one of the runs' notes."""
        values = [run.notes[name] for run in self.runs if name in run.notes]
        return median(values) if values else None

    @property
    def generator_share(self) -> float:
        return median(run.generator_share for run in self.runs)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that was promised, and what came out."""

    text: str
    unit: str
    wanted: float
    measured: float
    at_least: bool

    @property
    def reached(self) -> bool:
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The latencies of one stretch of a timeline."""

    at_s: float
    count: int
    p50_ms: float
    p90_ms: float
    max_ms: float


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done at a moment of a timeline, or from then `until_s`."""

    at_s: float
    text: str
    until_s: float | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Latency over time, with what happened meanwhile; `failed_s` are the failures' moments."""

    title: str
    points: list[Point]
    marks: list[Mark] = []
    failed_s: list[float] = []


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One client of a rush: who came how early, and which number they got.

    `entered_s` is when they went in, after the start; None if they never did.
    """

    came: int
    number: int
    entered_s: float | None


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """The turns of a rush, one a client."""

    title: str
    turns: list[Turn]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one scenario has to say."""

    scenario: str
    summary: str
    figures: list[Figure]
    targets: list[Target]
    notes: list[str] = []
    problems: list[str] = []
    timeline: Timeline | None = None
    fairness: Fairness | None = None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """A whole session."""

    started_at: str
    commit: str
    machine: dict[str, str]
    postgres: dict[str, str]
    runs: int
    seconds: float
    quick: bool
    outcomes: list[Outcome]


class Figures:
    """Collects runs by subject and measure, in order of first appearance."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], Figure] = {}
        self.problems: list[str] = []

    def add(self, subject: str, measure: str, unit: str, run: Measurement) -> None:
        """Add one run, and note what makes it doubtful."""
        key = (subject, measure)
        if key not in self._figures:
            self._figures[key] = Figure(subject=subject, measure=measure, unit=unit, runs=[])
        figure = self._figures[key]
        figure.runs.append(run)
        at = f"{subject} {measure}, run {len(figure.runs)}"
        if run.generator_share > GENERATOR_SHARE_LIMIT:
            self.problems.append(
                f"{at}: the load generator used {run.generator_share:.0%} of a core"
            )
        if run.elsewhere_cores > ELSEWHERE_CORES_LIMIT:
            self.problems.append(
                f"{at}: {run.elsewhere_cores:.2f} cores were busy with other things"
            )

    def problem(self, text: str) -> None:
        """Note something that makes the scenario's figures doubtful or wrong."""
        self.problems.append(text)

    def of(self, subject: str, measure: str) -> Figure:
        return self._figures[subject, measure]

    def all(self) -> list[Figure]:
        return list(self._figures.values())


def measurement(
    report: Report, wanted: Iterable[str], notes: dict[str, float] | None = None
) -> Measurement:
    """A rate: answers with a wanted outcome a second. CPU is divided by all answers."""
    answers = sum(report.outcomes.values())
    good = sum(report.outcomes.get(outcome, 0) for outcome in wanted)
    ours_s = report.generator_cpu_s + sum(usage.cpu_s for usage in report.usage.values())
    return Measurement(
        value=good / report.seconds,
        latency=report.latency.histogram().tail(),
        cpu_us={name: usage.cpu_s * 1e6 / max(1, answers) for name, usage in report.usage.items()},
        generator_share=report.generator_cpu_s / report.seconds,
        elsewhere_cores=max(0.0, report.machine_cpu_s - ours_s) / report.seconds,
        outcomes=report.outcomes,
        notes=notes or {},
    )


def write_results(results: Results, path: Path) -> None:
    """Write the session as JSON that git keeps cheaply."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dense_json(results))
