"""Events that this node has told, and what waits to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.events.shapes import EventType
from cinema.features.events.store import OutboxBacklog


class EventCounts:
    """Counts events by type, and remembers the last look at the outbox."""

    def __init__(self) -> None:
        self.published: Counter[str] = Counter()
        self.unclear = 0
        self.streamed = 0
        self.waiting = 0
        self.late_s = 0.0

    def note(self, backlog: OutboxBacklog, now: datetime) -> None:
        """Remember what waits at a time."""
        self.waiting = backlog.waiting
        late = (now - backlog.oldest_at).total_seconds() if backlog.oldest_at else 0.0
        self.late_s = max(0.0, late)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        published = CounterMetricFamily(
            "cinema_events_published", "Public events written, by type.", labels=("type",)
        )
        for type_ in get_args(EventType):
            published.add_metric([type_], self.published[type_])
        yield published
        yield CounterMetricFamily(
            "cinema_events_unclear", "Rows that no event can be made of.", value=self.unclear
        )
        yield CounterMetricFamily(
            "cinema_events_streamed", "Events added to the stream of Redis.", value=self.streamed
        )
        yield GaugeMetricFamily(
            "cinema_events_waiting", "Rows of the outbox to be told.", value=self.waiting
        )
        yield GaugeMetricFamily(
            "cinema_events_late_seconds",
            "For how long the oldest of these rows has waited.",
            value=self.late_s,
        )
