"""Counters, and what a scrape makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from cinema.telemetry.metrics import LATENCY_BOUNDS_US, Metrics, disk_families, pool_families


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics()
    route = metrics.route("POST", "/holds")
    route.observe(201, 900, None)
    route.observe(409, 900, "SEAT_UNAVAILABLE")
    route.count(409, "SEAT_UNAVAILABLE")
    seen = samples(metrics)
    labels = (("method", "POST"), ("route", "/holds"))
    assert seen["cinema_http_requests_total", (*labels, ("status", "201"))] == 1
    assert seen["cinema_http_requests_total", (*labels, ("status", "409"))] == 2
    errors = ("cinema_http_errors_total", (("code", "SEAT_UNAVAILABLE"), *labels))
    assert seen[errors] == 2


def test_durations_fall_into_cumulative_buckets() -> None:
    metrics = Metrics()
    route = metrics.route("GET", "/x")
    for duration_us in (500, 501, 10_000_000):
        route.observe(200, duration_us, None)
    seen = samples(metrics)
    name = "cinema_http_request_duration_seconds"
    labels = (("method", "GET"), ("route", "/x"))

    def bucket(bound: str) -> float:
        return seen[f"{name}_bucket", (("le", bound), *labels)]

    assert (bucket("0.0005"), bucket("0.001"), bucket("5.0"), bucket("+Inf")) == (1, 2, 2, 3)
    assert seen[f"{name}_count", labels] == 3
    assert abs(seen[f"{name}_sum", labels] - 10.001001) < 1e-9
    assert list(LATENCY_BOUNDS_US) == sorted(LATENCY_BOUNDS_US)


def test_others_join_with_their_families(tmp_path: Path) -> None:
    def watchers() -> Iterator[Metric]:
        yield GaugeMetricFamily("cinema_watchers", "Open sockets.", value=7)

    metrics = Metrics()
    metrics.add_collector(watchers)
    metrics.add_collector(disk_families(tmp_path))
    metrics.add_collector(pool_families(lambda: 5, lambda: 2, 12))
    seen = samples(metrics)
    assert seen["cinema_watchers", ()] == 7
    assert seen["cinema_disk_free_bytes", ()] > 0
    assert seen["cinema_postgres_connections", (("state", "busy"),)] == 3
    assert seen["cinema_uptime_seconds", ()] >= 0
