"""Metrics of requests that wait for their turn."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.http.turns import Turns
from cinema.telemetry.metrics import Families


def turn_families(turns: Turns) -> Families:
    """How many requests wait, for how long, and how many were refused."""

    def families() -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "cinema_http_waiting", "Requests that wait for their turn.", value=turns.waiting
        )
        yield GaugeMetricFamily(
            "cinema_http_waiting_seconds",
            "How long the oldest of them has waited.",
            value=turns.oldest_s,
        )
        yield CounterMetricFamily(
            "cinema_http_waited_too_long",
            "Requests refused unread as OVERLOADED, because their turn came too late.",
            value=turns.refused,
        )

    return families
