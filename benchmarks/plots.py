"""One picture a scenario: medians as bars and in figures, each run as a dot."""

from pathlib import Path

from benchmarks.results import Fairness, Figure, Outcome, Timeline

COLOURS = {"cinema": "#b3261e", "bare": "#8a8f98", "rowlock": "#4a6fa5", "one": "#c9a227"}


def draw(outcome: Outcome, folder: Path) -> Path:
    """Draw a scenario's figures, one panel a unit, and return the file."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cinema"
    from matplotlib import pyplot as plt

    units = list(dict.fromkeys(figure.unit for figure in outcome.figures))
    panels, axes = plt.subplots(
        1, len(units), figsize=(4.5 * len(units) + 2, 3.6), squeeze=False, layout="constrained"
    )
    for axis, unit in zip(axes[0], units, strict=True):
        figures = [figure for figure in outcome.figures if figure.unit == unit]
        labels = [f"{figure.subject}\n{figure.measure}" for figure in figures]
        places = range(len(figures))
        axis.bar(
            places,
            [figure.median for figure in figures],
            color=[_colour(figure) for figure in figures],
            width=0.6,
            alpha=0.85,
        )
        for place, figure in zip(places, figures, strict=True):
            axis.plot([place] * len(figure.runs), [run.value for run in figure.runs], "k.", ms=4)
            axis.annotate(
                f"{figure.median:,.0f}" if figure.median >= 100 else f"{figure.median:.3g}",
                (place, figure.highest),
                textcoords="offset points",
                xytext=(0, 4),
                ha="center",
                fontsize=8,
            )
        axis.set_xticks(places, labels, fontsize=7)
        axis.set_ylabel(unit)
        axis.margins(y=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    panels.suptitle(f"{outcome.scenario}: {outcome.summary}", fontsize=9)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.scenario}.svg"
    panels.savefig(path, metadata={"Date": None})
    plt.close(panels)
    if outcome.timeline is not None:
        draw_timeline(outcome.timeline, folder / f"{outcome.scenario}-time.svg")
    if outcome.fairness is not None:
        draw_fairness(outcome.fairness, folder / f"{outcome.scenario}-fairness.svg")
    return path


def draw_fairness(fairness: Fairness, path: Path) -> None:
    """Draw who came when against their number, and the numbers against when they went in."""
    from matplotlib import pyplot as plt

    panel, (drawn, called) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    drawn.plot(
        [turn.came for turn in fairness.turns],
        [turn.number for turn in fairness.turns],
        ".",
        color="#4a6fa5",
        ms=1.5,
    )
    drawn.set_xlabel("came before the start, in this order")
    drawn.set_ylabel("number in the line")
    drawn.set_title("the draw: a cloud, if coming early is worth nothing", fontsize=8)
    inside = [turn for turn in fairness.turns if turn.entered_s is not None]
    called.plot(
        [turn.number for turn in inside],
        [turn.entered_s for turn in inside if turn.entered_s is not None],
        ".",
        color="#b3261e",
        ms=2,
    )
    called.set_xlabel("number in the line")
    called.set_ylabel("went in, s after the start")
    called.set_title("the turns: rising, if nobody overtakes", fontsize=8)
    for axis in (drawn, called):
        axis.spines[["top", "right"]].set_visible(False)
    panel.suptitle(fairness.title, fontsize=9)
    panel.savefig(path, metadata={"Date": None})
    plt.close(panel)


def draw_timeline(timeline: Timeline, path: Path) -> None:
    """Draw latency over time; every failure is a cross."""
    from matplotlib import pyplot as plt

    panel, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    times = [point.at_s for point in timeline.points]
    for name, colour, values in (
        ("p50", "#4a6fa5", [point.p50_ms for point in timeline.points]),
        ("p90", "#c9a227", [point.p90_ms for point in timeline.points]),
        ("slowest", "#b3261e", [point.max_ms for point in timeline.points]),
    ):
        axis.plot(times, values, color=colour, label=name, lw=1.2)
    highest = max((point.max_ms for point in timeline.points), default=1.0)
    if timeline.failed_s:
        axis.plot(timeline.failed_s, [highest] * len(timeline.failed_s), "kx", ms=5, label="failed")
    for mark in timeline.marks:
        axis.axvspan(mark.at_s, mark.until_s or mark.at_s, color="#8a8f98", alpha=0.2)
        axis.annotate(
            mark.text,
            (mark.at_s, 1.0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            xytext=(2, -10),
            fontsize=7,
        )
    axis.set_yscale("log")
    axis.set_xlabel("s")
    axis.set_ylabel("ms")
    axis.legend(loc="upper right", fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    panel.suptitle(timeline.title, fontsize=9)
    panel.savefig(path, metadata={"Date": None})
    plt.close(panel)


def _colour(figure: Figure) -> str:
    return COLOURS.get(figure.subject.split(" ", 1)[0], "#5b5b5b")
