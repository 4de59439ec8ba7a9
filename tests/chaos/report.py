"""The account of a run of chaos as a table and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.account import SlotAccount
from tests.chaos.run import Outcome
from tests.support.history import UNSENT

KIND_COLOURS = {
    "kill -9": "#b3261e",
    "freeze": "#4a6fa5",
    "Redis killed": "#7b5ea7",
    "Redis wiped": "#b39ddb",
    "Postgres killed": "#2e7d32",
    "Postgres restarted": "#81c784",
    "Postgres slow": "#c9a227",
    "two at once": "#5b5b5b",
    "calm": "#ffffff",
}

RASTER_DPI = 160
"""Of the bars, which come by the hundred and stand in the picture as pixels."""

HEADING = (
    (
        "| fault | times | requests | failed | connections refused, of all | longest without a "
        "success, worst showtime | middle showtime | until healed |"
    ),
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def table(outcome: Outcome) -> str:
    """Markdown: for each kind of fault, what failed and how long a showtime went without."""
    lines = [
        (
            f"Seed {outcome.seed}, {outcome.clients} clients: {outcome.requests:,} requests, "
            f"{outcome.acknowledged:,} acknowledged commands, {outcome.events:,} events, "
            f"{outcome.frames:,} watchers' frames; {outcome.zombies} nodes ended themselves. "
            f"{outcome.let_in:,} tickets let in by {outcome.scans:,} scans; "
            f"{outcome.mails:,} mails, {outcome.mails_again:,} of them more than once."
        ),
        "",
        *HEADING,
    ]
    for kind, slots in _by_kind(outcome):
        requests = sum(slot.requests for slot in slots)
        failed = sum(slot.failed_count for slot in slots)
        unsent = sum(slot.failed.get(UNSENT, 0) for slot in slots)
        lines.append(
            f"| {kind} | {len(slots)} | {requests:,} | {failed / max(1, requests):.2%} "
            f"| {unsent / max(1, requests):.2%} "
            f"| {max(slot.longest_gap_s for slot in slots):.1f} s "
            f"| {_middle([slot.median_gap_s for slot in slots]):.1f} s "
            f"| {max(slot.healed_s - slot.began_s for slot in slots):.1f} s |"
        )
    told: Counter[str] = Counter()
    for slot in outcome.slots:
        told.update(slot.failed)
    lines += [
        "",
        (
            f"Failures: {dict(told.most_common())}. Ends of nodes: {outcome.ends}. "
            f"Exceptions in logs: {outcome.surprises or 'none'}."
        ),
        f"Payments: {dict(sorted(outcome.payments.items()))}.",
    ]
    return "\n".join(lines)


def draw(outcome: Outcome, path: Path) -> None:
    """Requests over time, the failed ones in red, each fault as a band until all had healed."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cinema"
    from matplotlib import pyplot as plt

    last_s = outcome.slots[-1].ended_s if outcome.slots else 1.0
    panel, axis = plt.subplots(
        figsize=(min(60.0, max(10.0, last_s / 8)), 4.2), layout="constrained"
    )
    times = [step.at_s for step in outcome.steps]
    below = [0.0] * len(times)
    for name, colour, counts in (
        ("served", "#cfd8dc", [step.served for step in outcome.steps]),
        ("failed", "#b3261e", [step.failed for step in outcome.steps]),
        ("connection refused", "#e08a84", [step.refused for step in outcome.steps]),
    ):
        axis.bar(
            times,
            counts,
            bottom=below,
            width=0.5,
            align="edge",
            color=colour,
            label=name,
            zorder=2,
            rasterized=True,  # hundreds of bars: as shapes they are most of the file
        )
        below = [one + other for one, other in zip(below, counts, strict=True)]
    for slot in outcome.slots:
        colour = KIND_COLOURS.get(slot.kind, "#5b5b5b")
        axis.axvspan(slot.began_s, slot.healed_s, color=colour, alpha=0.25, lw=0, zorder=0)
        axis.annotate(
            slot.kind,
            (slot.began_s, 1.0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            xytext=(3, -4),
            fontsize=7,
            rotation=90,
            va="top",
        )
    axis.set_xlabel("s; a band lasts from the fault until all nodes were well again")
    axis.set_ylabel("requests ended in half a second")
    axis.margins(x=0.01)
    axis.legend(loc="lower right", fontsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    panel.savefig(path, metadata={"Date": None}, dpi=RASTER_DPI)
    plt.close(panel)


def _by_kind(outcome: Outcome) -> Iterator[tuple[str, list[SlotAccount]]]:
    for kind in sorted({slot.kind for slot in outcome.slots}):
        yield kind, [slot for slot in outcome.slots if slot.kind == kind]


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
