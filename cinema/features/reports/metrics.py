"""Figures that this node has counted, and what waits to be counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.reports.funnel_rules import Funnel
from cinema.features.reports.projection_store import NAME, ProjectionBacklog


class FigureCounts:
    """Counts showtimes whose figures were counted, and remembers the last look at what waits."""

    def __init__(self) -> None:
        self.showtimes = 0
        self.funnel = Funnel()
        self.waiting = 0
        self.late_s = 0.0

    def note(self, backlog: ProjectionBacklog, now: datetime) -> None:
        """Remember what waits at a time."""
        self.waiting = backlog.waiting
        late = (now - backlog.oldest_at).total_seconds() if backlog.oldest_at else 0.0
        self.late_s = max(0.0, late)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        yield CounterMetricFamily(
            "cinema_showtimes_counted",
            "Showtimes whose figures for reports were counted.",
            value=self.showtimes,
        )
        steps = CounterMetricFamily(
            "cinema_funnel_steps",
            "Holds of showtimes that are over, and how they went on.",
            labels=("step",),
        )
        for name, value in msgspec.structs.asdict(self.funnel).items():
            steps.add_metric([name], value)
        yield steps
        waiting = GaugeMetricFamily(
            "cinema_projection_waiting",
            "Public events that a projection has not read.",
            labels=("projection",),
        )
        waiting.add_metric([NAME], self.waiting)
        yield waiting
        late = GaugeMetricFamily(
            "cinema_projection_late_seconds",
            "For how long the oldest of these events has waited.",
            labels=("projection",),
        )
        late.add_metric([NAME], self.late_s)
        yield late
