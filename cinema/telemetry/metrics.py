"""Counters as plain integers, which become Prometheus families only at a scrape."""

from __future__ import annotations

import shutil
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

LATENCY_BOUNDS_US: Final = (
    500, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 25_000, 50_000, 100_000, 200_000,
    400_000, 1_000_000, 5_000_000,
)  # fmt: skip
"""Upper bounds of the latency buckets; dense around the goals for holds (3 to 15 ms), and one at
the 200 ms that no route may take often (deploy/prometheus/alerts.yaml)."""

FAILED: Final = 500
"""The first status that says that the server failed, or could not for now."""

Families = Callable[[], Iterable[Metric]]


class RouteMetrics:
    """The answers of one route: by status, by error code, and how fast."""

    __slots__ = ("buckets", "by_code", "by_status", "is_deprecated", "method", "path", "total_us")

    def __init__(self, method: str, path: str, *, is_deprecated: bool = False) -> None:
        self.method = method
        self.path = path
        self.is_deprecated = is_deprecated
        self.by_status: dict[int, int] = {}
        self.by_code: dict[str, int] = {}
        self.buckets = [0] * (len(LATENCY_BOUNDS_US) + 1)
        self.total_us = 0

    def observe(self, status: int, duration_us: int, error_code: str | None) -> None:
        """Count one request."""
        # As in `count`, without its call.
        by_status = self.by_status
        by_status[status] = by_status.get(status, 0) + 1
        if error_code is not None:
            self.by_code[error_code] = self.by_code.get(error_code, 0) + 1
        self.buckets[bisect_left(LATENCY_BOUNDS_US, duration_us)] += 1
        self.total_us += duration_us

    def count(self, status: int, error_code: str | None) -> None:
        """Count one request whose duration is not of interest, such as that of a socket."""
        by_status = self.by_status
        by_status[status] = by_status.get(status, 0) + 1
        if error_code is not None:
            self.by_code[error_code] = self.by_code.get(error_code, 0) + 1


class _Collector(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


class Metrics:
    """All metrics of a process; others are added with `add_collector`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._routes: list[RouteMetrics] = []
        self._started_s = time.monotonic()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.add_collector(self._families)

    def add_collector(self, families: Families) -> None:
        """Call `families()` at each scrape, on the event loop; it must not block."""
        self.registry.register(_Collector(families))

    def route(self, method: str, path: str, *, is_deprecated: bool = False) -> RouteMetrics:
        """The counters of one route."""
        metrics = RouteMetrics(method, path, is_deprecated=is_deprecated)
        self._routes.append(metrics)
        return metrics

    def answered(self) -> tuple[int, int]:
        """Requests answered from the start, and those among them with a status of 500 or more."""
        counted = [item for route in self._routes for item in route.by_status.items()]
        failed = sum(count for status, count in counted if status >= FAILED)
        return sum(count for _, count in counted), failed

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)

    def _families(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "cinema_http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        errors = CounterMetricFamily(
            "cinema_http_errors", "Requests refused or failed.", labels=("method", "route", "code")
        )
        deprecated = CounterMetricFamily(
            "cinema_http_deprecated_requests",
            "Requests for operations that are going to end.",
            labels=("method", "route"),
        )
        durations = HistogramMetricFamily(
            "cinema_http_request_duration_seconds",
            "From the parsed head to the written reply.",
            labels=("method", "route"),
        )
        bounds = [*(str(bound / 1e6) for bound in LATENCY_BOUNDS_US), "+Inf"]
        for route in self._routes:
            labels = (route.method, route.path)
            for status, count in route.by_status.items():
                requests.add_metric((*labels, str(status)), count)
            if route.is_deprecated:
                deprecated.add_metric(labels, sum(route.by_status.values()))
            for code, count in route.by_code.items():
                errors.add_metric((*labels, code), count)
            if any(route.buckets):
                buckets = list(zip(bounds, accumulate(route.buckets), strict=True))
                durations.add_metric(labels, buckets, route.total_us / 1e6)
        yield requests
        yield errors
        yield deprecated
        yield durations
        yield GaugeMetricFamily(
            "cinema_uptime_seconds",
            "Since this process began to serve.",
            value=time.monotonic() - self._started_s,
        )


def disk_families(path: Path) -> Families:
    """Free and total space of the file system that holds `path`."""

    def families() -> Iterator[Metric]:
        usage = shutil.disk_usage(path)
        yield GaugeMetricFamily("cinema_disk_free_bytes", "Free space for data.", value=usage.free)
        yield GaugeMetricFamily("cinema_disk_total_bytes", "Space for data.", value=usage.total)

    return families


def replica_families(outcomes: Mapping[str, int]) -> Families:
    """Reads that may go to a replica, by where they went."""

    def families() -> Iterator[Metric]:
        reads = CounterMetricFamily(
            "cinema_replica_reads", "Reads that may go to a replica.", labels=("outcome",)
        )
        for outcome, count in outcomes.items():
            reads.add_metric((outcome,), count)
        yield reads

    return families


def durability_families(risks: Callable[[], int], found: Callable[[], int]) -> Families:
    """Whether Postgres keeps what it acknowledges, at the last check."""

    def families() -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "cinema_database_risks",
            "Settings of Postgres by which it may lose what it acknowledges.",
            value=risks(),
        )
        yield CounterMetricFamily(
            "cinema_database_risks_found",
            "Such settings that appeared while the node was running.",
            value=found(),
        )

    return families


def pool_families(size: Callable[[], int], idle: Callable[[], int], limit: int) -> Families:
    """Connections of the Postgres pool by state."""

    def families() -> Iterator[Metric]:
        gauge = GaugeMetricFamily(
            "cinema_postgres_connections", "Connections of the pool.", labels=("state",)
        )
        idle_now = idle()
        gauge.add_metric(("idle",), idle_now)
        gauge.add_metric(("busy",), size() - idle_now)
        yield gauge
        yield GaugeMetricFamily(
            "cinema_postgres_connections_limit", "Most connections the pool may open.", value=limit
        )

    return families
