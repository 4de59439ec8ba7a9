"""Attempts to deliver webhooks on this node, and what waits in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.webhooks.store import EndpointState

OUTCOMES: Final = ("delivered", "failed", "given_up")
STATES: Final = ("working", "failing", "disabled")


class WebhookCounts:
    """Counts attempts by outcome, and remembers the last look at all endpoints."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.endpoints: Counter[str] = Counter()
        self.waiting = 0
        self.failed = 0
        self.late_s = 0.0

    def note(self, states: Sequence[EndpointState], now: datetime) -> None:
        """Remember how endpoints stand; what waits for a disabled one is not late."""
        self.endpoints = Counter(
            ("failing" if one.failing else "working") if one.enabled else "disabled"
            for one in states
        )
        self.waiting = sum(one.waiting for one in states)
        self.failed = sum(one.failed for one in states)
        since = [one.oldest_at for one in states if one.enabled and one.oldest_at]
        self.late_s = max([0.0, *((now - one).total_seconds() for one in since)])

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        outcomes = CounterMetricFamily(
            "cinema_webhook_attempts",
            "Attempts to deliver a webhook, by outcome.",
            labels=("outcome",),
        )
        for outcome in OUTCOMES:
            outcomes.add_metric([outcome], self.outcomes[outcome])
        yield outcomes
        endpoints = GaugeMetricFamily(
            "cinema_webhook_endpoints", "Receivers of webhooks, by state.", labels=("state",)
        )
        for state in STATES:
            endpoints.add_metric([state], self.endpoints[state])
        yield endpoints
        yield GaugeMetricFamily(
            "cinema_webhook_deliveries_waiting", "Webhooks to be delivered.", value=self.waiting
        )
        yield GaugeMetricFamily(
            "cinema_webhook_deliveries_failed", "Webhooks given up.", value=self.failed
        )
        yield GaugeMetricFamily(
            "cinema_webhooks_late_seconds",
            "For how long the oldest webhook of an enabled receiver has been due.",
            value=self.late_s,
        )
