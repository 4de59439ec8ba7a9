"""Outcomes of messages on this node, and what waits in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.messages.store import MessageQueueState


class MessageCounts:
    """Counts attempts by kind and outcome, and remembers the last look at the queue."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.waiting = 0
        self.dead = 0
        self.late_s = 0.0

    def count(self, kind: str, outcome: str) -> None:
        """Count one attempt that has ended."""
        self.outcomes[kind, outcome] += 1

    def note(self, state: MessageQueueState, now: datetime) -> None:
        """Remember the queue at a time; messages that are to be sent later are not late."""
        self.waiting, self.dead = state.waiting, state.dead
        late = (now - state.oldest_at).total_seconds() if state.oldest_at else 0.0
        self.late_s = max(0.0, late)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        outcomes = CounterMetricFamily(
            "cinema_mails", "Attempts to send a mail, by outcome.", labels=("kind", "outcome")
        )
        for labels, count in self.outcomes.items():
            outcomes.add_metric(labels, count)
        yield outcomes
        yield GaugeMetricFamily("cinema_mails_waiting", "Mails to be sent.", value=self.waiting)
        yield GaugeMetricFamily("cinema_mails_dead", "Mails given up.", value=self.dead)
        yield GaugeMetricFamily(
            "cinema_mails_late_seconds",
            "For how long the oldest waiting mail could have been sent.",
            value=self.late_s,
        )
