"""What became of attempts on this node, and what waits in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.jobs.store import JobQueueState


class JobCounts:
    """Counts attempts by kind and outcome, and remembers the last look at the queue."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.running = 0
        self.living = 0
        self.failed = 0
        self.late_s = 0.0

    def count(self, kind: str, outcome: str) -> None:
        """One attempt came to its end."""
        self.outcomes[kind, outcome] += 1

    def note(self, state: JobQueueState, now: datetime) -> None:
        """The queue looked like this at a moment; what is to be done later is not late."""
        self.living, self.failed = state.living, state.failed
        late = (now - state.oldest_at).total_seconds() if state.oldest_at else 0.0
        self.late_s = max(0.0, late)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        outcomes = CounterMetricFamily(
            "cinema_jobs", "Attempts at a job, by outcome.", labels=("kind", "outcome")
        )
        for labels, count in self.outcomes.items():
            outcomes.add_metric(labels, count)
        yield outcomes
        yield GaugeMetricFamily("cinema_jobs_running", "Jobs under way here.", value=self.running)
        yield GaugeMetricFamily(
            "cinema_jobs_living", "Jobs that have not ended.", value=self.living
        )
        yield GaugeMetricFamily("cinema_jobs_failed", "Jobs given up.", value=self.failed)
        yield GaugeMetricFamily(
            "cinema_jobs_late_seconds",
            "Since when the oldest job could have been taken.",
            value=self.late_s,
        )
