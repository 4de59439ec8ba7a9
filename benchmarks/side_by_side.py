"""Two versions of the server in turn: what a change costs, pair by pair."""

from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from benchmarks.results import Figure, Figures, Measurement, Outcome, Target

SLOWEST = 0.97
"""What a change may leave of a rate of the version before it."""

SIDES = ("now", "before")


def turns(run: int) -> Sequence[str]:
    """Which side goes first: each in turn, so that neither has the better moment."""
    return SIDES if run % 2 == 0 else SIDES[::-1]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The same measure of both versions, taken one after the other."""

    now: Measurement
    before: Measurement

    def ratio(self) -> float:
        """What the version of today reaches of the one before."""
        return self.now.value / self.before.value

    def cpu_ratio(self) -> float | None:
        """CPU of the server an answer, of today's version in terms of the one before."""
        now, before = self.now.cpu_us.get("server"), self.before.cpu_us.get("server")
        return now / before if now and before else None


def outcome(name: str, summary: str, figures: Figures) -> Outcome:
    """What one version did, before it is compared."""
    return Outcome(
        scenario=name,
        summary=summary,
        figures=figures.all(),
        targets=[],
        problems=figures.problems,
    )


def compared(now: Outcome, before: Outcome) -> Outcome:
    """What both versions did, measure by measure and pair by pair."""
    figures: list[Figure] = []
    targets: list[Target] = []
    notes: list[str] = []
    for figure, pairs in _pairs(now, before):
        for side in SIDES:
            runs = [getattr(pair, side) for pair in pairs]
            figures.append(
                msgspec.structs.replace(figure, subject=f"{side}: {figure.subject}", runs=runs)
            )
        name = f"{figure.subject}, {figure.measure}"
        ratios = [pair.ratio() for pair in pairs]
        spread = f"{median(ratios):.3f} (pairs: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        if figure.unit == "/s" and figure.subject.startswith("cinema"):
            text = f"of the version before: {name}"
            targets.append(
                Target(text=text, unit="×", wanted=SLOWEST, measured=median(ratios), at_least=True)
            )
        cpu = [ratio for pair in pairs if (ratio := pair.cpu_ratio()) is not None]
        notes.append(
            f"now to before, {name}: {spread}" + (f"; CPU {median(cpu):.3f}" if cpu else "")
        )
    return Outcome(
        scenario=now.scenario,
        summary=f"{now.summary}, beside the version before",
        figures=figures,
        targets=targets,
        notes=notes,
        problems=[
            f"{side}: {problem}"
            for side, one in zip(SIDES, (now, before), strict=True)
            for problem in one.problems
        ],
    )


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Outcomes of single runs as one of many."""
    figures: dict[tuple[str, str], Figure] = {}
    for outcome in outcomes:
        for figure in outcome.figures:
            key = (figure.subject, figure.measure)
            runs = [*(figures[key].runs if key in figures else []), *figure.runs]
            figures[key] = msgspec.structs.replace(figure, runs=runs)
    return msgspec.structs.replace(
        outcomes[0],
        figures=list(figures.values()),
        problems=[problem for outcome in outcomes for problem in outcome.problems],
    )


def _pairs(now: Outcome, before: Outcome) -> Iterator[tuple[Figure, list[Pair]]]:
    others = {(figure.subject, figure.measure): figure.runs for figure in before.figures}
    for figure in now.figures:
        runs = others.get((figure.subject, figure.measure), [])
        pairs = [
            Pair(now=mine, before=theirs) for mine, theirs in zip(figure.runs, runs, strict=False)
        ]
        if pairs and all(pair.before.value for pair in pairs):
            yield figure, pairs
