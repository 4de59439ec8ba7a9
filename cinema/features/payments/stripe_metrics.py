"""What Stripe told, what was done about it, and what waits in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.payments.stripe_store import TasksState


class StripeCounts:
    """Counts events and tasks of this node, and remembers the last look at what waits."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.state = TasksState(waiting=0, given_up=0, oldest_at=None, differences=0)
        self.late_s = 0.0

    def event(self, outcome: str) -> None:
        """Count one webhook."""
        self.events[outcome] += 1

    def task(self, kind: str, outcome: str) -> None:
        """Count one attempt at a task that has ended."""
        self.outcomes[kind, outcome] += 1

    def note(self, state: TasksState, now: datetime) -> None:
        """Remember what waits at a time."""
        self.state = state
        late = (now - state.oldest_at).total_seconds() if state.oldest_at else 0.0
        self.late_s = max(0.0, late)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        events = CounterMetricFamily(
            "cinema_stripe_webhooks", "Webhooks of Stripe, by outcome.", labels=("outcome",)
        )
        for outcome, count in self.events.items():
            events.add_metric((outcome,), count)
        yield events
        tasks = CounterMetricFamily(
            "cinema_stripe_tasks",
            "Attempts at tasks about payments by Stripe, by outcome.",
            labels=("kind", "outcome"),
        )
        for labels, count in self.outcomes.items():
            tasks.add_metric(labels, count)
        yield tasks
        yield GaugeMetricFamily(
            "cinema_stripe_tasks_waiting",
            "Tasks about payments by Stripe that are not done, without looks.",
            value=self.state.waiting,
        )
        yield GaugeMetricFamily(
            "cinema_stripe_tasks_given_up",
            "Tasks about payments by Stripe that were given up.",
            value=self.state.given_up,
        )
        yield GaugeMetricFamily(
            "cinema_stripe_tasks_late_seconds",
            "For how long the oldest waiting task could have been done.",
            value=self.late_s,
        )
        yield GaugeMetricFamily(
            "cinema_payment_differences",
            "Differences between our payments and Stripe's that nobody has resolved.",
            value=self.state.differences,
        )
