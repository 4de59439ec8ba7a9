"""The kernel's counters as Prometheus families."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from cinema.actors.kernel import Kernel
from cinema.telemetry.metrics import Families

COMMIT_BOUNDS: Final = range(16, 34)
"""Exponents of two, in nanoseconds: 66 µs to 8.6 s."""


def kernel_families(kernel: Kernel) -> Families:
    """Residents, mailboxes, commits, decisions."""

    def families() -> Iterator[Metric]:
        metrics = kernel.metrics
        yield _gauge("cinema_resident_showtimes", "Showtimes in memory.", kernel.resident_count)
        yield _gauge(
            "cinema_quarantined_showtimes", "Showtimes in quarantine.", kernel.quarantined_count
        )
        yield _gauge("cinema_mailbox_depth", "Messages in all mailboxes.", kernel.mailbox_depth)
        yield _gauge(
            "cinema_messages_waiting", "Messages without an answer yet.", kernel.load.waiting
        )
        yield _gauge(
            "cinema_oldest_event_seconds",
            "How long the oldest event has waited for its commit.",
            kernel.oldest_event_s,
        )
        refused = CounterMetricFamily(
            "cinema_messages_refused",
            "Messages refused as OVERLOADED: too many at the showtime or on the node, or too old.",
            labels=("excess",),
        )
        for excess, count in kernel.load.refused.items():
            refused.add_metric((excess,), count)
        yield refused
        yield _gauge(
            "cinema_clock_uncertainty_seconds",
            "How far the estimate of Postgres' time may be wrong.",
            kernel.clock.uncertainty_us() / 1e6,
        )
        decisions = CounterMetricFamily(
            "cinema_decisions",
            "Commands by outcome: accepted, replayed, or the code of the refusal.",
            labels=("command", "outcome"),
        )
        for (command, outcome), count in metrics.decisions.items():
            decisions.add_metric((command, outcome), count)
        yield decisions
        failures = CounterMetricFamily(
            "cinema_task_failures",
            "Background tasks that failed, by name; tasks that run for ever start again.",
            labels=("task",),
        )
        for task, count in metrics.task_failures.items():
            failures.add_metric((task,), count)
        yield failures
        for name, text, value in (
            ("cinema_activations", "Showtimes brought into memory.", metrics.activations),
            ("cinema_passivations", "Showtimes that left memory.", metrics.passivations),
            ("cinema_quarantines", "Showtimes put into quarantine.", metrics.quarantined),
            ("cinema_fenced", "Times that another owner had taken over.", metrics.fenced),
            ("cinema_snapshots", "Snapshots stored.", metrics.snapshots),
            ("cinema_lease_checks", "Statements that confirmed leases.", metrics.lease_checks),
            ("cinema_commits", "Batches committed.", metrics.batches),
            ("cinema_committed_events", "Events committed.", metrics.batch_events),
            ("cinema_commits_aborted", "Batches without effect.", metrics.commits_aborted),
            ("cinema_commits_unknown", "Batches without an answer.", metrics.commits_unknown),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield _commit_times(metrics.commit_ns)

    return families


def log_families(
    dropped_chunks: Callable[[], int], events: Mapping[tuple[str, str], int]
) -> Families:
    """Log events, and log lines that were dropped."""

    def families() -> Iterator[Metric]:
        yield CounterMetricFamily(
            "cinema_log_chunks_dropped", "Chunks of log lines dropped.", value=dropped_chunks()
        )
        logged = CounterMetricFamily(
            "cinema_log_events", "Log events except request lines.", labels=("level", "event")
        )
        for (level, event), count in events.items():
            logged.add_metric((level, event), count)
        yield logged

    return families


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _commit_times(by_bit_length: list[int]) -> Metric:
    family = HistogramMetricFamily(
        "cinema_commit_duration_seconds", "From sending a batch to its answer."
    )
    below = sum(by_bit_length[: COMMIT_BOUNDS.start])
    inside = [by_bit_length[exponent] for exponent in COMMIT_BOUNDS]
    above = sum(by_bit_length[COMMIT_BOUNDS.stop :])
    counts = list(accumulate([below, *inside, above]))[1:]
    bounds = [*(f"{2**exponent / 1e9:g}" for exponent in COMMIT_BOUNDS), "+Inf"]
    total_s = sum(count * 0.75 * 2**exponent for exponent, count in enumerate(by_bit_length)) / 1e9
    family.add_metric((), list(zip(bounds, counts, strict=True)), total_s)
    return family
