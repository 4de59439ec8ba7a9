"""What became of plans on this node."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class ScheduleCounts:
    """Counts what was made and applied, and remembers the last plan's gap."""

    def __init__(self) -> None:
        self.applied = 0
        self.conflicts = 0
        self.made = 0
        self.solver_ends = 0
        self.gap = 0.0

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        yield CounterMetricFamily("cinema_schedules_made", "Plans made.", value=self.made)
        applications = CounterMetricFamily(
            "cinema_schedule_applications", "Plans applied, or refused.", labels=("outcome",)
        )
        applications.add_metric(("applied",), self.applied)
        applications.add_metric(("conflict",), self.conflicts)
        yield applications
        yield CounterMetricFamily(
            "cinema_schedule_solver_ends",
            "Solver processes that ended before their last word.",
            value=self.solver_ends,
        )
        yield GaugeMetricFamily(
            "cinema_schedule_gap_ratio",
            "How far the last plan may be from the best, as a share of the bound.",
            value=self.gap,
        )
